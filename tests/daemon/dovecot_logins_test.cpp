// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/dovecot_logins.hpp"
#include "tests/support/manual_clock.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;

DovecotLogin login_of(std::uint32_t id, sasl::Mechanism mechanism = sasl::Mechanism::plain)
{
    DovecotLogin login;
    login.id = id;
    login.mechanism = mechanism;
    return login;
}

} // namespace

TEST_CASE("of too many that wait the one that has waited for longest is forgotten", "[dovecot_logins]")
{
    ManualClock clock;
    DovecotLogins logins{clock};
    const auto in_work = logins.open(login_of(1000));
    static_cast<void>(logins.begin_work(in_work));
    for (std::uint32_t id = 0; id < 32; ++id) {
        logins.wait(logins.open(login_of(id)));
        clock.advance(1ms);
    }
    logins.wait(logins.find(0)); // which has just been heard of
    CHECK(logins.find(1) != logins.end());
    logins.wait(logins.open(login_of(32)));
    CHECK(logins.find(1) == logins.end());
    CHECK(logins.find(0) != logins.end());
    CHECK(logins.find(1000) != logins.end());
}

TEST_CASE("a login waits for its client as long as with Dovecot, and one in work for ever",
          "[dovecot_logins]")
{
    ManualClock clock;
    DovecotLogins logins{clock};
    logins.wait(logins.open(login_of(1)));
    const auto serial = logins.begin_work(logins.open(login_of(2)));
    CHECK(logins.next_expiry() == clock.now() + 150s);
    clock.advance(150s - 1ns);
    logins.forget_overdue();
    CHECK(logins.find(1) != logins.end());
    clock.advance(1ns);
    logins.forget_overdue();
    CHECK(logins.find(1) == logins.end());
    CHECK(logins.next_expiry() == TimePoint::max());
    CHECK(logins.end_work(serial) != logins.end());
}

TEST_CASE("what a client has given up is gone when it is not in work any more", "[dovecot_logins]")
{
    ManualClock clock;
    DovecotLogins logins{clock};
    const auto login = logins.open(login_of(7));
    const auto serial = logins.begin_work(login);
    CHECK(logins.has_one_to_tell());
    logins.tell_end(login);
    CHECK(logins.find(7) == logins.end());
    CHECK_FALSE(logins.has_one_to_tell());
    CHECK(logins.in_work() == 1);
    CHECK(logins.end_work(serial) == logins.end());
    CHECK(logins.in_work() == 0);
    CHECK(logins.is_empty());
    CHECK(logins.has_begun_one());
}

TEST_CASE("one that waits needs words, and so does one in work that will be asked for a proof",
          "[dovecot_logins]")
{
    const auto [mechanism, is_in_work, needs] = GENERATE(table<sasl::Mechanism, bool, bool>({
        {sasl::Mechanism::plain, true, false},
        {sasl::Mechanism::plain, false, true},
        {sasl::Mechanism::scram_sha_256, true, true},
        {sasl::Mechanism::scram_sha_256, false, true},
    }));
    ManualClock clock;
    DovecotLogins logins{clock};
    const auto login = logins.open(login_of(1, mechanism));
    if (is_in_work)
        static_cast<void>(logins.begin_work(login));
    CHECK(logins.needs_words(logins.end()) == needs);
    CHECK_FALSE(logins.needs_words(login));
    logins.wait(logins.open(login_of(2)));
    CHECK(logins.needs_words(login));
}

} // namespace postern
