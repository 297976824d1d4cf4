// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::imap {

/// The longest part of a line that is looked at; what follows is read and forgotten.
inline constexpr std::size_t line_bytes_max = 8192;

/// A line of a server, as far as it has come: its beginning, and what it ends in. Wiped behind each line: a
/// server may echo a password.
class LineWindow {
public:
    LineWindow() { text_.reserve(line_bytes_max); }
    LineWindow(const LineWindow&) = delete;
    LineWindow& operator=(const LineWindow&) = delete;
    ~LineWindow() { clear(); }

    /// What comes next of it, without its LF.
    void add(std::string_view part);
    void clear() noexcept;

    /// Without its CR.
    [[nodiscard]] std::string_view text() const noexcept;
    [[nodiscard]] bool is_empty() const noexcept { return bytes_ == 0; }
    [[nodiscard]] bool is_cut() const noexcept { return bytes_ > line_bytes_max; }
    /// Whether the next bytes are data, "{123}", and not a line.
    [[nodiscard]] bool ends_in_literal() const noexcept;

private:
    std::string text_;
    std::string last_; ///< two bytes, cut or not
    std::size_t bytes_ = 0;
};

} // namespace postern::imap
