// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string_view>

namespace postern {

/// Writes big-endian integers and counted strings into borrowed memory; the counterpart of ByteReader.
///
/// The memory is the caller's, so that a message with a password in it is built where passwords may live.
/// Throws std::length_error when something does not fit.
class ByteWriter {
public:
    explicit ByteWriter(std::span<char> memory) noexcept : memory_{memory} {}

    [[nodiscard]] std::string_view written() const noexcept { return {memory_.data(), size_}; }

    ByteWriter& u8(std::uint8_t value) { return integer(value, sizeof value); }

    ByteWriter& u16(std::uint16_t value) { return integer(value, sizeof value); }

    ByteWriter& u32(std::uint32_t value) { return integer(value, sizeof value); }

    ByteWriter& u64(std::uint64_t value) { return integer(value, sizeof value); }

    /// A 16-bit length and the bytes.
    ByteWriter& counted_string(std::string_view text)
    {
        if (text.size() > UINT16_MAX)
            throw std::length_error{"a counted string has at most 65535 bytes"};
        u16(static_cast<std::uint16_t>(text.size()));
        char* const place = take(text.size());
        if (!text.empty())
            std::memcpy(place, text.data(), text.size());
        return *this;
    }

private:
    ByteWriter& integer(std::uint64_t value, std::size_t bytes)
    {
        char* const place = take(bytes);
        for (std::size_t i = 0; i < bytes; ++i)
            place[i] = static_cast<char>(value >> 8U * (bytes - 1 - i));
        return *this;
    }

    char* take(std::size_t bytes)
    {
        if (memory_.size() - size_ < bytes)
            throw std::length_error{"a message does not fit its buffer"};
        char* const place = memory_.data() + size_;
        size_ += bytes;
        return place;
    }

    std::span<char> memory_;
    std::size_t size_ = 0;
};

} // namespace postern
