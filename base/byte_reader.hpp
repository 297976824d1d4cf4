// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern {

/// Reads big-endian integers and counted strings off the front of borrowed bytes.
///
/// Every length is checked here and nowhere else. A read that does not fit returns nothing and leaves
/// the position where it was.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) noexcept : rest_{bytes} {}

    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

    [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

    [[nodiscard]] std::optional<std::uint8_t> u8() noexcept { return integer<std::uint8_t>(); }

    [[nodiscard]] std::optional<std::uint16_t> u16() noexcept { return integer<std::uint16_t>(); }

    [[nodiscard]] std::optional<std::uint32_t> u32() noexcept { return integer<std::uint32_t>(); }

    [[nodiscard]] std::optional<std::uint64_t> u64() noexcept { return integer<std::uint64_t>(); }

    /// A 16-bit length and that many bytes, borrowed from the input.
    [[nodiscard]] std::optional<std::string_view> counted_string() noexcept
    {
        ByteReader ahead = *this;
        const auto length = ahead.u16();
        if (!length || ahead.rest_.size() < *length)
            return std::nullopt;
        const std::string_view text = ahead.rest_.substr(0, *length);
        rest_ = ahead.rest_.substr(*length);
        return text;
    }

private:
    template <typename Integer>
    std::optional<Integer> integer() noexcept
    {
        if (rest_.size() < sizeof(Integer))
            return std::nullopt;
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(Integer); ++i)
            value = value << 8U | static_cast<unsigned char>(rest_[i]);
        rest_.remove_prefix(sizeof(Integer));
        return static_cast<Integer>(value);
    }

    std::string_view rest_;
};

} // namespace postern
