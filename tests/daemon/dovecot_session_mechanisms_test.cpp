// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_stage.hpp"

#include <catch2/catch.hpp>

namespace postern {

TEST_CASE("without TLS no password is taken where that is forbidden", "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.refuses_plaintext_without_tls = true;
    converse(listener, R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        S: FAIL 1
        C: AUTH 2 LOGIN service=smtp
        S: FAIL 2
        C: AUTH 3 CRAM-MD5 service=smtp
        S: CONT 3 {<…
        C: AUTH 4 PLAIN service=smtp secured resp={\0alice\0secret}
        B: alice accepted
        S: OK 4 user=alice
    )");
}

TEST_CASE("a mechanism that is not offered fails its login alone", "[dovecot_session]")
{
    const std::string mechanism = GENERATE("SCRAM-SHA-1", "XOAUTH2", "plainer", "EXTERNAL");
    DovecotStage stage;
    converse(stage, R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 )" + mechanism +
                        R"( service=smtp rip=192.0.2.7 resp={x}
        S: FAIL 2
        C: AUTH 3 plain service=smtp resp={\0bob\0builder}
        B: bob accepted
        S: OK 3 user=bob
        B: alice accepted
        S: OK 1 user=alice
    )");
    CHECK(stage.logged().find("a login from 192.0.2.7 was refused: " + mechanism) != std::string::npos);
}

TEST_CASE("an empty response is none for peers of old, and an empty one for others", "[dovecot_session]")
{
    DovecotStage old, recent;
    converse(old, R"(
        C: AUTH 1 LOGIN service=smtp resp=
        S: CONT 1 {Username:}
        C: AUTH 2 LOGIN service=smtp resp==
        S: FAIL 2
    )");
    play_to_the_end(recent.introduce("VERSION 1 2"), R"(
        C: AUTH 1 LOGIN service=smtp resp=
        S: FAIL 1
        C: AUTH 2 LOGIN service=smtp
        S: CONT 2 {Username:}
    )");
}

TEST_CASE("CRAM-MD5 takes one word of its client", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 CRAM-MD5 service=smtp
        S: CONT 1 {<…@postern>}
        C: CONT 1 {alice 0123456789abcdef0123456789abcdef}
        B: alice accepted
        S: OK 1 user=alice
        C: AUTH 2 CRAM-MD5 service=smtp resp={alice 0123456789abcdef0123456789abcdef}
        S: FAIL 2
    )");
}

TEST_CASE("the last data of SCRAM goes before OK", "[dovecot_session]")
{
    converse(alice_by_scram("1") + R"(
        B: alice accepted ZEROS
        S: CONT 1 {v=ZEROS}
        C: CONT 1 {}
        S: OK 1 user=alice
    )");
}

TEST_CASE("the last data of SCRAM goes with OK to a peer that takes it there", "[dovecot_session]")
{
    converse(alice_by_scram("1", "service=smtp final-resp-ok") + R"(
        B: alice accepted ZEROS
        S: OK 1 user=alice resp={v=ZEROS}
    )");
}

TEST_CASE("a user without a verifier is challenged like any other, and refused", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 SCRAM-SHA-256 service=smtp resp={n,,n=nobody,r=abc}
        B: nobody unknown_user
        S: CONT 1 {r=abc…,s=…
        C: CONT 1 {c=biws,r=NONCE,p=ZEROS}
        S: FAIL 1 user=nobody
    )");
}

} // namespace postern
