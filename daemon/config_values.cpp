// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_values.hpp"

#include "backends/servers.hpp"
#include "base/log.hpp"
#include "base/lower_case.hpp"
#include "base/spelling.hpp"
#include "base/unique_fd.hpp"
#include "daemon/server_names.hpp"
#include "protocol/sasl_mechanism.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <system_error>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t shown_bytes_max = 256;
constexpr std::size_t options_bytes_max = 32 * 1024; ///< a worker is told of them in one set-up
constexpr std::size_t names_suggested_max = 10'000;  ///< accounts of a host that are looked through
constexpr std::uint32_t id_max = UINT32_MAX - 1;     ///< the last number means "none" to the kernel

/// The mechanisms of saslauthd that are not here, so that their users get a straight answer and no spelling
/// suggestion.
constexpr std::array mechanisms_never{"httpform", "kerberos4", "dce", "sia"};

constexpr std::size_t realm_bytes_max = 255;

/// Those that listeners of the Dovecot protocol have.
std::vector<std::string_view> names_of_mechanisms()
{
    std::vector<std::string_view> names;
    for (const sasl::MechanismFacts& mechanism : sasl::mechanism_table)
        names.push_back(mechanism.name);
    return names;
}

bool has_control_byte(std::string_view text)
{
    return std::ranges::any_of(text,
                               [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::optional<std::uint32_t> number_in(std::string_view text, int base)
{
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

bool is_number(const std::string& text)
{
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> user_names()
{
    std::vector<std::string> names;
    ::setpwent();
    for (const passwd* entry = nullptr; names.size() < names_suggested_max && (entry = ::getpwent());)
        names.emplace_back(entry->pw_name);
    ::endpwent();
    return names;
}

std::vector<std::string> group_names()
{
    std::vector<std::string> names;
    ::setgrent();
    for (const group* entry = nullptr; names.size() < names_suggested_max && (entry = ::getgrent());)
        names.emplace_back(entry->gr_name);
    ::endgrent();
    return names;
}

std::uint32_t user_id(const std::string& name)
{
    const passwd* const entry = ::getpwnam(name.c_str());
    if (entry == nullptr)
        throw ConfigError{said_of(name, "there is no such user" + did_you_mean(name, user_names()))};
    return entry->pw_uid;
}

void check_present(const std::string& path)
{
    const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (!file.is_open())
        throw ConfigError{said_of(path, std::generic_category().message(errno))};
}

void check_pairs(const BackendOption& option, const std::string& value)
{
    for (const std::string& pair : split_servers(value))
        if (const std::size_t equals = pair.find('=');
            equals == std::string::npos || equals == 0 || equals + 1 == pair.size())
            throw ConfigError{shown(pair) + ": " + alternatives(option.words) + " was expected"};
}

std::vector<std::string> backend_type_names()
{
    std::vector<std::string> names;
    for (const BackendType& type : backend_types())
        names.emplace_back(type.name);
    return names;
}

} // namespace

std::uint32_t parse_number(const std::string& text, std::uint32_t min, std::uint32_t max)
{
    const auto number = number_in(text, 10);
    if (!number || *number < min || *number > max)
        throw ConfigError{said_of(text, "a number from " + std::to_string(min) + " to " +
                                            std::to_string(max) + " was expected")};
    return *number;
}

std::chrono::milliseconds parse_duration(const std::string& text)
{
    const auto digits_end = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string unit = text.substr(digits_end);
    const std::chrono::milliseconds step = unit == "ms" ? 1ms : unit == "m" ? 60'000ms : 1'000ms;
    if (digits_end == 0 || (!unit.empty() && unit != "ms" && unit != "s" && unit != "m"))
        throw ConfigError{said_of(text, "a time such as 8s, 500ms or 1m was expected")};
    return step * parse_number(text.substr(0, digits_end), 0, seconds_max);
}

bool parse_boolean(const std::string& text)
{
    static constexpr std::array<std::string_view, 2> words{"yes", "no"};
    return parse_word(text, words) == 0;
}

std::uint32_t parse_mode(const std::string& text)
{
    const auto mode = number_in(text, 8);
    if (!mode || *mode > 0777)
        throw ConfigError{said_of(text, "an octal mode from 0000 to 0777 was expected, such as 0660")};
    return *mode;
}

std::string parse_path(const std::string& text)
{
    if (!text.starts_with('/'))
        throw ConfigError{said_of(text, "an absolute path was expected")};
    return text;
}

std::string parse_socket_path(const std::string& text)
{
    check_socket_length(parse_path(text));
    const std::string closed = text + '/';
    const auto has = [&closed](const char* part) { return closed.find(part) != std::string::npos; };
    if (has("//") || has("/./") || has("/../"))
        throw ConfigError{shown(text) + ": the path of a file without //, /./ and /../ was expected"};
    return text;
}

void check_socket_length(const std::string& path)
{
    constexpr std::size_t bytes_max = sizeof(sockaddr_un::sun_path) - 1;
    if (path.size() > bytes_max)
        throw ConfigError{shown(path) + ": the path is longer than the " + std::to_string(bytes_max) +
                          " bytes that a socket's address can hold"};
}

std::uint32_t parse_user(const std::string& text)
{
    return is_number(text) ? parse_number(text, 0, id_max) : user_id(text);
}

std::uint32_t parse_group(const std::string& text)
{
    if (is_number(text))
        return parse_number(text, 0, id_max);
    const group* const entry = ::getgrnam(text.c_str());
    if (entry == nullptr)
        throw ConfigError{said_of(text, "there is no such group" + did_you_mean(text, group_names()))};
    return entry->gr_gid;
}

std::string parse_unprivileged_user(const std::string& text)
{
    if (user_id(text) == 0)
        throw ConfigError{shown(text) + ": an unprivileged account was expected"};
    return text;
}

std::size_t parse_word(const std::string& text, std::span<const std::string_view> words)
{
    const auto found = std::ranges::find(words, text);
    if (found == words.end())
        throw ConfigError{
            said_of(text, alternatives(words) + " was expected" +
                              did_you_mean(text, std::vector<std::string>{words.begin(), words.end()}))};
    return static_cast<std::size_t>(found - words.begin());
}

std::string parse_realm(const std::string& text)
{
    if (text.size() > realm_bytes_max || has_control_byte(text) || text.find('@') != std::string::npos)
        throw ConfigError{
            said_of(text, "a realm of at most 255 bytes was expected, without @ and control bytes")};
    return text;
}

std::string parse_line(const std::string& text, std::size_t bytes_max)
{
    if (text.empty() || text.size() > bytes_max || has_control_byte(text))
        throw ConfigError{said_of(text, "a text of 1 to " + std::to_string(bytes_max) +
                                            " bytes was expected, without control bytes")};
    return text;
}

std::vector<std::string> parse_mechanisms(const std::string& text)
{
    const std::vector<std::string_view> known = names_of_mechanisms();
    std::vector<std::string> mechanisms;
    for (const std::string& word : words_of(text)) {
        const std::string name = in_upper_case(word);
        if (name == "DIGEST-MD5")
            throw ConfigError{"DIGEST-MD5 is not offered (RFC 6331); one of " + alternatives(known) +
                              " was expected"};
        if (std::ranges::count(known, name) == 0)
            throw ConfigError{
                said_of(word, alternatives(known) + " was expected" +
                                  did_you_mean(name, std::vector<std::string>{known.begin(), known.end()}))};
        if (std::ranges::count(mechanisms, name) != 0)
            throw ConfigError{said_of(word, "is named twice")};
        mechanisms.push_back(name);
    }
    if (mechanisms.empty())
        throw ConfigError{"no mechanism is named; " + alternatives(known) + " was expected"};
    return mechanisms;
}

VerdictSet parse_next_on(const std::string& text)
{
    std::vector<std::string_view> words;
    for (const Verdict verdict : all_verdicts)
        if (verdict != Verdict::accepted)
            words.push_back(verdict_text(verdict));
    const std::vector<std::string> given = words_of(text);
    if (given.empty())
        throw ConfigError{"at least one of " + alternatives(words) + " was expected"};
    unsigned bits = 0;
    for (const std::string& word : given) {
        if (word == verdict_text(Verdict::accepted))
            throw ConfigError{"accepted: nobody else is asked after an OK; " + alternatives(words) +
                              " was expected"};
        const std::size_t place = parse_word(word, words);
        bits |= VerdictSet{all_verdicts.at(place + 1)}.bits(); // behind accepted
    }
    return VerdictSet::from_bits(bits);
}

const BackendType& parse_backend_type(const std::string& text)
{
    if (text.empty())
        throw ConfigError{"an empty name; the name of an authentication mechanism was expected"};
    const std::string name = in_lower_case(text);
    if (const BackendType* const type = find_backend_type(name))
        return *type;
    const auto is_named = [&name](const char* known) { return name == known; };
    if (std::ranges::any_of(mechanisms_never, is_named))
        throw ConfigError{"authentication mechanism " + name + " is not offered by Postern"};
    throw ConfigError{"unknown authentication mechanism: " + shown(name) +
                      did_you_mean(name, backend_type_names())};
}

BackendOptions default_options(const BackendType& type)
{
    BackendOptions options;
    for (const BackendOption& option : type.options)
        options.emplace(option.key, option.default_value);
    return options;
}

const BackendOption* find_option(const BackendType& type, std::string_view key) noexcept
{
    for (const BackendOption& option : type.options)
        if (key == option.key || (!option.alias.empty() && key == option.alias))
            return &option;
    return nullptr;
}

void check_option(const BackendOption& option, const std::string& value)
{
    if (value.empty() && option.default_value.empty())
        return;
    switch (option.kind) {
    case OptionKind::file: static_cast<void>(parse_path(value)); return;
    case OptionKind::present_file: check_present(parse_path(value)); return;
    case OptionKind::boolean: static_cast<void>(parse_boolean(value)); return;
    case OptionKind::number: static_cast<void>(parse_number(value, 0, INT32_MAX)); return;
    case OptionKind::duration: static_cast<void>(parse_duration(value)); return;
    case OptionKind::word: static_cast<void>(parse_word(value, option.words)); return;
    case OptionKind::servers: check_servers(option, value); return;
    case OptionKind::pairs: check_pairs(option, value); return;
    case OptionKind::port: check_port(value); return;
    case OptionKind::text:
    case OptionKind::secret: return;
    }
}

std::string check_options_together(const BackendType& type, const BackendOptions& options)
{
    std::size_t bytes = 0;
    for (const auto& [key, value] : options)
        bytes += key.size() + value.size();
    if (bytes > options_bytes_max)
        throw ConfigError{"its options are longer than the 32 KiB that were expected at most"};
    const OptionFinding finding = type.rule == nullptr ? OptionFinding{} : type.rule(options);
    if (!finding.problem.empty())
        throw ConfigError{finding.problem};
    return finding.note;
}

std::string shown(std::string_view text)
{
    return escape_log_value(text, shown_bytes_max);
}

std::string said_of(std::string_view value, const std::string& what)
{
    return (value.empty() ? "an empty value; " : shown(value) + ": ") + what;
}

std::vector<std::string> words_of(std::string_view text)
{
    std::vector<std::string> words;
    for (std::size_t begin = 0; (begin = text.find_first_not_of(" \t", begin)) != std::string_view::npos;) {
        const std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
        words.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    return words;
}

std::string alternatives(std::span<const std::string_view> words)
{
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i)
        text.append(i == 0 ? "" : i + 1 == words.size() ? " or " : ", ").append(words[i]);
    return text;
}

} // namespace postern
