// SPDX-License-Identifier: BSD-2-Clause
//
// Two keys guard the way to the directory, and where one of them cannot be understood the file is refused: a
// typing error must not send passwords in clear. A third, whether the directory's certificate is checked, is
// a yes then.
#include "daemon/saslauthd_value.hpp"

#include "base/lower_case.hpp"
#include "base/spelling.hpp"
#include "daemon/config_values.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

namespace postern {

namespace {

constexpr std::string_view digits = "0123456789";

constexpr std::array<std::string_view, 2> guards{"ldap_start_tls", "ldap_use_sasl"};
constexpr std::string_view peer_check = "ldap_tls_check_peer";
constexpr std::string_view keytab_key = "krb5_keytab";

/// Where saslauthd cuts a value, in silence.
struct TheirLimit {
    std::string_view key;
    std::size_t bytes;
};

constexpr std::array their_limits{
    TheirLimit{"ldap_servers", 1023},
    TheirLimit{"ldap_password", 127},
    TheirLimit{"ldap_password_attr", 127},
    TheirLimit{"ldap_default_realm", 127},
    TheirLimit{"ldap_group_attr", 127},
    TheirLimit{"ldap_group_filter", 127},
    TheirLimit{"ldap_group_search_base", 127},
    TheirLimit{"ldap_id", 127},
    TheirLimit{"ldap_authz_id", 127},
    TheirLimit{"ldap_realm", 127},
    TheirLimit{"ldap_mech", 127},
    TheirLimit{"ldap_sasl_secprops", 127},
    TheirLimit{"ldap_tls_ciphers", 127},
    TheirLimit{"ldap_tls_cacert_file", 1023},
    TheirLimit{"ldap_tls_cacert_dir", 1023},
    TheirLimit{"ldap_tls_cert", 1023},
    TheirLimit{"ldap_tls_key", 1023},
};

/// A boolean by its first letters, as saslauthd reads it; nothing when it would take it for a no because it
/// is neither.
std::optional<bool> boolean_in(std::string_view text) noexcept
{
    const auto begins_with_one_of = [text](std::string_view letters) {
        return !text.empty() && letters.find(text.front()) != std::string_view::npos;
    };
    if (begins_with_one_of("1yt") || text.starts_with("on"))
        return true;
    if (begins_with_one_of("0nf") || text.starts_with("of"))
        return false;
    return std::nullopt;
}

/// The digits that a number begins with, not more than `max`: what saslauthd takes it for.
std::uint64_t leading_number(std::string_view text, std::uint64_t max) noexcept
{
    text.remove_prefix(text.starts_with('+') ? 1 : 0);
    std::uint64_t number = 0;
    for (const char c : text.substr(0, text.find_first_not_of(digits)))
        number = std::min(max, number * 10 + static_cast<std::uint64_t>(c - '0'));
    return number;
}

/// The path in a keytab's name, which Kerberos may have a type in front of.
std::string_view file_of_keytab(std::string_view name)
{
    const std::size_t colon = name.find(':');
    if (name.starts_with('/') || colon == std::string_view::npos)
        return name;
    const std::string_view type = name.substr(0, colon);
    if ((type != "FILE" && type != "WRFILE") || colon + 1 == name.size())
        throw ConfigError{shown(name) + ": a keytab that is a file was expected, /path or FILE:/path"};
    return name.substr(colon + 1);
}

SaslauthdValue read_boolean(const BackendOption& option, std::string_view text)
{
    const auto said = boolean_in(in_lower_case(text));
    if (!said && std::ranges::find(guards, option.key) != guards.end())
        throw ConfigError{shown(text) + ": yes or no was expected"};
    const bool meaning = said.value_or(option.key == peer_check);
    const std::string value = meaning ? "yes" : "no";
    if (meaning && boolean_in(text) != true)
        return {value, shown(text) + " means yes here; saslauthd takes it for no"};
    if (!said)
        return {value, shown(text) + " means no, as with saslauthd; yes or no was expected"};
    return {value};
}

/// Times are in seconds here, whatever stands behind them. To libldap -1 is all that it can say.
SaslauthdValue read_number(const BackendOption& option, std::string_view text)
{
    if (option.key == "ldap_debug" && text == "-1")
        return {std::to_string(INT32_MAX)};
    const bool is_time = option.kind == OptionKind::duration;
    const std::uint64_t max = is_time ? seconds_max : INT32_MAX;
    const std::string taken =
        text.starts_with('-') ? std::string{option.default_value} : std::to_string(leading_number(text, max));
    if (text.find_first_not_of(digits) == std::string_view::npos && leading_number(text, max + 1) <= max)
        return {taken};
    return {taken, shown(text) + ": a number " + (is_time ? "of seconds " : "") + "from 0 to " +
                       std::to_string(max) + " was expected; " + taken + " is taken"};
}

/// With a blank or a CR behind it a word is none of saslauthd's choices, and what it works with stays.
SaslauthdValue read_word(const BackendOption& option, std::string_view text, std::string_view before)
{
    const bool has_return = text.ends_with('\r');
    const std::string_view written = without_blanks(text.substr(0, text.size() - (has_return ? 1 : 0)));
    const std::string word = in_lower_case(written);
    const std::vector<std::string> words{option.words.begin(), option.words.end()};
    if (std::ranges::find(words, word) == words.end())
        return {std::nullopt, shown(written) + ": has no effect, as with saslauthd; " +
                                  alternatives(option.words) + " was expected" + did_you_mean(word, words)};
    if (written.size() < text.size() && word != (before.empty() ? option.default_value : before))
        return {std::nullopt, shown(written) + ": has no effect, as with saslauthd, because of the " +
                                  (has_return ? "CR" : "blank") + " behind it"};
    return {word};
}

SaslauthdValue read_checked(const BackendOption& option, std::string_view text)
{
    const std::string value{option.key == keytab_key ? file_of_keytab(text) : text};
    check_option(option, value);
    return {value};
}

} // namespace

SaslauthdValue read_saslauthd_value(const BackendOption& option, std::string_view text,
                                    std::string_view before)
{
    switch (option.kind) {
    case OptionKind::boolean: return read_boolean(option, without_blanks(text));
    case OptionKind::number:
    case OptionKind::duration: return read_number(option, without_blanks(text));
    case OptionKind::word: return read_word(option, text, before);
    case OptionKind::port:
    case OptionKind::file:
    case OptionKind::present_file:
    case OptionKind::servers:
    case OptionKind::pairs: return read_checked(option, without_blanks(text));
    case OptionKind::text:
    case OptionKind::secret: break;
    }
    return {std::string{text}};
}

std::string note_of_cut(const BackendOption& option, std::string_view text)
{
    const auto* const limit = std::ranges::find(their_limits, option.key, &TheirLimit::key);
    if (limit == their_limits.end() || text.size() <= limit->bytes)
        return "";
    return "the whole value counts; saslauthd reads only the first " + std::to_string(limit->bytes) +
           " bytes of it";
}

std::string_view without_blanks_in_front(std::string_view text) noexcept
{
    return text.substr(std::min(text.find_first_not_of(saslauthd_blanks), text.size()));
}

std::string_view without_blanks(std::string_view text) noexcept
{
    text = without_blanks_in_front(text);
    return text.substr(0, text.find_last_not_of(saslauthd_blanks) + 1);
}

} // namespace postern
