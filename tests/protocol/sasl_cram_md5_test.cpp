// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sasl_conversation.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::string_literals;

namespace {

const std::string digest = "b913a602c7eda7a495b4e6e7334d3890";

void cram_md5(const std::string& transcript)
{
    converse(sasl::Mechanism::cram_md5, transcript);
}

std::string answer(const std::string& message, const ConversationTerms& terms = {})
{
    return answer_to(sasl::Mechanism::cram_md5, message, terms);
}

std::string proof_of(const std::string& user)
{
    return "check proof: " + user + " <1@postern> " + digest;
}

} // namespace

TEST_CASE("CRAM-MD5 goes as in section 2 of RFC 2195", "[sasl][cram_md5]")
{
    converse(sasl::Mechanism::cram_md5, R"(
        S: <1896.697170952@postoffice.reston.mci.net>
        C: tim b913a602c7eda7a495b4e6e7334d3890
        check proof: tim <1896.697170952@postoffice.reston.mci.net> b913a602c7eda7a495b4e6e7334d3890
        B:
        succeed
    )",
             {.challenge = "<1896.697170952@postoffice.reston.mci.net>"});
}

TEST_CASE("a client of CRAM-MD5 cannot speak first", "[sasl][cram_md5]")
{
    cram_md5(R"(
        C: tim b913a602c7eda7a495b4e6e7334d3890
        fail: the response was not asked for
    )");
    cram_md5(R"(
        C:
        fail: the response was not asked for
    )");
}

TEST_CASE("the last blank ends the name in CRAM-MD5", "[sasl][cram_md5]")
{
    CHECK(answer("tim b9 " + digest) == proof_of("tim b9"));
    CHECK(answer(" tim  " + digest) == proof_of(" tim "));
    CHECK(answer("  " + digest) == proof_of(" "));
    CHECK(answer(digest + " " + digest) == proof_of(digest));
}

TEST_CASE("a backend gets the digits of CRAM-MD5 in lower case", "[sasl][cram_md5]")
{
    CHECK(answer("tim B913A602C7EDA7A495B4E6E7334D3890") == proof_of("tim"));
    CHECK(answer("tim b913A602c7eda7a495b4e6E7334d3890") == proof_of("tim"));
}

TEST_CASE("what is no name, blank and 32 digits is no answer in CRAM-MD5", "[sasl][cram_md5]")
{
    const std::string malformed = "fail: the response is malformed";
    CHECK(answer("") == malformed);
    CHECK(answer("tim") == malformed);
    CHECK(answer(digest) == malformed);
    CHECK(answer("tim\t" + digest) == malformed);
    const auto digits =
        GENERATE(""s, "b913a602c7eda7a495b4e6e7334d389"s, "b913a602c7eda7a495b4e6e7334d38900"s,
                 "b913a602c7eda7a495b4e6e7334d389g"s, "/913a602c7eda7a495b4e6e7334d3890"s,
                 ":913a602c7eda7a495b4e6e7334d3890"s, "`913a602c7eda7a495b4e6e7334d3890"s,
                 "@913a602c7eda7a495b4e6e7334d3890"s, "b913a602c7eda7a495b4e6e7334d389\0"s,
                 "b913a602c7eda7a495b4e6e7334d389\xff"s);
    CAPTURE(digits);
    CHECK(answer("tim " + digits) == malformed + " (tim)");
    CHECK(answer("tim " + digest + " ") == malformed + " (tim " + digest + ")");
}

TEST_CASE("CRAM-MD5 needs a user", "[sasl][cram_md5]")
{
    CHECK(answer(" " + digest) == "fail: the user or the password is empty");
}

TEST_CASE("CRAM-MD5's user has at most as many bytes as a field", "[sasl][cram_md5]")
{
    const ConversationTerms terms{.field_bytes_max = 4};
    CHECK(answer("abc " + digest, terms) == proof_of("abc"));
    CHECK(answer("abcd " + digest, terms) == proof_of("abcd"));
    CHECK(answer("abcde " + digest, terms) == "fail: the response is too long");
}

TEST_CASE("a name with a control byte is refused by CRAM-MD5", "[sasl][cram_md5]")
{
    for (int number = 0; number < 256; ++number) {
        CAPTURE(number);
        const std::string user = std::string{"ti"} + static_cast<char>(number) + "m";
        const bool is_control = number < 0x20 || number == 0x7f;
        CHECK(answer(user + " " + digest) ==
              (is_control ? "fail: the name of the user has a control byte" : proof_of(user)));
    }
}
