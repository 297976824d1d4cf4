// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.hpp"
#include "tests/support/log_text.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::string_literals;

/// A log line can show any value without being forged, and an admin can tell which value it was.
bool is_shown_safely(const std::string& value)
{
    const std::string escaped = escape_log_value(value);
    return is_harmless_in_log(escaped) && unescape_log_value(escaped) == value;
}

} // namespace

TEST_CASE("no user name can forge or break a log line", "[log]")
{
    const auto [value, escaped] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"alice@example.org", "alice@example.org"},
        {"two words", "two words"},
        {"alice\nroot logged in", R"(alice\x0aroot logged in)"},
        {"\r\n", R"(\x0d\x0a)"},
        {"\x1b[2J", R"(\x1b[2J)"},
        {"a\0b"s, R"(a\x00b)"},
        {"\x7f\t", R"(\x7f\x09)"},
        {"a] [service=imap", R"(a\x5d [service=imap)"},
        {R"(DOMAIN\user)", R"(DOMAIN\\user)"},
        {R"(\x0a)", R"(\\x0a)"},
        {"%s%n%1000000d", "%s%n%1000000d"},
    }));
    CHECK(escape_log_value(value) == escaped);
}

TEST_CASE("names in UTF-8 stay readable in the log", "[log]")
{
    const auto name = GENERATE("jöhn"s, "Мария"s, "山田"s, "😀"s, "\u00a0"s, "\uffff"s, "\U0010ffff"s);
    CHECK(escape_log_value(name) == name);
}

TEST_CASE("bytes that are not UTF-8 are shown as numbers", "[log]")
{
    const auto [what, value, escaped] = GENERATE(table<std::string, std::string, std::string>({
        {"no start byte", "\x80", R"(\x80)"},
        {"no byte of UTF-8 at all", "\xff\xfe", R"(\xff\xfe)"},
        {"Latin-1", "J\xfcrgen", R"(J\xfcrgen)"},
        {"ends too early", "\xe2\x82", R"(\xe2\x82)"},
        {"broken off by another character",
         "\xe2\x82"
         "A",
         R"(\xe2\x82A)"},
        {"a control character (C1)", "\xc2\x85", R"(\xc2\x85)"},
        {"overlong, two bytes", "\xc0\x8a", R"(\xc0\x8a)"},
        {"overlong, three bytes", "\xe0\x80\x8a", R"(\xe0\x80\x8a)"},
        {"overlong, four bytes", "\xf0\x80\x80\x8a", R"(\xf0\x80\x80\x8a)"},
        {"half a surrogate pair", "\xed\xa0\x80", R"(\xed\xa0\x80)"},
        {"beyond the last character", "\xf4\x90\x80\x80", R"(\xf4\x90\x80\x80)"},
    }));
    CAPTURE(what);
    CHECK(escape_log_value(value) == escaped);
}

TEST_CASE("every string of one or two bytes is shown safely", "[log]")
{
    for (int first = 0; first < 256; ++first) {
        const std::string one(1, static_cast<char>(first));
        if (!is_shown_safely(one))
            FAIL_CHECK("byte " << first);
        for (int second = 0; second < 256; ++second)
            if (!is_shown_safely(one + static_cast<char>(second)))
                FAIL_CHECK("bytes " << first << ' ' << second);
    }
}

TEST_CASE("a long value is cut, and the log says so", "[log]")
{
    const std::string name(256, 'x');
    CHECK(escape_log_value(name.substr(1)) == name.substr(1));
    CHECK(escape_log_value(name) == name);
    CHECK(escape_log_value(name + 'x') == name + "...");
    CHECK(escape_log_value(std::string(100'000, '\n')).size() <= 256 + 3);
}

TEST_CASE("a value is never cut inside a character or an escape", "[log]")
{
    const auto [value, bytes_max, cut] = GENERATE(table<std::string, std::size_t, std::string>({
        {"abc€", 6, "abc€"},
        {"abc€", 5, "abc..."},
        {"ab\n", 6, R"(ab\x0a)"},
        {"ab\n", 5, "ab..."},
        {R"(ab\)", 3, "ab..."},
        {"a", 0, "..."},
        {"", 0, ""},
    }));
    CAPTURE(value, bytes_max);
    CHECK(escape_log_value(value, bytes_max) == cut);
}

TEST_CASE("a line of somebody else keeps its words, and is one line of UTF-8", "[log]")
{
    const auto [line, escaped] = GENERATE(table<std::string, std::string>({
        {R"(user 'DOM\alice' [svc] granted)", R"(user 'DOM\alice' [svc] granted)"},
        {"jöhn]", "jöhn]"},
        {"one\ntwo\x1b[2J", R"(one\x0atwo\x1b[2J)"},
        {"J\xfcrgen\xc2\x85", R"(J\xfcrgen\xc2\x85)"},
        {"a\0b"s, R"(a\x00b)"},
    }));
    CHECK(escape_log_line(line, 100) == escaped);
    CHECK(escape_log_line(line, 2).size() <= 2 + 3);
}

} // namespace postern
