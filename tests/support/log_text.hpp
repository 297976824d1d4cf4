// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// Takes one character off the front of UTF-8 text and returns its number; nothing when the bytes are not
/// the shortest form of a character (RFC 3629). Decodes and compares, so that it shares no table with
/// base/log.
inline std::optional<std::uint32_t> take_character(std::string_view& text)
{
    const auto byte = [text](std::size_t i) -> std::uint32_t { return static_cast<unsigned char>(text[i]); };
    std::size_t length = 1;
    while (length < 5 && (byte(0) << length & 0x80U) != 0 && byte(0) >= 0x80)
        ++length;
    const bool is_ascii = byte(0) < 0x80;
    if ((!is_ascii && (length < 2 || length > 4)) || text.size() < length)
        return std::nullopt;
    std::uint32_t character = is_ascii ? byte(0) : byte(0) & (0x7fU >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if (byte(i) >> 6U != 2)
            return std::nullopt;
        character = character << 6U | (byte(i) & 0x3fU);
    }
    const std::size_t shortest = character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    if (length != shortest || character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
        return std::nullopt;
    text.remove_prefix(length);
    return character;
}

/// Whether `text` can stand between brackets in a log line: valid UTF-8, no control character, no `]`.
inline bool is_harmless_in_log(std::string_view text)
{
    while (!text.empty()) {
        const auto character = take_character(text);
        if (!character || *character < 0x20 || (*character >= 0x7f && *character < 0xa0) || *character == ']')
            return false;
    }
    return true;
}

/// The value behind a text of escape_log_value(); nothing when the text is not one.
inline std::optional<std::string> unescape_log_value(std::string_view text)
{
    static constexpr std::string_view digits = "0123456789abcdef";
    std::string value;
    while (!text.empty()) {
        if (text.front() != '\\') {
            value += text.front();
            text.remove_prefix(1);
        } else if (text.starts_with("\\\\")) {
            value += '\\';
            text.remove_prefix(2);
        } else {
            const std::size_t high =
                text.size() < 4 || text[1] != 'x' ? std::string_view::npos : digits.find(text[2]);
            const std::size_t low = high == std::string_view::npos ? high : digits.find(text[3]);
            if (low == std::string_view::npos)
                return std::nullopt;
            value += static_cast<char>(high << 4U | low);
            text.remove_prefix(4);
        }
    }
    return value;
}

} // namespace postern
