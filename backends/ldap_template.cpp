// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_template.hpp"

#include <utility>

namespace postern {

namespace {

/// Both syntaxes have it: a byte as two hexadecimal digits.
void append_hex(std::string& text, char byte)
{
    constexpr std::string_view digits = "0123456789abcdef";
    const auto number = static_cast<unsigned char>(byte);
    text += '\\';
    text += digits[number >> 4U];
    text += digits[number & 0xfU];
}

bool is_control(char c)
{
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

bool is_plain_in_filter(char c)
{
    constexpr std::string_view special = "*()\\";
    return !is_control(c) && static_cast<unsigned char>(c) < 0x80 &&
           special.find(c) == std::string_view::npos;
}

/// A blank or a # matters only at an end; but where a value ends, and what stands beside it, is for the
/// template to know. Other bytes over 127 are UTF-8, which a DN has as it is, or a mistake, which the server
/// calls one.
bool is_plain_in_dn(char c)
{
    constexpr std::string_view special = ",+\"\\<>;=# ";
    return !is_control(c) && special.find(c) == std::string_view::npos;
}

template <typename IsPlain>
std::string escape(std::string_view value, IsPlain is_plain)
{
    std::string text;
    text.reserve(value.size());
    for (const char c : value)
        if (is_plain(c))
            text += c;
        else
            append_hex(text, c);
    return text;
}

std::string_view before_at(std::string_view user)
{
    return user.substr(0, user.find('@'));
}

std::string_view domain_of(const LdapNames& names)
{
    const std::size_t at = names.user.find('@');
    const std::string_view domain =
        at == std::string_view::npos ? std::string_view{} : names.user.substr(at + 1);
    return domain.empty() ? names.realm : domain;
}

/// The label of that number, from the right and from 1.
std::string_view label_of(std::string_view domain, int number)
{
    for (; number > 1; --number) {
        const std::size_t dot = domain.rfind('.');
        if (dot == std::string_view::npos)
            return {};
        domain = domain.substr(0, dot);
    }
    const std::size_t dot = domain.rfind('.');
    return dot == std::string_view::npos ? domain : domain.substr(dot + 1);
}

std::string value_of(char token, const LdapNames& names)
{
    if (token >= '1' && token <= '9')
        return std::string{label_of(domain_of(names), token - '0')};
    switch (token) {
    case 'u': return std::string{names.user};
    case 'U': return std::string{before_at(names.user)};
    case 'd': return std::string{domain_of(names)};
    case 's': return std::string{names.service};
    case 'r': return std::string{names.realm};
    case 'R': return names.realm.empty() ? "" : '@' + std::string{names.realm};
    default: return {};
    }
}

std::string replacement(char token, LdapSyntax syntax, const LdapNames& names)
{
    if (token == '%')
        return "%";
    if (token == 'D') // is a DN already
        return syntax == LdapSyntax::dn ? std::string{names.user_dn} : escape_for_filter(names.user_dn);
    const std::string value = value_of(token, names);
    return syntax == LdapSyntax::dn ? escape_for_dn(value) : escape_for_filter(value);
}

} // namespace

LdapTemplate::LdapTemplate(LdapSyntax syntax, std::string pattern)
    : syntax_{syntax}, pattern_{std::move(pattern)}
{
}

std::string LdapTemplate::expand(const LdapNames& names) const
{
    std::string text;
    for (std::size_t i = 0; i < pattern_.size(); ++i)
        if (pattern_[i] != '%')
            text += pattern_[i];
        else if (++i < pattern_.size())
            text += replacement(pattern_[i], syntax_, names);
        else
            text += '%';
    return text;
}

bool LdapTemplate::has_tokens() const noexcept
{
    constexpr std::string_view tokens = "uUdsrRD123456789";
    for (std::size_t i = 0; i + 1 < pattern_.size(); ++i)
        if (pattern_[i] == '%' && tokens.find(pattern_[++i]) != std::string_view::npos)
            return true;
    return false;
}

std::string escape_for_filter(std::string_view value)
{
    return escape(value, is_plain_in_filter);
}

std::string escape_for_dn(std::string_view value)
{
    return escape(value, is_plain_in_dn);
}

} // namespace postern
