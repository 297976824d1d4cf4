// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config_problem.hpp"
#include "daemon/file_text.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// The syntax of postern.conf: text in, sections with keys and values out. No files, and no idea of what a
/// key means.
///
///     # a comment is a whole line, and so is ; one
///     [section NAME]
///     key = value
///
/// One blank behind the `=` belongs to it; the rest of the line is the value, byte for byte: a password may
/// hold or begin with whatever it likes but a line break and a NUL.
namespace postern {

inline constexpr std::size_t config_name_bytes_max = 64;

struct ConfigEntry {
    std::size_t line = 0;
    std::string key;        ///< words with one blank between them
    std::string_view value; ///< lent by the text that was read
};

struct ConfigSection {
    std::size_t line = 0;
    std::string kind; ///< "listener"
    std::string name; ///< may be empty
    std::vector<ConfigEntry> entries;

    [[nodiscard]] std::string title() const { return name.empty() ? kind : kind + ' ' + name; }

    /// Null when the section has no such key.
    [[nodiscard]] const ConfigEntry* find(std::string_view key) const noexcept;
};

struct ConfigText {
    std::vector<ConfigSection> sections; ///< in the order of the text
    std::vector<ConfigProblem> problems; ///< in the order of the text
};

/// What is wrong is left out of the sections and is among the problems; the rest is there, so that all can be
/// checked at once.
[[nodiscard]] ConfigText read_config_text(std::string_view text);

/// What may be shown of what stands in front of a `=`. The sign may belong to a password, as in
/// `password hunter2=` and `password: hunter2=`: the first word, and nothing behind a `:`. `next_on BACKEND`
/// is shown whole.
[[nodiscard]] std::string shown_key(const std::string& key);

/// Without the blanks at both ends.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

} // namespace postern
