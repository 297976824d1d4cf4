// SPDX-License-Identifier: BSD-2-Clause
#include "base/json_line.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace postern {

namespace {

constexpr std::size_t plenty = 100'000;

std::string line_with(std::string_view text, std::size_t bytes_max = plenty)
{
    const std::array fields{JsonField{"text", text}};
    return json_line(fields, bytes_max);
}

/// What a reader has of a text that was written.
std::string read_back(std::string_view text, std::size_t bytes_max = plenty)
{
    return nlohmann::json::parse(line_with(text, bytes_max)).at("text").get<std::string>();
}

bool is_printable_ascii(std::string_view line)
{
    return std::ranges::all_of(line, [](char byte) { return byte >= 0x20 && byte < 0x7f; });
}

} // namespace

TEST_CASE("a line of JSON has its fields in their order, each of its kind", "[json]")
{
    const std::array fields{
        JsonField{"who", "bob"}, JsonField{"pid", std::uint64_t{18'446'744'073'709'551'615U}},
        JsonField{"ms", 0.25}, JsonField{"cached", false}, JsonField{"peer", std::monostate{}}};
    CHECK(json_line(fields, plenty) ==
          R"({"who":"bob","pid":18446744073709551615,"ms":0.25,"cached":false,"peer":null})");
    CHECK(json_line({}, plenty) == "{}");
}

TEST_CASE("every byte makes a line of printable ASCII that can be read", "[json]")
{
    for (int byte = 0; byte < 256; ++byte)
        for (const std::string before : {"", "\xe2", "\xe2\x82", "\xf0\x9f\x92"}) {
            const std::string text = before + static_cast<char>(byte) + "x";
            CAPTURE(byte, before.size());
            const std::string line = line_with(text);
            CHECK(is_printable_ascii(line));
            CHECK_THAT(read_back(text), Catch::EndsWith("x"));
            if (byte < 0x80 && before.empty())
                CHECK(read_back(text) == text);
            if (byte >= 0x80 && before.empty())
                CHECK(read_back(text) == "\ufffdx");
        }
}

TEST_CASE("text in UTF-8 comes back as it was", "[json]")
{
    const std::string text = GENERATE("", "b\u00f6b \u20ac \U0001f511", "\"quoted\\\" \b\f\n\r\t\x01\x7f",
                                      "\u0085\u009b\u2028", "</script>");
    CHECK(read_back(text) == text);
}

TEST_CASE("a line is never longer than it may be, whatever is in it", "[json]")
{
    const std::string text = GENERATE(std::string(100'000, 'a'), std::string(100'000, '\0'),
                                      std::string(100'000, '\xff'), std::string(100'000, '"'));
    for (const std::size_t bytes_max : {64U, 500U, 4000U}) {
        CAPTURE(bytes_max);
        CHECK(line_with(text, bytes_max).size() <= bytes_max);
        CHECK_THAT(read_back(text, bytes_max), Catch::EndsWith("..."));
    }
}

TEST_CASE("a text is not cut within a character", "[json]")
{
    for (std::size_t before = 2044; before <= 2048; ++before) {
        CAPTURE(before);
        const std::string kept(before, 'a');
        CHECK_THAT(read_back(kept + "\U0001f511\U0001f511"), !Catch::Contains("\ufffd"));
        CHECK_THAT(read_back(kept + "\U0001f511\U0001f511"),
                   Catch::StartsWith(kept) && Catch::EndsWith("..."));
    }
    CHECK_THAT(read_back(std::string(5000, '\x80')), Catch::EndsWith("\ufffd..."));
}

} // namespace postern
