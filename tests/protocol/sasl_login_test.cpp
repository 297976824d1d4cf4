// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sasl_conversation.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::string_literals;

namespace {

void login(const std::string& transcript, const ConversationTerms& terms = {})
{
    converse(sasl::Mechanism::login, transcript, terms);
}

} // namespace

TEST_CASE("LOGIN asks twice", "[sasl][login]")
{
    login(R"(
        S: Username:
        C: tim
        S: Password:
        C: tanstaaftanstaaf
        check password: tim tanstaaftanstaaf
        B:
        succeed
    )");
}

TEST_CASE("a client of LOGIN that begins with its name is asked for the password alone", "[sasl][login]")
{
    login(R"(
        C: tim
        S: Password:
        C: tanstaaftanstaaf
        check password: tim tanstaaftanstaaf
    )");
}

TEST_CASE("LOGIN needs a user and a password", "[sasl][login]")
{
    login(R"(
        S: Username:
        C:
        fail: the user or the password is empty
    )");
    login(R"(
        C:
        fail: the user or the password is empty
    )");
    login(R"(
        C: tim
        S: Password:
        C:
        fail: the user or the password is empty (tim)
    )");
}

TEST_CASE("LOGIN's user and password have at most as many bytes as a field", "[sasl][login]")
{
    const ConversationTerms terms{.field_bytes_max = 4};
    login(R"(
        C: abc
        S: Password:
        C: abc
        check password: abc abc
    )",
          terms);
    login(R"(
        C: abcd
        S: Password:
        C: abcd
        check password: abcd abcd
    )",
          terms);
    login(R"(
        C: abcde
        fail: the response is too long
    )",
          terms);
    login(R"(
        C: abcd
        S: Password:
        C: abcde
        fail: the response is too long (abcd)
    )",
          terms);
}

TEST_CASE("a name with a control byte is refused by LOGIN", "[sasl][login]")
{
    for (int number = 0; number < 256; ++number) {
        CAPTURE(number);
        const std::string user = std::string{"ti"} + static_cast<char>(number) + "m";
        const bool is_control = number < 0x20 || number == 0x7f;
        CHECK(answer_to(sasl::Mechanism::login, user) ==
              (is_control ? "fail: the name of the user has a control byte" : "S: Password:"));
    }
}

TEST_CASE("a password may have every byte but NUL for LOGIN", "[sasl][login]")
{
    login(R"(
        C: b\xff\xc0\x80 =,
        S: Password:
        C: \x01\x1f \x7f\x80\xff
        check password: b\xff\xc0\x80 =, \x01\x1f \x7f\x80\xff
    )");
    login(R"(
        C: tim
        S: Password:
        C: s3\0cret
        fail: the response is malformed (tim)
    )");
}
