// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

/// How an IMAP client writes what it sends (RFC 3501, 4.3; RFC 4616).
namespace postern::imap {

/// Writes into memory of the caller, where passwords may live. Throws std::length_error when it is too small.
class TextWriter {
public:
    explicit TextWriter(std::span<char> memory) noexcept : memory_{memory} {}

    [[nodiscard]] std::string_view written() const noexcept { return {memory_.data(), size_}; }

    TextWriter& operator<<(std::string_view text);

    /// Between quotes. Only what can_be_quoted().
    void quoted(std::string_view text);

    /// The initial response of PLAIN in base64, which is put together behind its place.
    void plain(std::string_view user, std::string_view password);

private:
    [[nodiscard]] std::span<char> room(std::size_t bytes) const;

    std::span<char> memory_;
    std::size_t size_ = 0;
};

/// Whether it can stand between quotes.
[[nodiscard]] bool can_be_quoted(std::string_view text) noexcept;

/// What announces the bytes of `text`: "{5+}" and the end of the line, where `plus` is "+" or nothing.
[[nodiscard]] std::string literal(std::string_view text, std::string_view plus);

/// The size of the initial response of PLAIN.
[[nodiscard]] std::size_t plain_size(std::string_view user, std::string_view password) noexcept;

} // namespace postern::imap
