// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/verdict.hpp"

#include <string>
#include <string_view>

/// What an IMAP server says of a command (RFC 3501, 7.1), and what it means for a login.
namespace postern::imap {

/// The word in front of the next blank; that and the blank are taken off `text`.
std::string_view take_word(std::string_view& text) noexcept;

/// "OK [CODE arguments] text". Borrows the line.
struct Status {
    explicit Status(std::string_view text) noexcept;

    /// In letters of any case.
    [[nodiscard]] bool is(std::string_view other) const noexcept;

    std::string_view word;
    std::string_view code;
    std::string_view arguments;
};

/// What a refusal with that response code (RFC 5530, RFC 2221) is. Of any other it is what NO says:
/// rejected.
struct RefusalCode {
    std::string_view name;
    Verdict verdict;
    bool password_was_right = false;
};

/// Null when it is none of those.
[[nodiscard]] const RefusalCode* find_refusal_code(std::string_view name) noexcept;

/// "NO [LIMIT]". Holds nothing that a server could have made up: it is told behind credentials.
[[nodiscard]] std::string summary(const Status& status);

} // namespace postern::imap
