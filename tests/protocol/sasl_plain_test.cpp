// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sasl_conversation.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::string_literals;

namespace {

void plain(const std::string& transcript)
{
    converse(sasl::Mechanism::plain, transcript);
}

std::string answer(const std::string& message, const ConversationTerms& terms = {})
{
    return answer_to(sasl::Mechanism::plain, message, terms);
}

std::string of_size(std::size_t bytes)
{
    return std::string(bytes, 'x');
}

} // namespace

TEST_CASE("PLAIN is one message", "[sasl][plain]")
{
    plain(R"(
        C: \0tim\0tanstaaftanstaaf
        check password: tim tanstaaftanstaaf
        B:
        succeed
    )");
}

TEST_CASE("a client of PLAIN without an initial response is asked for it", "[sasl][plain]")
{
    plain(R"(
        S:
        C: \0tim\0tanstaaftanstaaf
        check password: tim tanstaaftanstaaf
    )");
}

TEST_CASE("PLAIN lets a user act for himself and for nobody else", "[sasl][plain]")
{
    plain(R"(
        C: tim\0tim\0s3cret
        check password: tim s3cret
    )");
    plain(R"(
        C: Ursel\0Kurt\0xipj3plmq
        fail: the client wants to act for somebody else (Kurt)
    )");
    for (const auto* authzid : {"TIM", "ti", "timm", " tim", "tim@example.org", "*"})
        CHECK(answer(authzid + "\0tim\0s3cret"s) == "fail: the client wants to act for somebody else (tim)");
}

TEST_CASE("a message of PLAIN has two NULs, no fewer and no more", "[sasl][plain]")
{
    const auto message = GENERATE(""s, "tim"s, "\0"s, "\0tim"s, "tim\0s3cret"s, "\0\0\0"s, "\0tim\0s3cret\0"s,
                                  "\0tim\0s3\0cret"s, "\0tim\0s3cret\0\0"s);
    CHECK(answer(message) == "fail: the response is malformed");
}

TEST_CASE("PLAIN needs a user and a password", "[sasl][plain]")
{
    CHECK(answer("\0\0s3cret"s) == "fail: the user or the password is empty");
    CHECK(answer("\0\0"s) == "fail: the user or the password is empty");
    CHECK(answer("tim\0\0s3cret"s) == "fail: the user or the password is empty");
    CHECK(answer("\0tim\0"s) == "fail: the user or the password is empty (tim)");
}

TEST_CASE("PLAIN's user and password have at most as many bytes as a field", "[sasl][plain]")
{
    const ConversationTerms terms{.field_bytes_max = 16};
    for (const std::size_t size : {15U, 16U}) {
        CHECK(answer('\0' + of_size(size) + "\0p"s, terms) == "check password: " + of_size(size) + " p");
        CHECK(answer("\0u\0"s + of_size(size), terms) == "check password: u " + of_size(size));
    }
    CHECK(answer('\0' + of_size(17) + "\0p"s, terms) == "fail: the response is too long");
    CHECK(answer("\0u\0"s + of_size(17), terms) == "fail: the response is too long (u)");
}

TEST_CASE("a name with a control byte is refused by PLAIN", "[sasl][plain]")
{
    for (int number = 1; number < 256; ++number) {
        CAPTURE(number);
        const std::string user = std::string{"ti"} + static_cast<char>(number) + "m";
        const bool is_control = number < 0x20 || number == 0x7f;
        CHECK(answer('\0' + user + "\0p"s) == (is_control ? "fail: the name of the user has a control byte"
                                                          : "check password: " + user + " p"));
    }
}

TEST_CASE("PLAIN leaves every other byte as it is", "[sasl][plain]")
{
    plain(R"(
        C: \0b\xff\xc0\x80 =,\0\x01\x1f \x7f\x80\xff
        check password: b\xff\xc0\x80 =, \x01\x1f \x7f\x80\xff
    )");
}
