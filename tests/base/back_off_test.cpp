// SPDX-License-Identifier: BSD-2-Clause
#include "base/back_off.hpp"
#include "tests/support/manual_clock.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::chrono_literals;

namespace {

struct Attempts {
    ManualClock clock;
    BackOff back_off;

    void fail() { back_off.on_failure(clock.now()); }

    [[nodiscard]] Duration pause() const { return back_off.until() - clock.now(); }
};

} // namespace

TEST_CASE("the first attempt need not wait", "[back_off]")
{
    const Attempts attempts;
    CHECK(attempts.back_off.until() <= attempts.clock.now());
}

TEST_CASE("each failure doubles the pause, up to half a minute", "[back_off]")
{
    Attempts attempts;
    for (const auto pause :
         {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12'800ms, 25'600ms, 30'000ms, 30'000ms}) {
        attempts.fail();
        CHECK(attempts.pause() == pause);
        attempts.clock.advance(pause);
    }
}

TEST_CASE("failures within one pause count as one, and do not make it longer", "[back_off]")
{
    Attempts attempts;
    attempts.fail();
    attempts.clock.advance(99ms);
    attempts.fail();
    CHECK(attempts.pause() == 1ms);
    attempts.clock.advance(1ms);
    attempts.fail();
    CHECK(attempts.pause() == 200ms);
}

TEST_CASE("after a success the pauses begin with the shortest", "[back_off]")
{
    Attempts attempts;
    for (const auto pause : {100ms, 200ms}) {
        attempts.fail();
        attempts.clock.advance(pause);
    }
    attempts.back_off.on_success();
    attempts.fail();
    CHECK(attempts.pause() == 100ms);
}
