// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/dovecot_wire.hpp"

#include "base/base64.hpp"
#include "base/nul_byte.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <stdexcept>
#include <utility>

namespace postern::dovecot {

namespace {

constexpr char escape = '\1';

/// The bytes that cannot stand in a field, each with its letter behind the escape byte.
constexpr std::array<std::pair<char, char>, 5> escapes{{
    {'\0', '0'},
    {escape, '1'},
    {'\t', 't'},
    {'\r', 'r'},
    {'\n', 'n'},
}};

/// Any other letter stands for itself.
char unescaped(char letter) noexcept
{
    const auto* const found = std::ranges::find(escapes, letter, &std::pair<char, char>::second);
    return found == escapes.end() ? letter : found->first;
}

/// It becomes shorter and stays where it is. Nothing when it is malformed.
std::optional<std::string_view> unescape(std::span<char> field) noexcept
{
    const std::string_view text{field.data(), field.size()};
    if (has_nul(text))
        return std::nullopt;
    std::size_t size = std::min(text.find(escape), text.size());
    for (std::size_t i = size; i < field.size(); ++i) {
        char byte = field[i];
        if (byte == escape) {
            if (++i == field.size())
                return std::nullopt;
            byte = unescaped(field[i]);
            if (byte == '\0')
                return std::nullopt;
        }
        field[size++] = byte;
    }
    return text.substr(0, size);
}

} // namespace

std::optional<std::string_view> decode_base64(std::string_view text, std::span<char> memory)
{
    if (text.empty() || text == "=")
        return std::string_view{};
    const std::size_t raw_bytes_max = base64_bytes_max(text.size());
    if (memory.size() < raw_bytes_max)
        throw std::length_error{"a response does not fit its buffer"};
    const auto size = read_base64(text, memory.first(raw_bytes_max));
    return size ? std::optional{std::string_view{memory.data(), *size}} : std::nullopt;
}

std::optional<std::uint32_t> decimal(std::string_view text) noexcept
{
    std::uint32_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [behind, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || behind != end)
        return std::nullopt;
    return value;
}

std::optional<std::size_t> LineFinder::find(std::string_view arrived) noexcept
{
    const std::string_view line = arrived.substr(0, line_bytes_max);
    const std::size_t end = line.find('\n', looked_at_);
    looked_at_ = end == std::string_view::npos ? line.size() : 0;
    return end == std::string_view::npos ? std::nullopt : std::optional{end};
}

std::optional<std::string_view> FieldReader::next() noexcept
{
    if (is_at_end_ || is_malformed_)
        return std::nullopt;
    const std::size_t tab = std::min(std::string_view{rest_.data(), rest_.size()}.find('\t'), rest_.size());
    is_at_end_ = tab == rest_.size();
    const auto field = unescape(rest_.first(tab));
    is_malformed_ = !field;
    rest_ = rest_.subspan(is_at_end_ ? tab : tab + 1);
    return field;
}

std::optional<std::uint32_t> FieldReader::next_number() noexcept
{
    const auto field = next();
    return field ? decimal(*field) : std::nullopt;
}

Parameter::Parameter(std::string_view field) noexcept : name{field.substr(0, field.find('='))}
{
    if (name.size() < field.size())
        value = field.substr(name.size() + 1);
}

LineWriter& LineWriter::field(std::string_view name, std::string_view value)
{
    return bytes("\t").bytes(name).bytes(value);
}

LineWriter& LineWriter::number(std::uint32_t value)
{
    std::array<char, std::numeric_limits<std::uint32_t>::digits10 + 1> digits{};
    const auto result = std::to_chars(digits.begin(), digits.end(), value);
    return field({digits.data(), static_cast<std::size_t>(result.ptr - digits.data())});
}

LineWriter& LineWriter::escaped(std::string_view name, std::string_view value)
{
    field(name);
    for (const char& byte : value) {
        const auto* const found = std::ranges::find(escapes, byte, &std::pair<char, char>::first);
        if (found == escapes.end())
            bytes({&byte, 1});
        else
            bytes({&escape, 1}).bytes({&found->second, 1});
    }
    return *this;
}

/// The NUL behind it is where the next byte comes: a line goes on with a TAB or an LF.
LineWriter& LineWriter::base64(std::string_view name, std::string_view raw)
{
    field(name);
    size_ += write_base64(room(base64_size(raw.size()) + 1), raw).size();
    return *this;
}

LineWriter& LineWriter::bytes(std::string_view text)
{
    std::ranges::copy(text, room(text.size()).begin());
    size_ += text.size();
    return *this;
}

std::span<char> LineWriter::room(std::size_t bytes) const
{
    if (memory_.size() - size_ < bytes)
        throw std::length_error{"a line does not fit its buffer"};
    return memory_.subspan(size_, bytes);
}

} // namespace postern::dovecot
