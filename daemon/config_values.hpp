// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What a value says, whichever door it came in by: a flag or a file. So both take the same values, and
/// refuse others in the same words.
///
/// Each throws ConfigError with the value, what is wrong with it and what was expected; whoever calls knows
/// the name of the flag or key and puts it in front.
namespace postern {

inline constexpr std::uint32_t workers_possible_max = 512;
inline constexpr std::uint32_t seconds_max = 86'400; ///< of a duration

[[nodiscard]] std::uint32_t parse_number(const std::string& text, std::uint32_t min, std::uint32_t max);

/// "2s", "500ms", "1m"; a bare number means seconds.
[[nodiscard]] std::chrono::milliseconds parse_duration(const std::string& text);

/// "yes" or "no".
[[nodiscard]] bool parse_boolean(const std::string& text);

/// "0660": octal, the permissions alone.
[[nodiscard]] std::uint32_t parse_mode(const std::string& text);

/// An absolute path.
[[nodiscard]] std::string parse_path(const std::string& text);

/// An absolute path that fits into the address of a socket, in its plainest form.
[[nodiscard]] std::string parse_socket_path(const std::string& text);

/// Whether a path fits into the address of a socket.
void check_socket_length(const std::string& path);

/// The number of an account or group of this host, given by its name or as a number.
[[nodiscard]] std::uint32_t parse_user(const std::string& text);
[[nodiscard]] std::uint32_t parse_group(const std::string& text);

/// The name of an account of this host that is not root's.
[[nodiscard]] std::string parse_unprivileged_user(const std::string& text);

/// The place of `text` in `words`, the only ones there are.
[[nodiscard]] std::size_t parse_word(const std::string& text, std::span<const std::string_view> words);

/// A realm, of at most 255 bytes; none of them ends a line.
[[nodiscard]] std::string parse_realm(const std::string& text);

inline constexpr std::size_t refusal_reason_bytes_max = 200;

/// What may be shown to somebody: of at most so many bytes, none of which is a control character.
[[nodiscard]] std::string parse_line(const std::string& text, std::size_t bytes_max);

/// The names of SASL mechanisms, each once, in any case; in the spelling of their standards.
[[nodiscard]] std::vector<std::string> parse_mechanisms(const std::string& text);

/// What follows `next_on`: at least one verdict. Accepted is none of them: after an OK nobody is asked.
[[nodiscard]] VerdictSet parse_next_on(const std::string& text);

/// The type of that name, in any case. Says so when it is one of saslauthd's that are not here.
[[nodiscard]] const BackendType& parse_backend_type(const std::string& text);

/// Every option of the type with its default.
[[nodiscard]] BackendOptions default_options(const BackendType& type);

/// The option that has this key, or this alias; null when the type has none.
[[nodiscard]] const BackendOption* find_option(const BackendType& type, std::string_view key) noexcept;

/// Checks a value by the kind of its option; of a secret it says nothing.
void check_option(const BackendOption& option, const std::string& value);

/// Checks all of them together: by the rule of their type, and whether a worker can be told of them. Returns
/// what the admin may want to know all the same; empty: nothing.
[[nodiscard]] std::string check_options_together(const BackendType& type, const BackendOptions& options);

/// A value, or a key, as it may be shown: whatever is in it, it is one line.
[[nodiscard]] std::string shown(std::string_view text);

/// A value in front of what is wrong with it.
[[nodiscard]] std::string said_of(std::string_view value, const std::string& what);

/// What stands between blanks.
[[nodiscard]] std::vector<std::string> words_of(std::string_view text);

/// "a, b or c".
[[nodiscard]] std::string alternatives(std::span<const std::string_view> words);

template <typename Named>
[[nodiscard]] std::vector<std::string> names_of(const Named& list)
{
    std::vector<std::string> names;
    for (const auto& named : list)
        names.push_back(named.name);
    return names;
}

} // namespace postern
