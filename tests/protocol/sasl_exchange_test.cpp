// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/sasl_exchange.hpp"
#include "tests/support/sasl_conversation.hpp"

#include <catch2/catch.hpp>
#include <new>
#include <set>

using namespace postern;
using sasl::Mechanism;

namespace {

const std::string unexpected = "fail: the response was not asked for";

std::unique_ptr<sasl::Exchange> exchange_of(Mechanism mechanism, SecretArena& arena)
{
    return make_exchange(mechanism, {.secrets = arena, .challenge = "<1@postern>", .nonce = "server"});
}

} // namespace

TEST_CASE("each mechanism is found by its name, in any case", "[sasl]")
{
    CHECK(sasl::mechanism_from("PLAIN") == Mechanism::plain);
    CHECK(sasl::mechanism_from("login") == Mechanism::login);
    CHECK(sasl::mechanism_from("Cram-Md5") == Mechanism::cram_md5);
    CHECK(sasl::mechanism_from("scram-SHA-1") == Mechanism::scram_sha_1);
    CHECK(sasl::mechanism_from("SCRAM-SHA-256") == Mechanism::scram_sha_256);
    for (const Mechanism mechanism : sasl::all_mechanisms)
        CHECK(sasl::mechanism_from(sasl::mechanism_name(mechanism)) == mechanism);
}

TEST_CASE("what is not the whole name of a mechanism is none", "[sasl]")
{
    for (const auto* name :
         {"", "PLAI", "PLAIN ", "PLAINX", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512", "DIGEST-MD5"})
        CHECK(sasl::mechanism_from(name) == std::nullopt);
}

TEST_CASE("every failure has a text of its own", "[sasl]")
{
    std::set<std::string_view> texts;
    const auto last = static_cast<std::uint8_t>(sasl::Failure::backend);
    for (std::uint8_t number = 0; number <= last; ++number)
        texts.insert(sasl::failure_text(static_cast<sasl::Failure>(number)));
    CHECK(texts.size() == last + 1U);
    CHECK(texts.count("invalid") == 0);
}

TEST_CASE("an exchange that has not begun takes nothing", "[sasl]")
{
    SecretArena arena{64, 2};
    for (const Mechanism mechanism : sasl::all_mechanisms) {
        CAPTURE(sasl::mechanism_name(mechanism));
        CHECK(step_text(exchange_of(mechanism, arena)->take("x")) == unexpected);
        CHECK(step_text(exchange_of(mechanism, arena)->take_challenge("x")) == unexpected);
        CHECK(step_text(exchange_of(mechanism, arena)->take_acceptance("x")) == unexpected);
    }
}

TEST_CASE("an exchange begins once", "[sasl]")
{
    SecretArena arena{64, 2};
    for (const Mechanism mechanism : sasl::all_mechanisms) {
        const auto exchange = exchange_of(mechanism, arena);
        static_cast<void>(exchange->begin(std::nullopt));
        CHECK(step_text(exchange->begin(std::nullopt)) == unexpected);
    }
}

TEST_CASE("nobody is in who has not been accepted", "[sasl]")
{
    SecretArena arena{64, 2};
    for (const Mechanism mechanism : sasl::all_mechanisms) {
        CAPTURE(sasl::mechanism_name(mechanism));
        const auto exchange = exchange_of(mechanism, arena);
        static_cast<void>(exchange->begin(std::nullopt)); // the client's turn
        CHECK(step_text(exchange->take_acceptance("")) == unexpected);
        CHECK(step_text(exchange->take("")) == unexpected);
    }
}

TEST_CASE("a client that speaks while its password is checked has lost its exchange", "[sasl]")
{
    using namespace std::string_literals;
    SecretArena arena{64, 2};
    const auto exchange = exchange_of(Mechanism::plain, arena);
    CHECK(step_text(exchange->begin("\0alice\0s3cret"s)) == "check password: alice s3cret");
    CHECK(step_text(exchange->take("\0alice\0s3cret"s)) == unexpected);
    CHECK(step_text(exchange->take_acceptance("")) == unexpected);
}

TEST_CASE("nothing follows a failure but another", "[sasl]")
{
    SecretArena arena{64, 2};
    const auto exchange = exchange_of(Mechanism::plain, arena);
    CHECK(step_text(exchange->begin("no NUL")) == "fail: the response is malformed");
    CHECK(step_text(exchange->take("x")) == unexpected);
    CHECK(step_text(exchange->take_challenge("s=QSXC,i=1")) == unexpected);
    CHECK(step_text(exchange->take_acceptance("")) == unexpected);
}

TEST_CASE("nothing follows success", "[sasl]")
{
    using namespace std::string_literals;
    SecretArena arena{64, 2};
    const auto exchange = exchange_of(Mechanism::plain, arena);
    CHECK(step_text(exchange->begin("\0alice\0s3cret"s)) == "check password: alice s3cret");
    CHECK(step_text(exchange->take_acceptance("")) == "succeed");
    CHECK(step_text(exchange->take_acceptance("")) == unexpected);
    CHECK(step_text(exchange->take("")) == unexpected);
}

TEST_CASE("an exchange for whose password there is no room is over", "[sasl]")
{
    using namespace std::string_literals;
    SecretArena arena{64, 1};
    const Secret other{arena, "somebody else's"};
    const auto exchange = exchange_of(Mechanism::plain, arena);
    CHECK_THROWS_AS(exchange->begin("\0alice\0s3cret"s), std::bad_alloc);
    CHECK(step_text(exchange->take_acceptance("")) == unexpected);
}

TEST_CASE("an exchange keeps no secret that it has given away", "[sasl]")
{
    using namespace std::string_literals;
    SecretArena arena{64, 2};
    const auto exchange = exchange_of(Mechanism::plain, arena);
    {
        const sasl::Step step = exchange->begin("\0alice\0s3cret"s);
        CHECK(arena.slots_free() == 1);
    }
    CHECK(arena.slots_free() == 2);
}
