// SPDX-License-Identifier: BSD-2-Clause
#include "base/base64.hpp"

#include <sodium.h>

#include <algorithm>
#include <stdexcept>

namespace postern {

namespace {

/// libsodium 1.0.18 takes bytes above 127 for digits of base64, where a char has a sign.
bool is_ascii(char byte) noexcept
{
    return static_cast<unsigned char>(byte) < 0x80;
}

} // namespace

std::string in_base64(std::string_view bytes)
{
    std::string text(base64_size(bytes.size()) + 1, '\0');
    write_base64(text, bytes);
    text.pop_back();
    return text;
}

std::string in_base64(std::span<const unsigned char> bytes)
{
    return in_base64(std::string_view{reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::string_view write_base64(std::span<char> memory, std::string_view bytes)
{
    const std::size_t size = base64_size(bytes.size());
    if (memory.size() <= size)
        throw std::length_error{"base64 does not fit its buffer"};
    sodium_bin2base64(memory.data(), size + 1, reinterpret_cast<const unsigned char*>(bytes.data()),
                      bytes.size(), sodium_base64_VARIANT_ORIGINAL);
    return {memory.data(), size};
}

std::optional<std::size_t> read_base64(std::string_view text, std::span<char> memory,
                                       Base64Padding padding) noexcept
{
    const int variant = padding == Base64Padding::expected ? sodium_base64_VARIANT_ORIGINAL
                                                           : sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
    std::size_t size = 0;
    if (std::ranges::all_of(text, is_ascii) &&
        sodium_base642bin(reinterpret_cast<unsigned char*>(memory.data()), memory.size(), text.data(),
                          text.size(), nullptr, &size, nullptr, variant) == 0)
        return size;
    sodium_memzero(memory.data(), memory.size());
    return std::nullopt;
}

} // namespace postern
