// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

/// What both sides of the Dovecot authentication protocol share: lines that end in LF, fields with TABs
/// between them, an escape byte, base64. protocol/README.md shows it byte by byte.
///
/// Bytes in, values out: no sockets, no clock, no log. Fields may be password material, so nothing here keeps
/// a byte: a field is unescaped where it stands, and a response is decoded into memory of the caller.
namespace postern::dovecot {

/// The longest line that is taken, with its LF.
inline constexpr std::size_t line_bytes_max = 16'384;

/// The most that a base64 of one line can hold.
inline constexpr std::size_t response_bytes_max = line_bytes_max / 4 * 3;

/// The protocol's version: Dovecot 2.2 and 2.3 speak it. From minor 3 on, some peers expect a server that
/// waits for their version before it says its own.
inline constexpr std::uint32_t version_major = 1;
inline constexpr std::uint32_t version_minor = 2;

/// More bytes have to arrive first.
struct NeedsMore {};

/// The bytes of a base64 text in the standard alphabet with its padding, decoded into `memory`; nothing when
/// it is none. "" and "=" are empty: peers say the latter where the former would mean that there is
/// nothing. Throws std::length_error when `memory` is smaller than three quarters of the text.
[[nodiscard]] std::optional<std::string_view> decode_base64(std::string_view text, std::span<char> memory);

/// A whole decimal number of 32 bits, and nothing beside it.
[[nodiscard]] std::optional<std::uint32_t> decimal(std::string_view text) noexcept;

/// Finds where a line ends in what has arrived, and looks at no byte twice.
class LineFinder {
public:
    /// The size of the first line, without its LF; nothing while it is not complete. What has `arrived` then
    /// has to begin with the same bytes the next time.
    [[nodiscard]] std::optional<std::size_t> find(std::string_view arrived) noexcept;

    /// No line will come of it.
    [[nodiscard]] bool is_too_long() const noexcept { return looked_at_ == line_bytes_max; }

private:
    std::size_t looked_at_ = 0;
};

/// Takes the fields off a line, one after the other. Each is unescaped in the line's own memory.
class FieldReader {
public:
    explicit FieldReader(std::span<char> line) noexcept : rest_{line} {}

    /// Nothing behind the last field, and at one that is malformed.
    [[nodiscard]] std::optional<std::string_view> next() noexcept;

    /// The same, as a number.
    [[nodiscard]] std::optional<std::uint32_t> next_number() noexcept;

    [[nodiscard]] bool at_end() const noexcept { return is_at_end_; }

    /// A field with a NUL, escaped or not, or with half of an escape.
    [[nodiscard]] bool is_malformed() const noexcept { return is_malformed_; }

private:
    std::span<char> rest_;
    bool is_at_end_ = false;
    bool is_malformed_ = false;
};

/// "name=value". A name alone has an empty value.
struct Parameter {
    explicit Parameter(std::string_view field) noexcept;

    std::string_view name;
    std::string_view value;
};

/// Writes lines into borrowed memory. Throws std::length_error when they do not fit.
class LineWriter {
public:
    explicit LineWriter(std::span<char> memory) noexcept : memory_{memory} {}

    [[nodiscard]] std::string_view written() const noexcept { return {memory_.data(), size_}; }

    /// The first word of a line.
    LineWriter& begin(std::string_view word) { return bytes(word); }

    /// A TAB, and what stands behind it.
    LineWriter& field(std::string_view name, std::string_view value = {});
    LineWriter& number(std::uint32_t value);
    LineWriter& escaped(std::string_view name, std::string_view value);
    LineWriter& base64(std::string_view name, std::string_view raw);

    /// An LF.
    LineWriter& end() { return bytes("\n"); }

private:
    LineWriter& bytes(std::string_view text);
    [[nodiscard]] std::span<char> room(std::size_t bytes) const;

    std::span<char> memory_;
    std::size_t size_ = 0;
};

} // namespace postern::dovecot
