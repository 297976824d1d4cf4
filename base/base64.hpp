// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// base64 in its standard alphabet (RFC 4648, section 4), and nothing beside it: no blanks, no line ends, no
/// bits that count for nothing.
///
/// What may be a secret goes from memory of the caller into memory of the caller, who wipes both.
namespace postern {

/// The padding at the end. Dovecot, SASL and LDAP have it, passlib leaves it out.
enum class Base64Padding : std::uint8_t { expected, forbidden };

/// The size of the text that so many bytes become.
[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) noexcept
{
    return (bytes + 2) / 3 * 4;
}

/// The most bytes that a padded text of that size stands for.
[[nodiscard]] constexpr std::size_t base64_bytes_max(std::size_t text_size) noexcept
{
    return text_size / 4 * 3;
}

/// Of bytes that are no secret.
[[nodiscard]] std::string in_base64(std::string_view bytes);
[[nodiscard]] std::string in_base64(std::span<const unsigned char> bytes);

/// The text is written to the beginning of `memory`, which must have one byte more than base64_size(): a NUL
/// comes behind it. Throws std::length_error when it has not.
std::string_view write_base64(std::span<char> memory, std::string_view bytes);

/// The number of bytes that `text` stands for, which are at the beginning of `memory` then. Nothing when it
/// is no base64 or they do not fit: nothing of them is in `memory` then.
[[nodiscard]] std::optional<std::size_t>
read_base64(std::string_view text, std::span<char> memory,
            Base64Padding padding = Base64Padding::expected) noexcept;

} // namespace postern
