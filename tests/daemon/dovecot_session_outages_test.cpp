// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_stage.hpp"

#include <catch2/catch.hpp>

namespace postern {

TEST_CASE("an outage is told by the end of the connection", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice unavailable
        S: end
    )");
}

TEST_CASE("an outage does not end a connection with others in work", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 PLAIN service=smtp resp={\0bob\0builder}
        B: alice unavailable
        S: FAIL 1 user=alice temp code=temp_fail
        B: bob accepted
        S: OK 2 user=bob
    )");
}

TEST_CASE("what waits for its client, or was given up, does not keep an outage from being told",
          "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: AUTH 2 PLAIN service=smtp resp={\0carol\0secret}
        C: CANCEL 2
        C: AUTH 3 PLAIN service=smtp resp={\0alice\0secret}
        B: alice unavailable
        S: end
        B: carol unavailable
    )");
}

TEST_CASE("when_unavailable = fail tells an outage in words", "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.when_unavailable = DovecotUnavailable::fail;
    converse(listener, R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice unavailable
        S: FAIL 1 user=alice temp code=temp_fail
        C: AUTH 2 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}
        B: alice unavailable
        S: FAIL 2 user=alice temp code=temp_fail
        C: AUTH 3 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}
        B: alice accepted nonsense
        S: FAIL 3 user=alice temp code=temp_fail
        C: AUTH 4 PLAIN service=smtp resp={\0alice\0secret}
        T: 8
        S: FAIL 4 user=alice temp code=temp_fail
    )");
}

TEST_CASE("an outage that is told in words names the user, by each mechanism and at each step",
          "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.when_unavailable = DovecotUnavailable::fail;
    listener.names = {.splits_realm = true, .default_realm = "example.org"};
    converse(listener, alice_by_login + R"(
        B: alice unavailable
        S: FAIL 1 user=alice@example.org temp code=temp_fail
        C: AUTH 2 CRAM-MD5 service=smtp
        S: CONT 2 {<…
        C: CONT 2 {alice 00000000000000000000000000000000}
        B: alice unavailable
        S: FAIL 2 user=alice@example.org temp code=temp_fail
    )" + alice_by_scram("3") +
                           R"(
        B: alice unavailable
        S: FAIL 3 user=alice@example.org temp code=temp_fail
    )");
}

TEST_CASE("a login for which no memory is free is an outage, and those beside it are served",
          "[dovecot_session]")
{
    DovecotStage stage{submission(), 4}; // one is the shared buffer, one is for decoding
    stage.introduce();
    stage.say(many_logins(3));
    play(stage, R"(
        S: FAIL 3 temp code=temp_fail
        B: u1 accepted
        S: OK 1 user=u1
        C: AUTH 4 PLAIN service=smtp resp={\0alice\0secret}
        B: alice accepted
        S: OK 4 user=alice
        B: u2 rejected
        S: FAIL 2 user=u2
    )");
    CHECK(stage.logged().find("auth unavailable: [user=] [service=smtp] [realm=] [mech=] "
                              "[reason=no memory for passwords is free] [sasl=PLAIN]") != std::string::npos);
    CHECK(stage.authenticator.counts().verdicts.of(Verdict::unavailable) == 1);
    stage.leave();
    CHECK(stage.is_ended());
    CHECK(stage.secrets.slots_free() == 3);
}

TEST_CASE("a login for which no memory is free, alone on its connection, ends it: that is an outage",
          "[dovecot_session]")
{
    DovecotStage stage{submission(), 2};
    play(stage.introduce(), alice_by_login + "S: end");
    CHECK(stage.is_ended());
    CHECK(stage.secrets.slots_free() == 1);
    CHECK(stage.is_scratch_wiped());
}

TEST_CASE("a line that finds no memory ends its connection, but not what is in work there",
          "[dovecot_session]")
{
    DovecotStage stage{submission(), 3};
    stage.introduce();
    stage.say(wire("AUTH 1 " + plain("alice")));
    stage.serve();
    const Secret last{stage.secrets, {}};
    stage.say("AUTH\t2\thalf of a li");
    play(stage, alice_is_the_last);
    CHECK(stage.is_ended());
    CHECK(stage.is_scratch_wiped());
}

} // namespace postern
