// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/imap_writer.hpp"

#include "base/base64.hpp"
#include "base/wipe.hpp"

#include <algorithm>
#include <stdexcept>

namespace postern::imap {

namespace {

/// NUL, user, NUL, password.
std::size_t raw_plain_bytes(std::string_view user, std::string_view password) noexcept
{
    return 2 + user.size() + password.size();
}

} // namespace

TextWriter& TextWriter::operator<<(std::string_view text)
{
    const std::span<char> place = room(text.size());
    std::ranges::copy(text, place.begin());
    size_ += text.size();
    return *this;
}

void TextWriter::quoted(std::string_view text)
{
    *this << "\"";
    for (const char byte : text) {
        if (byte == '"' || byte == '\\')
            *this << "\\";
        *this << std::string_view{&byte, 1};
    }
    *this << "\"";
}

void TextWriter::plain(std::string_view user, std::string_view password)
{
    const std::size_t raw_bytes = raw_plain_bytes(user, password);
    const std::size_t text_bytes = base64_size(raw_bytes) + 1; // with a NUL
    const std::span<char> place = room(text_bytes + raw_bytes);
    const std::span<char> raw = place.subspan(text_bytes);
    const Wipe at_the_end{raw};
    raw[0] = raw[1 + user.size()] = '\0';
    std::ranges::copy(user, raw.begin() + 1);
    std::ranges::copy(password, raw.end() - static_cast<std::ptrdiff_t>(password.size()));
    size_ += write_base64(place.first(text_bytes), {raw.data(), raw.size()}).size();
}

std::span<char> TextWriter::room(std::size_t bytes) const
{
    if (memory_.size() - size_ < bytes)
        throw std::length_error{"a command does not fit its buffer"};
    return memory_.subspan(size_, bytes);
}

bool can_be_quoted(std::string_view text) noexcept
{
    return std::ranges::none_of(text, [](char byte) {
        return byte == '\r' || byte == '\n' || static_cast<unsigned char>(byte) > 127;
    });
}

std::string literal(std::string_view text, std::string_view plus)
{
    return "{" + std::to_string(text.size()).append(plus) + "}\r\n";
}

std::size_t plain_size(std::string_view user, std::string_view password) noexcept
{
    return base64_size(raw_plain_bytes(user, password));
}

} // namespace postern::imap
