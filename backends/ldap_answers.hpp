// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/verdict.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What the answers of a directory mean for a login. No connections here, and no LDAP library.
namespace postern {

/// The result codes of RFC 4511 that mean something to us.
enum class LdapResult : std::uint16_t {
    success = 0,
    operations_error = 1,
    time_limit_exceeded = 3,
    size_limit_exceeded = 4,
    compare_false = 5,
    compare_true = 6,
    referral = 10,
    admin_limit_exceeded = 11,
    no_such_attribute = 16,
    constraint_violation = 19,
    no_such_object = 32,
    invalid_dn_syntax = 34,
    inappropriate_authentication = 48,
    invalid_credentials = 49,
    insufficient_access = 50,
    busy = 51,
    unavailable = 52,
    unwilling_to_perform = 53,
    other = 80,
};

/// What the password policy control adds (draft-behera-ldap-password-policy).
enum class PasswordPolicyError : std::uint8_t {
    password_expired = 0,
    account_locked = 1,
    change_after_reset = 2,
};

/// What a server said.
struct LdapAnswer {
    LdapResult result = LdapResult::other;
    std::string diagnostic{}; ///< in the server's own words, cut
    std::optional<PasswordPolicyError> policy_error{};
    bool repeats_password = false; ///< the diagnostic, which is then in no text of ours
};

/// What the answer to a user's own bind says about the password and the account. Verdict::unavailable:
/// nothing, and the reason says why.
[[nodiscard]] Decision decide_bind(const LdapAnswer& answer);

/// Whether the server itself cannot do what it is there for, whoever logs in. Another one may.
[[nodiscard]] bool is_server_fault(LdapResult result) noexcept;

/// Whether it gave up what it was asked for.
[[nodiscard]] bool is_server_limit(LdapResult result) noexcept;

/// For the log: "busy (51)", and what the server said besides.
[[nodiscard]] std::string answer_text(const LdapAnswer& answer);

} // namespace postern
