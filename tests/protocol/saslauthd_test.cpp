// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/saslauthd.hpp"
#include "tests/support/saslauthd_wire.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using saslauthd::FieldName;
using saslauthd::Fields;
using saslauthd::Parsed;
using saslauthd::Refused;
using Why = saslauthd::Refused::Why;

constexpr std::size_t field_bytes_max = 32;

Parsed parse(std::string_view bytes)
{
    return saslauthd::parse_request(bytes, field_bytes_max);
}

bool wants_more(const Parsed& parsed)
{
    return std::holds_alternative<saslauthd::NeedsMore>(parsed);
}

bool is_refused(const Parsed& parsed, Why why, FieldName field)
{
    const auto* const refused = std::get_if<Refused>(&parsed);
    return refused != nullptr && refused->why == why && refused->field == field;
}

/// The four fields in their order; empty when the request is not complete or is refused.
std::vector<std::string_view> four_fields(const Parsed& parsed)
{
    if (const auto* const fields = std::get_if<Fields>(&parsed))
        return {fields->login, fields->password, fields->service, fields->realm};
    return {};
}

/// What a session that parses after each piece makes of a request that arrives cut at these places.
Parsed parse_in_pieces(std::string_view wire, std::size_t first_cut, std::size_t second_cut)
{
    for (const std::size_t end : {first_cut, second_cut})
        if (const Parsed parsed = parse(wire.substr(0, end)); !wants_more(parsed))
            return parsed;
    return parse(wire);
}

const std::string alice_wire = request_wire("alice", "s3cret", "imap", "example.org");
const std::vector<std::string_view> alice{"alice", "s3cret", "imap", "example.org"};

/// Alice's request with `text` in one of its fields.
std::string wire_with(FieldName field, std::string_view text)
{
    auto texts = alice;
    texts.at(static_cast<std::size_t>(field)) = text;
    return request_wire(texts[0], texts[1], texts[2], texts[3]);
}

/// The bytes of alice's request that stand in front of one of its fields.
std::string wire_before(FieldName field)
{
    std::string wire;
    for (std::size_t i = 0; i < static_cast<std::size_t>(field); ++i)
        wire += counted(alice[i]);
    return wire;
}

auto every_field()
{
    return GENERATE(FieldName::login, FieldName::password, FieldName::service, FieldName::realm);
}

} // namespace

TEST_CASE("every proper prefix of a saslauthd request asks for more", "[saslauthd]")
{
    for (std::size_t n = 0; n < alice_wire.size(); ++n) {
        CAPTURE(n);
        CHECK(wants_more(parse(std::string_view{alice_wire}.substr(0, n))));
    }
    CHECK(four_fields(parse(alice_wire)) == alice);
}

TEST_CASE("a saslauthd request says the same however it is cut into pieces", "[saslauthd]")
{
    for (std::size_t first = 0; first <= alice_wire.size(); ++first)
        for (std::size_t second = first; second <= alice_wire.size(); ++second)
            if (four_fields(parse_in_pieces(alice_wire, first, second)) != alice)
                FAIL_CHECK("cut at " << first << " and " << second);
}

TEST_CASE("service and realm of a saslauthd request may be empty", "[saslauthd]")
{
    const std::string wire = request_wire("alice", "s3cret", "", "");
    CHECK(four_fields(parse(wire)) == std::vector{"alice"sv, "s3cret"sv, ""sv, ""sv});
}

TEST_CASE("the fields of a saslauthd request keep every byte but NUL", "[saslauthd]")
{
    const auto field = every_field();
    const auto text =
        GENERATE("\x01\x02\x7f\x80\xff"s, " "s, "\r\n\t"s, "%s%n"s, "user=x\tfail=no"s, "jöhn"s);
    const std::string wire = wire_with(field, text);
    const auto fields = four_fields(parse(wire));
    REQUIRE(fields.size() == 4);
    CHECK(fields[static_cast<std::size_t>(field)] == text);
}

TEST_CASE("a request of the development branch brings the client's address", "[saslauthd]")
{
    const std::string wire = alice_wire + counted("192.0.2.7;4711");
    const Parsed parsed = parse(wire);
    CHECK(four_fields(parsed) == alice);
    CHECK(std::get<Fields>(parsed).client_address == "192.0.2.7;4711");
    CHECK_FALSE(std::get<Fields>(parsed).has_bytes_behind);
}

TEST_CASE("an address is taken only when all of it came with the end of the fourth field", "[saslauthd]")
{
    const std::string wire = alice_wire + counted("192.0.2.7;4711");
    for (std::size_t n = alice_wire.size(); n < wire.size(); ++n) {
        CAPTURE(n);
        const Parsed parsed = parse(std::string_view{wire}.substr(0, n));
        CHECK(four_fields(parsed) == alice);
        CHECK(std::get<Fields>(parsed).client_address.empty());
        CHECK(std::get<Fields>(parsed).has_bytes_behind == (n > alice_wire.size()));
    }
}

TEST_CASE("an empty address is taken and means that there is none", "[saslauthd]")
{
    const std::string wire = alice_wire + counted("");
    const auto fields = std::get<Fields>(parse(wire));
    CHECK(fields.client_address.empty());
    CHECK_FALSE(fields.has_bytes_behind);
}

TEST_CASE("an address that cannot be one is ignored, and the login goes on", "[saslauthd]")
{
    const auto address = GENERATE(std::string(field_bytes_max + 1, 'x'), "192.0.2.7\0;1"s);
    const std::string wire = alice_wire + counted(address);
    const Parsed parsed = parse(wire);
    CHECK(four_fields(parsed) == alice);
    CHECK(std::get<Fields>(parsed).client_address.empty());
    CHECK(std::get<Fields>(parsed).has_bytes_behind);
}

TEST_CASE("bytes behind a saslauthd request change nothing", "[saslauthd]")
{
    const auto behind =
        GENERATE("x"s, "\r\n"s, "\xff\xff"s, counted("192.0.2.7;4711") + "x", alice_wire + alice_wire);
    const std::string wire = alice_wire + behind;
    const Parsed parsed = parse(wire);
    CHECK(four_fields(parsed) == alice);
    CHECK(std::get<Fields>(parsed).has_bytes_behind);
}

TEST_CASE("a field of a saslauthd request fills its limit and has not a byte more", "[saslauthd]")
{
    const auto field = every_field();
    const auto [length, fits] = GENERATE(table<std::size_t, bool>({
        {field_bytes_max - 1, true},
        {field_bytes_max, true},
        {field_bytes_max + 1, false},
    }));
    CAPTURE(saslauthd::field_name_text(field), length);
    const std::string text(length, 'x');
    const std::string wire = wire_with(field, text);
    const Parsed parsed = parse(wire);
    if (fits)
        CHECK(four_fields(parsed).at(static_cast<std::size_t>(field)) == text);
    else
        CHECK(is_refused(parsed, Why::field_too_long, field));
}

TEST_CASE("the client's address fills the same limit", "[saslauthd]")
{
    const std::string longest(field_bytes_max, '1');
    const std::string wire = alice_wire + counted(longest);
    CHECK(std::get<Fields>(parse(wire)).client_address == longest);
}

TEST_CASE("a field that is too long is refused as soon as its length is known", "[saslauthd]")
{
    const auto field = every_field();
    const auto length = GENERATE("\0\x21"s, "\1\0"s, "\xff\xff"s);
    const std::string wire = wire_before(field) + length;
    CAPTURE(saslauthd::field_name_text(field));
    CHECK(wants_more(parse(std::string_view{wire}.substr(0, wire.size() - 1))));
    CHECK(is_refused(parse(wire), Why::field_too_long, field));
}

TEST_CASE("the limit of saslauthd's fields may be as high as their length can say", "[saslauthd]")
{
    const std::string longest(65535, 'x');
    const std::string wire = request_wire(longest, longest, longest, longest) + counted(longest);
    const auto parsed = saslauthd::parse_request(wire, 65535);
    CHECK(std::get<Fields>(parsed).client_address.size() == 65535);
    CHECK(wire.size() == saslauthd::request_bytes_max(65535));
}

TEST_CASE("the longest request there is fits what is said to be the most", "[saslauthd]")
{
    const std::string longest(field_bytes_max, 'x');
    const std::string wire = request_wire(longest, longest, longest, longest) + counted(longest);
    CHECK(wire.size() == saslauthd::request_bytes_max(field_bytes_max));
    CHECK_FALSE(std::get<Fields>(parse(wire)).has_bytes_behind);
}

TEST_CASE("a NUL inside a field is refused, so that no two parties read two names", "[saslauthd]")
{
    const auto field = every_field();
    const auto text = GENERATE("\0"s, "\0alice"s, "nobody\0alice"s, "alice\0"s);
    CAPTURE(saslauthd::field_name_text(field));
    CHECK(is_refused(parse(wire_with(field, text)), Why::field_with_nul, field));
}

TEST_CASE("an empty login or password is refused, the login first", "[saslauthd]")
{
    CHECK(is_refused(parse(request_wire("", "s3cret", "imap", "")), Why::empty_login, FieldName::login));
    CHECK(is_refused(parse(request_wire("alice", "", "imap", "")), Why::empty_password, FieldName::password));
    CHECK(is_refused(parse(request_wire("", "", "", "")), Why::empty_login, FieldName::login));
}

TEST_CASE("an empty login or password is refused only when all four fields are there", "[saslauthd]")
{
    const auto wire =
        GENERATE(request_wire("", "s3cret", "imap", "r"), request_wire("alice", "", "imap", "r"));
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CAPTURE(n);
        CHECK(wants_more(parse(std::string_view{wire}.substr(0, n))));
    }
    CHECK(std::holds_alternative<Refused>(parse(wire)));
}

TEST_CASE("a request with another fault in it is refused for that, not for its empty login", "[saslauthd]")
{
    CHECK(is_refused(parse(request_wire("", "a\0b"sv, "", "")), Why::field_with_nul, FieldName::password));
}

TEST_CASE("the fields of a saslauthd request have the names of the incumbent's log", "[saslauthd]")
{
    const auto [field, name] = GENERATE(table<FieldName, std::string_view>({
        {FieldName::login, "login"},
        {FieldName::password, "password"},
        {FieldName::service, "service"},
        {FieldName::realm, "realm"},
    }));
    CHECK(saslauthd::field_name_text(field) == name);
}

std::string reply_to(Verdict verdict, saslauthd::WhenUnavailable when_unavailable = {},
                     const saslauthd::ReplyTexts& texts = {})
{
    std::array<char, saslauthd::reply_bytes_max> memory{};
    return std::string{saslauthd::write_reply(memory, verdict, when_unavailable, texts)};
}

TEST_CASE("a verdict becomes the incumbent's bytes, and the three refusals the same ones", "[saslauthd]")
{
    const auto [verdict, bytes] = GENERATE(table<Verdict, std::string_view>({
        {Verdict::accepted, "\x00\x02OK"sv},
        {Verdict::rejected, "\x00\x02NO"sv},
        {Verdict::unknown_user, "\x00\x02NO"sv},
        {Verdict::barred, "\x00\x02NO"sv},
        {Verdict::unavailable, "\x00\x00"sv},
    }));
    CHECK(reply_to(verdict) == bytes);
}

TEST_CASE("an outage can be made to look like a refusal, and nothing else changes", "[saslauthd]")
{
    using saslauthd::WhenUnavailable;
    CHECK(reply_to(Verdict::unavailable, WhenUnavailable::say_no) == "\0\2NO"sv);
    CHECK(reply_to(Verdict::accepted, WhenUnavailable::say_no) == "\0\2OK"sv);
    CHECK(reply_to(Verdict::rejected, WhenUnavailable::say_no) == "\0\2NO"sv);
}

TEST_CASE("a text stands behind OK, another one behind every NO of a backend, and none behind an outage",
          "[saslauthd]")
{
    using saslauthd::WhenUnavailable;
    const saslauthd::ReplyTexts texts{"well done", "no such luck"};
    CHECK(reply_to(Verdict::accepted, {}, texts) == counted("OK well done"));
    const auto refusal = GENERATE(Verdict::rejected, Verdict::unknown_user, Verdict::barred);
    CHECK(reply_to(refusal, {}, texts) == counted("NO no such luck"));
    CHECK(reply_to(Verdict::unavailable, {}, texts) == "\0\0"sv);
    CHECK(reply_to(Verdict::unavailable, WhenUnavailable::say_no, texts) == counted("NO"));
}

TEST_CASE("a text may be as long as the buffer that is meant for it", "[saslauthd]")
{
    const std::string longest(saslauthd::reply_text_bytes_max, 'x');
    CHECK(reply_to(Verdict::accepted, {}, {longest, ""}) == counted("OK " + longest));
    CHECK_THROWS_AS(reply_to(Verdict::rejected, {}, {"", longest + 'x'}), std::length_error);
}

TEST_CASE("a verdict that does not exist is answered like an outage", "[saslauthd]")
{
    const auto number = GENERATE(0, 6, 255);
    CHECK(reply_to(static_cast<Verdict>(number)) == "\0\0"sv);
}

TEST_CASE("a refused request gets the incumbent's text", "[saslauthd]")
{
    const auto [why, text] = GENERATE(table<Why, std::string_view>({
        {Why::empty_login, "NO NULL login received"},
        {Why::empty_password, "NO NULL password received"},
        {Why::field_too_long, "NO "},
        {Why::field_with_nul, "NO "},
    }));
    CHECK(saslauthd::reply(Refused{why, FieldName::login}) == counted(text));
}

TEST_CASE("a client's request is what the daemon reads", "[saslauthd]")
{
    const auto address = GENERATE(""sv, "192.0.2.7;4711"sv);
    const Fields fields{"alice", "s3cret", "imap", "example.org", address, false};
    std::string memory(256, '\0');

    const auto wire = saslauthd::write_request(memory, fields);

    CHECK(wire == alice_wire + (address.empty() ? "" : counted(address)));
    const Parsed parsed = parse(wire);
    CHECK(four_fields(parsed) == alice);
    CHECK(std::get<Fields>(parsed).client_address == address);
}

TEST_CASE("a client's request that does not fit is not written by halves", "[saslauthd]")
{
    const std::string text(65536, 'x');
    std::string memory(200'000, '\0');
    CHECK_THROWS_AS(saslauthd::write_request(memory, {"alice", text, "", "", "", false}), std::length_error);

    std::string exact(alice_wire.size(), '\0');
    const Fields fields{"alice", "s3cret", "imap", "example.org", "", false};
    CHECK(saslauthd::write_request(exact, fields) == alice_wire);
    CHECK_THROWS_AS(saslauthd::write_request(std::span{exact}.first(exact.size() - 1), fields),
                    std::length_error);
}

TEST_CASE("a client waits for the whole reply", "[saslauthd]")
{
    const std::string wire = counted("NO NULL login received");
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CAPTURE(n);
        CHECK_FALSE(saslauthd::parse_reply(std::string_view{wire}.substr(0, n)));
    }
    CHECK(saslauthd::parse_reply(wire) == "NO NULL login received");
}

TEST_CASE("a client reads every reply that the daemon gives", "[saslauthd]")
{
    const auto [verdict, text] = GENERATE(table<Verdict, std::string_view>({
        {Verdict::accepted, "OK"},
        {Verdict::rejected, "NO"},
        {Verdict::unavailable, ""},
    }));
    CHECK(saslauthd::parse_reply(reply_to(verdict)) == text);
}

} // namespace postern
