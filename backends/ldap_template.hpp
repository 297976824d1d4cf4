// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

/// What the tokens of a template stand for in one login.
struct LdapNames {
    std::string_view user;
    std::string_view realm; ///< of the request, or else ldap_default_realm
    std::string_view service;
    std::string_view user_dn{}; ///< as soon as it is known
};

/// What a template makes, and so how a value is written in it.
enum class LdapSyntax : std::uint8_t {
    filter, ///< RFC 4515
    dn,     ///< RFC 4514
};

/// A filter or a DN with tokens in it, as admins know them from saslauthd: `(&(uid=%u)(mail=*@%d))`.
///
///     %u  the user          %U  the user up to the first @     %d  what is behind it, or else the realm
///     %r  the realm         %R  the realm with an @ before it  %1 … %9  the labels of %d, from the right
///     %s  the service       %D  the DN of the user             %%  a percent sign
///
/// Tokens are replaced once, from left to right: what a stranger typed is never looked at for more of them.
/// Each value is written so that it is a value and nothing else where it stands. There is no way around
/// that, and no text that counts as safe. What is not known is nothing; a token that does not exist is left
/// out with its letter. A single % at the end stays.
class LdapTemplate {
public:
    LdapTemplate(LdapSyntax syntax, std::string pattern);

    [[nodiscard]] std::string expand(const LdapNames& names) const;

    /// Whether what it makes depends on who logs in.
    [[nodiscard]] bool has_tokens() const noexcept;

    [[nodiscard]] bool empty() const noexcept { return pattern_.empty(); }

private:
    LdapSyntax syntax_;
    std::string pattern_;
};

/// `value` as it is written in a filter: a parser finds there exactly these bytes.
[[nodiscard]] std::string escape_for_filter(std::string_view value);

/// `value` as it is written in a DN, alone or beside others in one RDN.
[[nodiscard]] std::string escape_for_dn(std::string_view value);

} // namespace postern
