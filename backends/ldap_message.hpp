// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_answers.hpp"
#include "backends/ldap_handle.hpp"
#include "base/secret.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ldapmsg;     // libldap's message
struct ldapcontrol; // what is said besides a question or an answer

namespace postern {

/// A message that came from a directory, and what is in it. libldap has parsed it and wants its handle to
/// look into it.
///
/// What makes no sense throws ServerProblem.
class LdapMessage {
public:
    explicit LdapMessage(ldapmsg* message = nullptr) : message_{message} {}

    [[nodiscard]] ldapmsg* get() const noexcept { return message_.get(); }
    [[nodiscard]] int kind() const noexcept;

    /// `sent` is the password that the server may repeat, or null.
    [[nodiscard]] LdapAnswer answer(const LdapHandle& handle, const Secret* sent) const;

    /// Of an entry.
    [[nodiscard]] std::string dn(const LdapHandle& handle) const;
    /// `look` is lent each value of an attribute of the entry; it is wiped then.
    void show_values(const LdapHandle& handle, const std::string& attribute,
                     const std::function<void(std::string_view value)>& look) const;

    /// Of a reference: any of them would do.
    [[nodiscard]] std::vector<std::string> referred_servers(const LdapHandle& handle) const;

    /// Of an answer to "Who am I?" (RFC 4532). Throws BackendError when there is nobody in it.
    [[nodiscard]] std::string identity(const LdapHandle& handle) const;

private:
    struct Free {
        void operator()(ldapmsg* message) const noexcept;
    };

    std::unique_ptr<ldapmsg, Free> message_;
};

/// What a bind is asked with: we want to hear of the password policy. They live as long as the process.
[[nodiscard]] ldapcontrol** bind_controls(int version);

/// A number that is none of LDAP's is not cut to one that is.
[[nodiscard]] LdapResult result_from(int code);

/// A server that repeats what it was sent must not get it into a log, not even in part: so the whole
/// diagnostic is looked at, and then cut.
[[nodiscard]] LdapAnswer answer_of(LdapResult result, std::string_view diagnostic, const Secret* sent);

} // namespace postern
