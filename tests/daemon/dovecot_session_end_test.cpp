// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_stage.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cerrno>

namespace postern {

using namespace std::chrono_literals;

TEST_CASE("a peer that leaves harms nobody, whatever was in work", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.say(many_logins(3));
    stage.begin_waiting(0);
    stage.say(wire("AUTH 8 LOGIN service=smtp") +
              wire("AUTH 9 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}") + "AUTH\t10\thalf of a li");
    stage.serve();
    stage.leave();
    CHECK_FALSE(stage.is_ended()); // it is called back
    stage.answer("u2", {Verdict::accepted, ""});
    stage.answer("alice", {Verdict::accepted, "", false, 0ms, "s=c2FsdA==,i=4096"});
    stage.serve();
    stage.answer("u1", {Verdict::unavailable, ""});
    stage.serve();
    stage.answer("u3", {Verdict::rejected, ""});
    stage.serve();
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("a peer that leaves with nothing in work takes its session along", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.begin_waiting(3);
    stage.leave();
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("a peer that has nothing more to say is told what it waits for", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.say(wire("AUTH 1 " + plain("alice")) + wire("AUTH 2 LOGIN service=smtp"));
    static_cast<void>(stage.heard());
    ::shutdown(stage.peer.get(), SHUT_WR);
    play_to_the_end(stage, alice_is_the_last);
}

TEST_CASE("a new front does not end a connection that is full of logins, and of words", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.say(many_logins(400)); // more than a buffer holds
    stage.serve();
    CHECK(stage.workers.asked.size() == DovecotSession::in_work_max);
    stage.session().finish();
    std::size_t told = 0;
    while (!stage.workers.asked.empty()) {
        stage.answer(stage.workers.asked.front().user, {Verdict::accepted, ""});
        for (const std::string& line : stage.heard())
            told += line.starts_with("OK\t") ? 1 : 0;
    }
    CHECK(told == 400);
    CHECK(stage.is_ended());
}

TEST_CASE("when another front serves, a connection that is idle after a login ends at once",
          "[dovecot_session]")
{
    DovecotStage stage;
    play(stage.introduce(), alice_logs_in);
    stage.session().finish();
    CHECK(stage.is_ended());
    CHECK(stage.heard() == std::vector<std::string>{"end"});
    check_no_slot_is_lost(stage);
}

TEST_CASE("when another front serves, who has just connected has a second for the first login",
          "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.session().finish();
    SECTION("and takes it")
    {
        stage.advance(999ms);
        CHECK_FALSE(stage.is_ended());
        play(stage, alice_logs_in + "S: end");
    }
    SECTION("or not")
    {
        CHECK(stage.ends_after(1s));
        CHECK(stage.heard() == std::vector<std::string>{"end"});
    }
    CHECK(stage.is_ended());
}

TEST_CASE("when another front serves, who has not said who it is may still do so, within the deadline",
          "[dovecot_session]")
{
    DovecotStage stage;
    stage.begin();
    stage.session().finish();
    CHECK(stage.ends_after(stage.listener.deadline));
}

TEST_CASE("when another front serves, a login that its client has given up holds it for the deadline alone",
          "[dovecot_session]")
{
    DovecotStage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
    )");
    stage.session().finish();
    CHECK(stage.ends_after(stage.listener.deadline));
}

TEST_CASE("when another front serves, a login that has begun is served to its end", "[dovecot_session]")
{
    DovecotStage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: AUTH 2 SCRAM-SHA-256 service=smtp resp={n,,n=bob,r=abc}
    )");
    stage.session().finish();
    play_to_the_end(stage, R"(
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        B: bob accepted s=c2FsdA==,i=4096
        S: CONT 2 {r=abc…
        C: CONT 1 {secret}
        C: CONT 2 {c=biws,r=NONCE,p=ZEROS}
        B: bob accepted ZEROS
        S: CONT 2 {v=ZEROS}
        B: alice accepted
        S: OK 1 user=alice
    )");
}

TEST_CASE("what came before another front serves is answered, and what comes then is not taken",
          "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    SECTION("with nothing in work")
    {
        stage.say(wire("AUTH 1 " + plain("alice")));
        stage.session().finish();
    }
    SECTION("beside a login in work")
    {
        stage.say(wire("AUTH 2 " + plain("bob")));
        stage.serve();
        stage.say(wire("AUTH 1 " + plain("alice")));
        stage.session().finish();
        stage.serve();
        stage.answer("bob", {Verdict::accepted, ""});
        CHECK(stage.heard() == std::vector<std::string>{"OK\t2\tuser=bob"});
    }
    CHECK(::send(stage.peer.get(), "AUTH", 4, MSG_NOSIGNAL) == -1);
    CHECK(errno == EPIPE);
    play_to_the_end(stage, alice_is_the_last);
}

TEST_CASE("when the daemon stops, a login that its client does not complete in time ends",
          "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.begin_waiting(1);
    stage.session().hurry(stage.clock.now() + 500ms);
    CHECK(stage.ends_after(500ms));
    check_no_slot_is_lost(stage);
}

TEST_CASE("when the daemon stops, a login that is complete in time has its full time", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.session().hurry(stage.clock.now() + 500ms);
    stage.say(wire("AUTH 1 " + plain("alice")) + wire("AUTH 2 LOGIN service=smtp"));
    play_to_the_end(stage, R"(
        S: CONT 2 {Username:}
        T: 5
        B: alice accepted
        S: OK 1 user=alice
        S: end
    )");
}

} // namespace postern
