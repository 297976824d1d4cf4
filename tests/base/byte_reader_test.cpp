// SPDX-License-Identifier: BSD-2-Clause
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>

namespace postern {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view one_to_nine = "\1\2\3\4\5\6\7\10\11"sv;

/// Writes with `write` into memory of exactly `size` bytes and says whether it fitted.
template <typename Write>
bool fits(std::size_t size, Write write)
{
    std::string memory(size, '\0');
    ByteWriter writer{memory};
    try {
        write(writer);
        return true;
    } catch (const std::length_error&) {
        return false;
    }
}

} // namespace

TEST_CASE("integers are read with their first byte as the greatest", "[bytes]")
{
    CHECK(ByteReader{one_to_nine}.u8() == 0x01);
    CHECK(ByteReader{one_to_nine}.u16() == 0x0102);
    CHECK(ByteReader{one_to_nine}.u32() == 0x01020304);
    CHECK(ByteReader{one_to_nine}.u64() == 0x0102030405060708);
    CHECK(ByteReader{"\xff\xff\xff\xff\xff\xff\xff\xff"sv}.u64() == UINT64_MAX);
}

TEST_CASE("an integer is read only when all its bytes are there", "[bytes]")
{
    const auto [width, read] = GENERATE(table<std::size_t, bool (*)(ByteReader&)>({
        {1, [](ByteReader& reader) { return reader.u8().has_value(); }},
        {2, [](ByteReader& reader) { return reader.u16().has_value(); }},
        {4, [](ByteReader& reader) { return reader.u32().has_value(); }},
        {8, [](ByteReader& reader) { return reader.u64().has_value(); }},
    }));
    CAPTURE(width);

    ByteReader too_short{one_to_nine.substr(0, width - 1)};
    CHECK_FALSE(read(too_short));
    CHECK(too_short.rest() == one_to_nine.substr(0, width - 1));

    ByteReader exact{one_to_nine.substr(0, width)};
    CHECK(read(exact));
    CHECK(exact.at_end());

    ByteReader longer{one_to_nine.substr(0, width + 1)};
    CHECK(read(longer));
    CHECK(longer.rest().size() == 1);
}

TEST_CASE("a counted string is read only when all of it is there", "[bytes]")
{
    static constexpr std::string_view wire = "\0\5a\0b c"sv;
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CAPTURE(n);
        ByteReader reader{wire.substr(0, n)};
        CHECK_FALSE(reader.counted_string());
        CHECK(reader.rest() == wire.substr(0, n));
    }
    ByteReader reader{wire};
    CHECK(reader.counted_string() == "a\0b c"sv);
    CHECK(reader.at_end());
}

TEST_CASE("a counted string leaves what stands behind it", "[bytes]")
{
    ByteReader reader{"\0\2ab\0\0x"sv};
    CHECK(reader.counted_string() == "ab"sv);
    CHECK(reader.counted_string() == ""sv);
    CHECK(reader.rest() == "x"sv);
}

TEST_CASE("a counted string of the greatest length is read whole", "[bytes]")
{
    const std::string text(UINT16_MAX, 'x');
    const std::string wire = "\xff\xff" + text;
    CHECK(ByteReader{wire}.counted_string() == text);
    CHECK_FALSE(ByteReader{std::string_view{wire}.substr(0, wire.size() - 1)}.counted_string());
}

TEST_CASE("what is written is read back", "[bytes]")
{
    std::array<char, 64> memory{};
    ByteWriter writer{memory};
    writer.u8(0xfe)
        .u16(0xfedc)
        .u32(0xfedcba98)
        .u64(0xfedcba9876543210)
        .counted_string("a\0b"sv)
        .counted_string("");

    ByteReader reader{writer.written()};
    CHECK(reader.u8() == 0xfe);
    CHECK(reader.u16() == 0xfedc);
    CHECK(reader.u32() == 0xfedcba98);
    CHECK(reader.u64() == 0xfedcba9876543210);
    CHECK(reader.counted_string() == "a\0b"sv);
    CHECK(reader.counted_string() == ""sv);
    CHECK(reader.at_end());
}

TEST_CASE("nothing is written over the end of the memory", "[bytes]")
{
    const auto [size, write] = GENERATE(table<std::size_t, void (*)(ByteWriter&)>({
        {1, [](ByteWriter& writer) { writer.u8(1); }},
        {2, [](ByteWriter& writer) { writer.u16(1); }},
        {4, [](ByteWriter& writer) { writer.u32(1); }},
        {8, [](ByteWriter& writer) { writer.u64(1); }},
        {2, [](ByteWriter& writer) { writer.counted_string(""); }},
        {7, [](ByteWriter& writer) { writer.counted_string("12345"); }},
        {8, [](ByteWriter& writer) { writer.u8(1).counted_string("12345"); }},
    }));
    CAPTURE(size);
    CHECK_FALSE(fits(size - 1, write));
    CHECK(fits(size, write));
    CHECK(fits(size + 1, write));
}

TEST_CASE("a counted string has at most 65535 bytes", "[bytes]")
{
    const std::string longest(UINT16_MAX, 'x');
    CHECK(fits(70000, [&](ByteWriter& writer) { writer.counted_string(longest); }));
    CHECK_FALSE(fits(70000, [&](ByteWriter& writer) { writer.counted_string(longest + 'x'); }));
}

} // namespace postern
