// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_stage.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <cerrno>

namespace postern {

using namespace std::chrono_literals;

TEST_CASE("a peer hears what is offered before it has said a byte", "[dovecot_session]")
{
    DovecotStage stage;
    play_to_the_end(stage.begin(), R"(
        S: VERSION 1 2
        S: MECH PLAIN plaintext
        S: MECH LOGIN plaintext
        S: MECH CRAM-MD5 dictionary active
        S: MECH SCRAM-SHA-256 mutual-auth
        S: SPID …
        S: CUID …
        S: COOKIE …
        S: DONE
    )");
}

TEST_CASE("a peer that does not say who it is within the deadline is ended", "[dovecot_session]")
{
    const std::string part = GENERATE("", "VERSION 1 0", "VERSION 1 0\nCPID 4711");
    CAPTURE(part);
    DovecotStage stage;
    stage.begin();
    stage.advance(4s);
    std::string bytes = part.empty() ? "" : wire(part);
    if (!bytes.empty())
        bytes.pop_back();
    stage.say(bytes);
    CHECK(stage.ends_after(4s));
    CHECK(stage.logged() == "4 a connection to submission was ended: its peer did not complete what it had "
                            "begun to say\n");
    check_no_slot_is_lost(stage);
}

TEST_CASE("a line that is not complete within the deadline ends the connection, however it trickles",
          "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.advance(100s);
    stage.say("AU");
    stage.serve();
    stage.advance(4s);
    stage.say("TH\t1");
    CHECK(stage.ends_after(4s));
    check_no_slot_is_lost(stage);
}

TEST_CASE("each line has the deadline for itself", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    const std::string line = wire("CANCEL 1");
    stage.say(line.substr(0, 3));
    for (int i = 0; i < 10; ++i) {
        stage.advance(7s);
        stage.say(line.substr(3) + line.substr(0, 3));
        stage.serve();
    }
    CHECK_FALSE(stage.is_ended());
    stage.say(line.substr(3));
    stage.serve();
    stage.advance(100s);
    CHECK_FALSE(stage.is_ended());
}

TEST_CASE("requests are answered alike in whatever pieces they come", "[dovecot_session]")
{
    const std::string words = wire("VERSION 1 0") + wire("CPID 1") + wire("AUTH 1 " + plain("alice")) +
                              wire("AUTH 2 LOGIN service=smtp") + wire("CONT 2 {bob}") +
                              wire("CONT 2 {builder}") + wire("AUTH 3 NONE service=smtp") + wire("CANCEL 9") +
                              wire("CONT 9 {}");
    const std::size_t piece_bytes = GENERATE(1U, 2U, 7U, 1000U);
    DovecotStage stage;
    static_cast<void>(stage.begin().heard());
    std::vector<std::string> heard;
    for (std::size_t at = 0; at < words.size(); at += piece_bytes) {
        stage.say(words.substr(at, piece_bytes));
        std::ranges::copy(stage.heard(), std::back_inserter(heard));
    }
    CHECK(heard ==
          std::vector<std::string>{"CONT\t2\tVXNlcm5hbWU6", "CONT\t2\tUGFzc3dvcmQ6", "FAIL\t3", "FAIL\t9"});
    play_to_the_end(stage, R"(
        B: bob accepted
        S: OK 2 user=bob
        B: alice rejected
        S: FAIL 1 user=alice
    )");
}

TEST_CASE("a connection on which nothing happens is not ended", "[dovecot_session]")
{
    converse("T: 100000" + alice_logs_in);
}

TEST_CASE("a peer that breaks the protocol is ended, and what it had in work harms nobody",
          "[dovecot_session]")
{
    const std::string broken = GENERATE("NONSENSE", "AUTH 0 PLAIN service=smtp", "AUTH 7 PLAIN", "CONT 1",
                                        "AUTH 7 PLAIN service=smtp resp= more", "");
    DovecotStage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 LOGIN service=smtp
        S: CONT 2 {Username:}
    )");
    stage.say(wire(broken) + wire("AUTH 3 " + plain("bob")));
    play_to_the_end(stage, R"(
        S: end
        B: alice accepted
    )");
    CHECK(stage.workers.asked.empty());
    CHECK(stage.logged().find("4 a connection to submission was ended: ") != std::string::npos);
}

TEST_CASE("a peer that does not read what it is told is ended", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    const int least = 1;
    ::setsockopt(stage.session_end.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    stage.say(wire("AUTH 1 " + plain("alice")));
    for (int i = 0; i < 10'000 && stage.sessions.front()->is_idle(); ++i)
        stage.serve();
    bool is_refused = false;
    for (int i = 0; i < 1'000'000 && !is_refused; ++i) {
        const std::string line = wire("CONT 5 {x}");
        is_refused = ::send(stage.peer.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0 && errno == EPIPE;
        if (i % 100 == 0)
            stage.serve();
    }
    CHECK(is_refused);
    CHECK_FALSE(stage.is_ended());
    stage.answer("alice", {Verdict::accepted, ""});
    stage.serve();
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("a session is idle unless the Authenticator has a login of it", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    CHECK(stage.session().is_idle());
    stage.begin_waiting(1);
    CHECK(stage.session().is_idle());
    stage.say(wire("AUTH 2 " + plain("alice")) + wire("CANCEL 2"));
    stage.serve();
    CHECK_FALSE(stage.session().is_idle());
    stage.answer("alice", {Verdict::accepted, ""});
    stage.serve();
    CHECK(stage.session().is_idle());
    check_no_slot_is_lost(stage);
}

} // namespace postern
