// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_stage.hpp"

#include <catch2/catch.hpp>

namespace postern {

using namespace std::chrono_literals;

TEST_CASE("logins side by side are answered in the order in which they are decided", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 LOGIN service=smtp
        S: CONT 2 {Username:}
        C: AUTH 3 PLAIN service=smtp resp={\0carol\0secret}
        C: CONT 2 {bob}
        S: CONT 2 {Password:}
        B: carol rejected
        S: FAIL 3 user=carol
        C: CONT 2 {builder}
        B: bob accepted
        S: OK 2 user=bob
        B: alice accepted
        S: OK 1 user=alice
    )");
}

TEST_CASE("every refusal looks alike", "[dovecot_session]")
{
    const std::string verdict = GENERATE("rejected", "unknown_user", "barred");
    converse(R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice )" +
             verdict + R"(
        S: FAIL 1 user=alice
    )");
}

TEST_CASE("a refusal carries the reason that the admin has written, and no other", "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.refusal_reason = "ask postmaster";
    DovecotStage stage{listener};
    stage.introduce();
    stage.say(wire("AUTH 1 " + plain("alice")));
    stage.serve();
    stage.answer("alice", {Verdict::barred, "account expired"});
    CHECK(stage.heard() == std::vector<std::string>{"FAIL\t1\tuser=alice\treason=ask postmaster"});
}

TEST_CASE("one name is told, however the client writes it", "[dovecot_session]")
{
    const std::string name = GENERATE("john", "John", "JOHN", "john@dom.example", "JOHN@Dom.Example");
    ListenerConfig listener = submission();
    listener.names = {.splits_realm = true, .default_realm = "dom.example", .folds_case = true};
    DovecotStage stage{listener};
    converse(stage, R"(
        C: AUTH 1 PLAIN service=smtp resp={\0)" +
                        name + R"(\0secret}
        B: john accepted
        S: OK 1 user=john@dom.example
        C: AUTH 2 PLAIN service=smtp resp={\0)" +
                        name + R"(\0}
        S: FAIL 2 user=john@dom.example
    )");
    CHECK(stage.logged().find("[user=john] [service=smtp] [realm=dom.example]") != std::string::npos);
    CHECK(stage.logged().find("JOHN") == std::string::npos);
}

TEST_CASE("an account that no reply can name is refused without asking anybody", "[dovecot_session]")
{
    const auto user = GENERATE(as<std::string>{}, std::string(1020, 'u'), "@", "@example.org");
    ListenerConfig listener = submission();
    listener.names = {.splits_realm = true, .default_realm = "example.org"};
    DovecotStage stage{listener};
    converse(stage, R"(
        C: AUTH 1 PLAIN service=smtp resp={\0)" +
                        user + R"(\0secret}
        S: FAIL 1
        C: AUTH 2 CRAM-MD5 service=smtp
        S: CONT 2 {<…
        C: CONT 2 {)" + user +
                        R"( 00000000000000000000000000000000}
        S: FAIL 2
        C: AUTH 3 SCRAM-SHA-256 service=smtp resp={n,,n=)" +
                        user + R"(,r=abc}
        S: FAIL 3
    )");
    CHECK(stage.workers.asked.empty());
    CHECK(stage.logged().find("[reason=no reply can name this account]") != std::string::npos);
}

TEST_CASE("a service with a longer name than any field may have is refused", "[dovecot_session]")
{
    DovecotStage stage;
    const std::string longest(stage.listener.field_bytes_max, 'x');
    stage.introduce();
    stage.say(wire("AUTH 1 PLAIN service=" + longest + "x resp={\\0alice\\0secret}"));
    CHECK(stage.heard() == std::vector<std::string>{"FAIL\t1"});
    CHECK_FALSE(stage.is_asked("alice"));
    stage.say(wire("AUTH 2 PLAIN service=" + longest + " resp={\\0alice\\0secret}"));
    stage.serve();
    CHECK(stage.is_asked("alice"));
}

TEST_CASE("a login that is given up is not told of, and its id may be used again", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: CANCEL 1
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0wrong}
        C: CANCEL 1
        C: CANCEL 1
        C: AUTH 1 PLAIN service=smtp resp={\0bob\0builder}
        B: alice accepted
        B: bob accepted
        S: OK 1 user=bob
        C: CANCEL 1
        C: AUTH 2 SCRAM-SHA-256 service=smtp resp={n,,n=carol,r=abc}
        C: CANCEL 2
        B: carol accepted s=c2FsdA==,i=4096
        C: CONT 2 {}
        S: FAIL 2
    )");
}

TEST_CASE("a word that nobody has asked for fails its login alone", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 PLAIN service=smtp resp={\0bob\0builder}
        C: CONT 1 {more}
        S: FAIL 1 user=alice
        C: CONT 3 {more}
        S: FAIL 3
        B: alice accepted
        B: bob accepted
        S: OK 2 user=bob
    )");
}

TEST_CASE("what is no base64 fails its login alone", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 PLAIN service=smtp resp=!
        S: FAIL 2 code=invalid_base64
        C: AUTH 3 PLAIN service=smtp
        S: CONT 3 {}
        C: CONT 3 !
        S: FAIL 3 code=invalid_base64
        B: alice accepted
        S: OK 1 user=alice
    )");
}

TEST_CASE("two live logins under one id end the connection", "[dovecot_session]")
{
    DovecotStage stage;
    converse(stage, R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 1 PLAIN service=smtp resp={\0bob\0builder}
        S: end
        B: alice accepted
    )");
    CHECK_FALSE(stage.is_asked("bob"));
}

TEST_CASE("with as many logins in work as there may be, no more is read until one is told",
          "[dovecot_session]")
{
    constexpr std::size_t most = DovecotSession::in_work_max;
    DovecotStage stage;
    stage.introduce();

    SECTION("what is behind them has been read")
    {
        stage.say(many_logins(most + 2));
        stage.serve();
    }
    SECTION("what is behind them is in the socket")
    {
        stage.say(many_logins(most));
        stage.serve();
        stage.say(many_logins(most + 2).substr(many_logins(most).size()));
        stage.serve();
    }
    CHECK(stage.workers.asked.size() == most);
    stage.answer("u7", {Verdict::accepted, ""});
    CHECK(stage.heard() == std::vector<std::string>{"OK\t7\tuser=u7"});
    CHECK(stage.is_asked("u33"));
    CHECK_FALSE(stage.is_asked("u34"));
    for (std::size_t i = 1; i <= most + 2; ++i)
        if (i != 7)
            stage.answer("u" + std::to_string(i), {Verdict::rejected, ""}), stage.serve();
    CHECK(stage.heard().size() == most + 1);
    check_no_slot_is_lost(stage);
}

TEST_CASE("of too many logins that wait for their clients the one that has waited for longest is forgotten",
          "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.begin_waiting(32);
    stage.advance(1s);
    play_to_the_end(stage, R"(
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        C: AUTH 33 PLAIN service=smtp resp={\0bob\0builder}
        C: AUTH 34 LOGIN service=smtp
        S: CONT 34 {Username:}
        C: CONT 2 {carol}
        S: FAIL 2
        C: CONT 3 {carol}
        S: CONT 3 {Password:}
        C: CONT 1 {secret}
        B: alice accepted
        S: OK 1 user=alice
        B: bob accepted
        S: OK 33 user=bob
    )");
}

TEST_CASE("those that come back from work to wait count too", "[dovecot_session]")
{
    DovecotStage stage;
    stage.introduce();
    stage.begin_waiting(32);
    stage.advance(1s);
    play_to_the_end(stage, R"(
        C: AUTH 33 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}
        B: alice accepted s=c2FsdA==,i=4096
        S: CONT 33 {r=abc…,s=c2FsdA==,i=4096}
        C: CONT 1 {bob}
        S: FAIL 1
        C: CONT 2 {bob}
        S: CONT 2 {Password:}
    )");
}

TEST_CASE("a login is forgotten when its client says nothing for 150 s", "[dovecot_session]")
{
    converse(R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        T: 149
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        T: 150
        C: CONT 1 {secret}
        S: FAIL 1
    )" + alice_logs_in);
}

} // namespace postern
