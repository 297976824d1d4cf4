// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

/// The mechanisms of SASL (RFC 4422) that Postern has, and what is to be known of each before anybody speaks
/// it. How they are spoken: sasl_exchange.hpp.
namespace postern::sasl {

enum class Mechanism : std::uint8_t {
    plain,         ///< RFC 4616
    login,         ///< draft-murchison-sasl-login, with the prompts that clients know
    cram_md5,      ///< RFC 2195
    scram_sha_1,   ///< RFC 5802
    scram_sha_256, ///< RFC 7677
};

/// When a listener announces a mechanism, beside those that its section names.
enum class Announced : std::uint8_t {
    always,             ///< any stored password will do
    where_all_serve_it, ///< every backend of its route: a client that is offered it tries nothing else
    when_named,
};

/// A row of the table.
struct MechanismFacts {
    Mechanism mechanism;
    std::string_view name;
    /// As Dovecot has them in a MECH line, with TABs between them: what Postfix's
    /// smtpd_sasl_security_options look at.
    std::string_view properties;
    Announced announced;
    /// The server is shown the password, and so any backend can check it.
    bool shows_password = false;
    /// What a client has to be told first, a backend knows: salt and iterations.
    bool asks_challenge = false;
};

inline constexpr std::array mechanism_table{
    MechanismFacts{Mechanism::plain, "PLAIN", "plaintext", Announced::always, true},
    MechanismFacts{Mechanism::login, "LOGIN", "plaintext", Announced::always, true},
    MechanismFacts{Mechanism::cram_md5, "CRAM-MD5", "dictionary\tactive", Announced::when_named},
    MechanismFacts{Mechanism::scram_sha_1, "SCRAM-SHA-1", "mutual-auth", Announced::when_named, false, true},
    MechanismFacts{Mechanism::scram_sha_256, "SCRAM-SHA-256", "mutual-auth", Announced::where_all_serve_it,
                   false, true},
};

[[nodiscard]] constexpr const MechanismFacts& facts_of(Mechanism mechanism) noexcept
{
    return *std::ranges::find(mechanism_table, mechanism, &MechanismFacts::mechanism);
}

/// In the order of the table.
inline constexpr auto all_mechanisms = [] {
    std::array<Mechanism, mechanism_table.size()> mechanisms{};
    std::ranges::transform(mechanism_table, mechanisms.begin(), &MechanismFacts::mechanism);
    return mechanisms;
}();

/// The row of that name, in letters of any case; null when there is none.
[[nodiscard]] const MechanismFacts* find_mechanism(std::string_view name) noexcept;

/// The mechanism of that name, in letters of any case.
[[nodiscard]] std::optional<Mechanism> mechanism_from(std::string_view name) noexcept;

/// "SCRAM-SHA-256".
[[nodiscard]] constexpr std::string_view mechanism_name(Mechanism mechanism) noexcept
{
    return facts_of(mechanism).name;
}

} // namespace postern::sasl
