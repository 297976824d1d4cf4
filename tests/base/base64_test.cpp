// SPDX-License-Identifier: BSD-2-Clause
#include "base/base64.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <stdexcept>

namespace postern {

using namespace std::string_view_literals;

TEST_CASE("base64 is that of RFC 4648", "[base64]")
{
    const auto [bytes, text] = GENERATE(table<std::string_view, std::string_view>({
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf"sv, "+/+/"},
        {"\0\0\0\0"sv, "AAAAAA=="},
    }));
    CAPTURE(text);
    std::array<char, 8> memory{};
    CHECK(in_base64(bytes) == text);
    CHECK(base64_size(bytes.size()) == text.size());
    REQUIRE(read_base64(text, memory) == bytes.size());
    CHECK(std::string_view{memory.data(), bytes.size()} == bytes);
    CHECK(bytes.size() <= base64_bytes_max(text.size()));
}

TEST_CASE("base64 is written where it is told to, with a NUL behind it", "[base64]")
{
    std::array<char, 10> memory;
    memory.fill('x');
    CHECK(write_base64(memory, "foob") == "Zm9vYg==");
    CHECK(std::string_view{memory.data(), memory.size()} == "Zm9vYg==\0x"sv);
    CHECK_THROWS_AS(write_base64(std::span{memory}.first(8), "foob"), std::length_error);
}

TEST_CASE("the padding is there or it is not, as is asked for", "[base64]")
{
    std::array<char, 8> memory{};
    CHECK(read_base64("Zg==", memory, Base64Padding::expected) == 1);
    CHECK(read_base64("Zg", memory, Base64Padding::forbidden) == 1);
    CHECK(read_base64("Zg", memory, Base64Padding::expected) == std::nullopt);
    CHECK(read_base64("Zg==", memory, Base64Padding::forbidden) == std::nullopt);
}

TEST_CASE("what is no base64, or does not fit, leaves nothing of it in memory", "[base64]")
{
    const auto text = GENERATE("Zm9vYmFy="sv, "Zm9vYmF"sv, "Zm9v YmFy"sv, "Zm9vYmFy\n"sv, "Zm9vYmF#"sv,
                               "Zm9vYmFyZm9vYmFy"sv, "Zm9vYmE\xbd"sv, "Zm9vYmF="sv, "Zm9v\0mFy"sv);
    CAPTURE(text);
    std::array<char, 8> memory;
    memory.fill('x');
    CHECK(read_base64(text, memory) == std::nullopt);
    CHECK(std::ranges::count(memory, '\0') == 8);
}

} // namespace postern
