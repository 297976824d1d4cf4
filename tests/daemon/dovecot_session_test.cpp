// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "daemon/dovecot_session.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/sasl_steps.hpp"
#include "tests/support/scripted_workers.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <numeric>
#include <sstream>
#include <stdexcept>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t workers_max = 48;
constexpr std::size_t slots_max = 128;

ListenerConfig submission()
{
    ListenerConfig listener;
    listener.name = "submission";
    listener.protocol = ListenerProtocol::dovecot;
    listener.names = {.splits_realm = true};
    listener.dovecot.mechanisms = {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"};
    return listener;
}

/// As people write a line: with blanks for TABs, and {text} for base64, in which \0 is a NUL.
std::string wire(const std::string& text)
{
    std::string line;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '{') {
            line += text[at] == ' ' ? '\t' : text[at];
            continue;
        }
        const std::size_t end = text.find('}', at);
        std::string raw = text.substr(at + 1, end - at - 1);
        for (std::size_t nul = 0; (nul = raw.find("\\0")) != std::string::npos;)
            raw.replace(nul, 2, 1, '\0');
        line += in_base64(raw);
        at = end;
    }
    return line + '\n';
}

std::string in_braces(std::string_view base64)
{
    std::array<char, dovecot::response_bytes_max> memory{};
    return '{' + std::string{dovecot::decode_base64(base64, memory).value()} + '}';
}

/// Its counterpart, for the lines of a server.
std::string readable(std::string line)
{
    const bool is_challenge = line.starts_with("CONT\t");
    const std::size_t data = is_challenge ? line.rfind('\t') + 1 : line.find("resp=") + 5;
    if (is_challenge || line.find("resp=") != std::string::npos)
        line = line.substr(0, data) + in_braces(line.substr(data));
    std::ranges::replace(line, '\t', ' ');
    return line;
}

std::string plain(const std::string& user)
{
    return "PLAIN service=smtp resp={\\0" + user + "\\0secret}";
}

/// One session on an event loop whose time is moved by hand, its peer, and the workers behind it.
struct Stage {
    explicit Stage(ListenerConfig config = submission(), std::size_t slots = slots_max)
        : listener{std::move(config)}, secrets{dovecot::line_bytes_max, slots}
    {
        for (std::size_t ready = 0; ready < workers_max; pools[0].on_ready(workers.started.at(ready++)))
            static_cast<void>(pools[0].start_missing());
        loop.at_turn_end([this] { authenticator.tick(); });
        std::array<int, 2> ends{};
        check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()),
              "socketpair");
        peer = UniqueFd{ends[0]};
        session_end = UniqueFd{ends[1]};
    }

    Stage& begin()
    {
        sessions.push_back(std::make_unique<DovecotSession>(services, listener, std::move(session_end), 1));
        sessions.back()->begin(sessions.begin());
        return *this;
    }

    /// Past the handshake.
    Stage& introduce(const std::string& version = "VERSION 1 0")
    {
        begin();
        say(wire(version) + wire("CPID 4711"));
        static_cast<void>(heard());
        return *this;
    }

    void advance(Duration step)
    {
        clock.advance(step);
        serve();
    }

    /// Serves everything that is due, and what comes of it.
    void serve()
    {
        for (int turn = 0; turn < 4; ++turn) {
            Timer end{loop, [this] { loop.stop(); }};
            end.schedule(clock.now());
            loop.run();
        }
    }

    void say(std::string_view bytes) const
    {
        REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }

    /// The session's next lines, and "end" once, at the end of the stream.
    std::vector<std::string> heard()
    {
        serve();
        std::array<char, 65536> buffer{};
        ssize_t got = 0;
        while ((got = ::recv(peer.get(), buffer.data(), buffer.size(), 0)) > 0)
            arrived.append(buffer.data(), static_cast<std::size_t>(got));
        std::vector<std::string> lines;
        for (std::size_t end = 0; (end = arrived.find('\n')) != std::string::npos; arrived.erase(0, end + 1))
            lines.push_back(arrived.substr(0, end));
        CHECK(arrived.empty()); // only whole lines
        if ((got == 0 || errno == ECONNRESET) && !std::exchange(has_ended, true))
            lines.emplace_back("end");
        return lines;
    }

    [[nodiscard]] bool is_asked(const std::string& user) const
    {
        return std::ranges::count(workers.asked, user, &ScriptedWorkers::Asked::user) != 0;
    }

    /// The worker that was asked about the user says what it found.
    void answer(const std::string& user, Decision decision)
    {
        const auto asked = std::ranges::find(workers.asked, user, &ScriptedWorkers::Asked::user);
        REQUIRE(asked != workers.asked.end());
        const ScriptedWorkers::Asked question = *asked;
        workers.asked.erase(asked);
        pools[0].on_answer(question.worker, question.job, std::move(decision));
    }

    /// Beside what was logged.
    [[nodiscard]] std::string logged() const
    {
        return std::accumulate(log.lines.begin(), log.lines.end(), std::string{},
                               [](std::string text, const std::string& line) { return text + line + '\n'; });
    }

    [[nodiscard]] Session& session() { return *sessions.front(); }

    [[nodiscard]] bool is_ended() const { return sessions.empty(); }

    ListenerConfig listener;
    ManualClock clock;
    RecordingLog log;
    SecretArena secrets;
    Secret scratch{secrets, {}};
    EventLoop loop{clock};
    ScriptedWorkers workers;
    ServerHealth no_servers{clock, log, [](std::uint32_t) { return 0; }, "local", {}};
    std::vector<WorkerPool> pools = make_pools();
    std::array<std::string_view, 2> proved{"CRAM-MD5", "SCRAM-SHA-256"};
    Authenticator authenticator{
        clock,
        log,
        [](std::uint32_t) { return 0; },
        pools,
        {{{"default", {ChainLink{0}}, {}, 0ms}}, {{"local", proved}}, 1024, LogLevel::info}};
    RandomBytes random_bytes = [this](std::span<unsigned char> bytes) {
        std::ranges::fill(bytes, ++random_byte);
    };
    SessionServices services{loop,
                             log,
                             secrets,
                             authenticator,
                             scratch,
                             random_bytes,
                             [this](SessionList::iterator session) { sessions.erase(session); },
                             [](SessionList::iterator) {}};
    unsigned char random_byte = 0; ///< nothing is the same twice
    UniqueFd peer, session_end;
    std::string arrived;
    bool has_ended = false;
    SessionList sessions;

private:
    std::vector<WorkerPool> make_pools()
    {
        std::vector<WorkerPool> made;
        made.emplace_back(clock, workers, std::size_t{0},
                          PoolConfig{.workers = workers_max, .workers_max = workers_max}, no_servers);
        return made;
    }
};

/// Whether the line is as it should be; "…" stands for whatever is there.
bool is_like(std::string_view line, std::string_view pattern)
{
    const std::string_view anything{"…"};
    for (std::size_t gap = 0; (gap = pattern.find(anything)) != std::string_view::npos;) {
        if (!line.starts_with(pattern.substr(0, gap)))
            return false;
        pattern.remove_prefix(gap + anything.size());
        const std::string_view next = pattern.substr(0, pattern.find(anything));
        const std::size_t found = next.size() == pattern.size() ? line.rfind(next) : line.find(next, gap);
        if (found == std::string_view::npos || found < gap)
            return false;
        line.remove_prefix(found);
    }
    return line == pattern;
}

/// Whatever became of them, no login keeps a slot: that of the shared buffer is all that is left.
void check_no_slot_is_lost(Stage& stage)
{
    stage.peer.reset();
    stage.serve();
    stage.advance(9s); // whoever is still asked
    CHECK(stage.is_ended());
    CHECK(stage.authenticator.logins() == 0);
    CHECK(stage.secrets.slots_free() == slots_max - 1);
}

/// Reads a transcript to its end, and checks that the session says what is written there and nothing else:
///
///     C: AUTH 1 PLAIN …         the peer's line
///     B: alice accepted REPLY   what a worker says of the user that it was asked about
///     T: 150                    seconds pass
///     S: OK 1 user=alice        the session's next line; "S: end" when it ends the connection
///
/// NONCE in a peer's line is the one of SCRAM that the session has sent last.
void play(Stage& stage, const std::string& text)
{
    std::vector<std::string> heard = stage.heard();
    std::string nonce;
    const auto act = [&](const std::string& line, const std::function<void(std::istringstream&)>& deed) {
        CAPTURE(line, heard);
        CHECK(heard.empty());
        std::istringstream words{line.substr(3)};
        deed(words);
        heard = stage.heard();
    };
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        line.erase(0, line.find_first_not_of(' '));
        CAPTURE(line, heard);
        if (line.starts_with("C: ")) {
            if (const std::size_t place = line.find("NONCE"); place != std::string::npos)
                line.replace(place, 5, nonce);
            act(line, [&](std::istringstream&) { stage.say(wire(line.substr(3))); });
        } else if (line.starts_with("T: ")) {
            act(line, [&](std::istringstream& words) {
                int seconds = 0;
                words >> seconds;
                stage.advance(std::chrono::seconds{seconds});
            });
        } else if (line.starts_with("B: ")) {
            act(line, [&](std::istringstream& words) {
                std::string user, verdict, reply;
                words >> user >> verdict >> reply;
                for (const Verdict known : all_verdicts)
                    if (verdict_text(known) == verdict)
                        return stage.answer(user, {known, "as told", false, 0ms, reply});
                FAIL("no such verdict");
            });
        } else if (line.starts_with("S: ")) {
            REQUIRE_FALSE(heard.empty());
            const std::string said = readable(heard.front());
            CAPTURE(said);
            CHECK(is_like(said, line.substr(3)));
            if (const std::size_t place = said.find("{r="); place != std::string::npos)
                nonce = said.substr(place + 3, said.find(',') - place - 3);
            heard.erase(heard.begin());
        } else {
            CHECK(line.empty());
        }
    }
    CHECK(heard.empty());
}

const std::string zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; // 32 bytes: a proof, or a signature

/// Begins logins of the users u1, u2, … by PLAIN, under ids of the same numbers.
std::string many_logins(std::size_t count)
{
    std::string lines;
    for (std::size_t i = 1; i <= count; ++i)
        lines += wire("AUTH " + std::to_string(i) + ' ' + plain("u" + std::to_string(i)));
    return lines;
}

/// Begins logins by LOGIN, which wait for their clients then.
void begin_waiting(Stage& stage, std::size_t count)
{
    for (std::size_t id = 1; id <= count; ++id)
        stage.say(wire("AUTH " + std::to_string(id) + " LOGIN service=smtp"));
    CHECK(stage.heard().size() == count);
}

} // namespace

TEST_CASE("a peer hears what is offered before it has said a byte", "[dovecot_session]")
{
    Stage stage;
    play(stage.begin(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("logins side by side are answered in the order in which they are decided", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("every refusal looks alike", "[dovecot_session]")
{
    const std::string verdict = GENERATE("rejected", "unknown_user", "barred");
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice )" + verdict + R"(
        S: FAIL 1 user=alice
    )");
}

TEST_CASE("a refusal carries the reason that the admin has written, and no other", "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.refusal_reason = "ask postmaster";
    Stage stage{listener};
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
    Stage stage{listener};
    play(stage.introduce(), R"(
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
    Stage stage{listener};
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0)" +
                                user + R"(\0secret}
        S: FAIL 1
        C: AUTH 2 CRAM-MD5 service=smtp
        S: CONT 2 {<…
        C: CONT 2 {)" + user + R"( 00000000000000000000000000000000}
        S: FAIL 2
        C: AUTH 3 SCRAM-SHA-256 service=smtp resp={n,,n=)" +
                                user + R"(,r=abc}
        S: FAIL 3
    )");
    CHECK(stage.workers.asked.empty());
    CHECK(stage.logged().find("[reason=no reply can name this account]") != std::string::npos);
    check_no_slot_is_lost(stage);
}

TEST_CASE("with as many logins in work as there may be, no more is read until one is told",
          "[dovecot_session]")
{
    constexpr std::size_t most = DovecotSession::in_work_max;
    Stage stage;
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

TEST_CASE("a new front does not end a connection that is full of logins, and of words", "[dovecot_session]")
{
    Stage stage;
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

TEST_CASE("of too many logins that wait for their clients the one that has waited for longest is forgotten",
          "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    begin_waiting(stage, 32);
    stage.advance(1s);
    play(stage, R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("those that come back from work to wait count too", "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    begin_waiting(stage, 32);
    stage.advance(1s);
    play(stage, R"(
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
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        T: 149
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        T: 150
        C: CONT 1 {secret}
        S: FAIL 1
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice accepted
        S: OK 1 user=alice
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("a connection on which nothing happens is not ended", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        T: 100000
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice accepted
        S: OK 1 user=alice
    )");
}

TEST_CASE("a peer that does not say who it is within the deadline is ended", "[dovecot_session]")
{
    const std::string part = GENERATE("", "VERSION 1 0", "VERSION 1 0\nCPID 4711");
    CAPTURE(part);
    Stage stage;
    stage.begin();
    stage.advance(4s);
    std::string bytes = part.empty() ? "" : wire(part);
    if (!bytes.empty())
        bytes.pop_back();
    stage.say(bytes);
    stage.advance(3999ms);
    CHECK_FALSE(stage.is_ended());
    stage.advance(1ms);
    CHECK(stage.is_ended());
    CHECK(stage.logged() == "4 a connection to submission was ended: its peer did not complete what it had "
                            "begun to say\n");
    check_no_slot_is_lost(stage);
}

TEST_CASE("a line that is not complete within the deadline ends the connection, however it trickles",
          "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    stage.advance(100s);
    stage.say("AU");
    stage.serve();
    stage.advance(4s);
    stage.say("TH\t1");
    stage.advance(3999ms);
    CHECK_FALSE(stage.is_ended());
    stage.advance(1ms);
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("each line has the deadline for itself", "[dovecot_session]")
{
    Stage stage;
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

TEST_CASE("a login that is given up is not told of, and its id may be used again", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("a word that nobody has asked for fails its login alone", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("what is no base64 fails its login alone", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("two live logins under one id end the connection", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 1 PLAIN service=smtp resp={\0bob\0builder}
        S: end
        B: alice accepted
    )");
    CHECK_FALSE(stage.is_asked("bob"));
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("an outage is told by the end of the connection", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice unavailable
        S: end
    )");
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("an outage does not end a connection with others in work", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 PLAIN service=smtp resp={\0bob\0builder}
        B: alice unavailable
        S: FAIL 1 user=alice temp code=temp_fail
        B: bob accepted
        S: OK 2 user=bob
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("what waits for its client, or was given up, does not keep an outage from being told",
          "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: AUTH 2 PLAIN service=smtp resp={\0carol\0secret}
        C: CANCEL 2
        C: AUTH 3 PLAIN service=smtp resp={\0alice\0secret}
        B: alice unavailable
        S: end
        B: carol unavailable
    )");
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("when_unavailable = fail tells an outage in words", "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.when_unavailable = DovecotUnavailable::fail;
    Stage stage{listener};
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("an outage that is told in words names the user, by each mechanism and at each step",
          "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.when_unavailable = DovecotUnavailable::fail;
    listener.names = {.splits_realm = true, .default_realm = "example.org"};
    Stage stage{listener};
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        C: CONT 1 {secret}
        B: alice unavailable
        S: FAIL 1 user=alice@example.org temp code=temp_fail
        C: AUTH 2 CRAM-MD5 service=smtp
        S: CONT 2 {<…
        C: CONT 2 {alice 00000000000000000000000000000000}
        B: alice unavailable
        S: FAIL 2 user=alice@example.org temp code=temp_fail
        C: AUTH 3 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}
        B: alice accepted s=c2FsdA==,i=4096
        S: CONT 3 {r=…,s=c2FsdA==,i=4096}
        C: CONT 3 {c=biws,r=NONCE,p=)" +
                                zeros + R"(}
        B: alice unavailable
        S: FAIL 3 user=alice@example.org temp code=temp_fail
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("without TLS no password is taken where that is forbidden", "[dovecot_session]")
{
    ListenerConfig listener = submission();
    listener.dovecot.refuses_plaintext_without_tls = true;
    Stage stage{listener};
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("a mechanism that is not offered fails its login alone", "[dovecot_session]")
{
    const std::string mechanism = GENERATE("SCRAM-SHA-1", "XOAUTH2", "plainer", "EXTERNAL");
    Stage stage;
    play(stage.introduce(), R"(
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
    check_no_slot_is_lost(stage);
}

TEST_CASE("an empty response is none for peers of old, and an empty one for others", "[dovecot_session]")
{
    Stage old, recent;
    play(old.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp resp=
        S: CONT 1 {Username:}
        C: AUTH 2 LOGIN service=smtp resp==
        S: FAIL 2
    )");
    play(recent.introduce("VERSION 1 2"), R"(
        C: AUTH 1 LOGIN service=smtp resp=
        S: FAIL 1
        C: AUTH 2 LOGIN service=smtp
        S: CONT 2 {Username:}
    )");
}

TEST_CASE("CRAM-MD5 takes one word of its client", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 CRAM-MD5 service=smtp
        S: CONT 1 {<…@postern>}
        C: CONT 1 {alice 0123456789abcdef0123456789abcdef}
        B: alice accepted
        S: OK 1 user=alice
        C: AUTH 2 CRAM-MD5 service=smtp resp={alice 0123456789abcdef0123456789abcdef}
        S: FAIL 2
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("the last data of SCRAM goes before OK", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}
        B: alice accepted s=c2FsdA==,i=4096
        S: CONT 1 {r=abc…,s=c2FsdA==,i=4096}
        C: CONT 1 {c=biws,r=NONCE,p=)" +
                                zeros + R"(}
        B: alice accepted )" + zeros +
                                R"(
        S: CONT 1 {v=)" + zeros +
                                R"(}
        C: CONT 1 {}
        S: OK 1 user=alice
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("the last data of SCRAM goes with OK to a peer that takes it there", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 SCRAM-SHA-256 service=smtp final-resp-ok resp={n,,n=alice,r=abc}
        B: alice accepted s=c2FsdA==,i=4096
        S: CONT 1 {r=abc…,s=c2FsdA==,i=4096}
        C: CONT 1 {c=biws,r=NONCE,p=)" +
                                zeros + R"(}
        B: alice accepted )" + zeros +
                                R"(
        S: OK 1 user=alice resp={v=)" +
                                zeros + R"(}
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("a user without a verifier is challenged like any other, and refused", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 SCRAM-SHA-256 service=smtp resp={n,,n=nobody,r=abc}
        B: nobody unknown_user
        S: CONT 1 {r=abc…,s=…
        C: CONT 1 {c=biws,r=NONCE,p=)" +
                                zeros + R"(}
        S: FAIL 1 user=nobody
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("requests are answered alike in whatever pieces they come", "[dovecot_session]")
{
    const std::string words = wire("VERSION 1 0") + wire("CPID 1") + wire("AUTH 1 " + plain("alice")) +
                              wire("AUTH 2 LOGIN service=smtp") + wire("CONT 2 {bob}") +
                              wire("CONT 2 {builder}") + wire("AUTH 3 NONE service=smtp") + wire("CANCEL 9") +
                              wire("CONT 9 {}");
    const std::size_t piece_bytes = GENERATE(1U, 2U, 7U, 1000U);
    Stage stage;
    static_cast<void>(stage.begin().heard());
    std::vector<std::string> heard;
    for (std::size_t at = 0; at < words.size(); at += piece_bytes) {
        stage.say(words.substr(at, piece_bytes));
        std::ranges::copy(stage.heard(), std::back_inserter(heard));
    }
    CHECK(heard ==
          std::vector<std::string>{"CONT\t2\tVXNlcm5hbWU6", "CONT\t2\tUGFzc3dvcmQ6", "FAIL\t3", "FAIL\t9"});
    play(stage, R"(
        B: bob accepted
        S: OK 2 user=bob
        B: alice rejected
        S: FAIL 1 user=alice
    )");
    check_no_slot_is_lost(stage);
}

TEST_CASE("a peer that leaves harms nobody, whatever was in work", "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    stage.say(many_logins(3));
    begin_waiting(stage, 0);
    stage.say(wire("AUTH 8 LOGIN service=smtp") +
              wire("AUTH 9 SCRAM-SHA-256 service=smtp resp={n,,n=alice,r=abc}") + "AUTH\t10\thalf of a li");
    stage.serve();
    stage.peer.reset();
    stage.serve();
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
    Stage stage;
    stage.introduce();
    begin_waiting(stage, 3);
    stage.peer.reset();
    stage.serve();
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("a peer that has nothing more to say is told what it waits for", "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    stage.say(wire("AUTH 1 " + plain("alice")) + wire("AUTH 2 LOGIN service=smtp"));
    static_cast<void>(stage.heard());
    ::shutdown(stage.peer.get(), SHUT_WR);
    play(stage, R"(
        B: alice accepted
        S: OK 1 user=alice
        S: end
    )");
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("a peer that breaks the protocol is ended, and what it had in work harms nobody",
          "[dovecot_session]")
{
    const std::string broken = GENERATE("NONSENSE", "AUTH 0 PLAIN service=smtp", "AUTH 7 PLAIN", "CONT 1",
                                        "AUTH 7 PLAIN service=smtp resp= more", "");
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        C: AUTH 2 LOGIN service=smtp
        S: CONT 2 {Username:}
    )");
    stage.say(wire(broken) + wire("AUTH 3 " + plain("bob")));
    play(stage, R"(
        S: end
        B: alice accepted
    )");
    CHECK(stage.is_ended());
    CHECK(stage.workers.asked.empty());
    CHECK(stage.logged().find("4 a connection to submission was ended: ") != std::string::npos);
    check_no_slot_is_lost(stage);
}

TEST_CASE("a peer that does not read what it is told is ended", "[dovecot_session]")
{
    Stage stage;
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

TEST_CASE("a login for which no memory is free is an outage, and those beside it are served",
          "[dovecot_session]")
{
    Stage stage{submission(), 4}; // one is the shared buffer, one is for decoding
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
    stage.peer.reset();
    stage.serve();
    CHECK(stage.is_ended());
    CHECK(stage.secrets.slots_free() == 3);
}

TEST_CASE("a login for which no memory is free, alone on its connection, ends it: that is an outage",
          "[dovecot_session]")
{
    Stage stage{submission(), 2};
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        C: CONT 1 {secret}
        S: end
    )");
    CHECK(stage.is_ended());
    CHECK(stage.secrets.slots_free() == 1);
    const std::span<char> scratch = stage.scratch.buffer();
    CHECK(std::ranges::count(scratch, '\0') == static_cast<std::ptrdiff_t>(scratch.size()));
}

TEST_CASE("a line that finds no memory ends its connection, but not what is in work there",
          "[dovecot_session]")
{
    Stage stage{submission(), 3};
    stage.introduce();
    stage.say(wire("AUTH 1 " + plain("alice")));
    stage.serve();
    const Secret last{stage.secrets, {}};
    stage.say("AUTH\t2\thalf of a li");
    play(stage, R"(
        B: alice accepted
        S: OK 1 user=alice
        S: end
    )");
    CHECK(stage.is_ended());
    const std::span<char> scratch = stage.scratch.buffer();
    CHECK(std::ranges::count(scratch, '\0') == static_cast<std::ptrdiff_t>(scratch.size()));
}

TEST_CASE("when another front serves, a connection that is idle after a login ends at once",
          "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
        B: alice accepted
        S: OK 1 user=alice
    )");
    stage.session().finish();
    CHECK(stage.is_ended());
    CHECK(stage.heard() == std::vector<std::string>{"end"});
    check_no_slot_is_lost(stage);
}

TEST_CASE("when another front serves, who has just connected has a second for the first login",
          "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    stage.session().finish();
    stage.advance(999ms);
    CHECK_FALSE(stage.is_ended());
    SECTION("and takes it")
    {
        play(stage, R"(
            C: AUTH 1 PLAIN service=smtp resp={\0alice\0secret}
            B: alice accepted
            S: OK 1 user=alice
            S: end
        )");
    }
    SECTION("or not")
    {
        stage.advance(1ms);
        CHECK(stage.heard() == std::vector<std::string>{"end"});
    }
    CHECK(stage.is_ended());
}

TEST_CASE("when another front serves, who has not said who it is may still do so, within the deadline",
          "[dovecot_session]")
{
    Stage stage;
    stage.begin();
    stage.session().finish();
    stage.advance(stage.listener.deadline - 1ms);
    CHECK_FALSE(stage.is_ended());
    stage.advance(1ms);
    CHECK(stage.is_ended());
}

TEST_CASE("when another front serves, a login that its client has given up holds it for the deadline alone",
          "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
    )");
    stage.session().finish();
    stage.advance(stage.listener.deadline - 1ms);
    CHECK_FALSE(stage.is_ended());
    stage.advance(1ms);
    CHECK(stage.is_ended());
}

TEST_CASE("a service with a longer name than any field may have is refused", "[dovecot_session]")
{
    Stage stage;
    const std::string longest(stage.listener.field_bytes_max, 'x');
    stage.introduce();
    stage.say(wire("AUTH 1 PLAIN service=" + longest + "x resp={\\0alice\\0secret}"));
    CHECK(stage.heard() == std::vector<std::string>{"FAIL\t1"});
    CHECK_FALSE(stage.is_asked("alice"));
    stage.say(wire("AUTH 2 PLAIN service=" + longest + " resp={\\0alice\\0secret}"));
    stage.serve();
    CHECK(stage.is_asked("alice"));
}

TEST_CASE("when another front serves, a login that has begun is served to its end", "[dovecot_session]")
{
    Stage stage;
    play(stage.introduce(), R"(
        C: AUTH 1 LOGIN service=smtp
        S: CONT 1 {Username:}
        C: AUTH 2 SCRAM-SHA-256 service=smtp resp={n,,n=bob,r=abc}
    )");
    stage.session().finish();
    play(stage, R"(
        C: CONT 1 {alice}
        S: CONT 1 {Password:}
        B: bob accepted s=c2FsdA==,i=4096
        S: CONT 2 {r=abc…
        C: CONT 1 {secret}
        C: CONT 2 {c=biws,r=NONCE,p=)" +
                    zeros + R"(}
        B: bob accepted )" +
                    zeros + R"(
        S: CONT 2 {v=)" +
                    zeros + R"(}
        B: alice accepted
        S: OK 1 user=alice
    )");
}

TEST_CASE("what came before another front serves is answered, and what comes then is not taken",
          "[dovecot_session]")
{
    Stage stage;
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
    play(stage, R"(
        B: alice accepted
        S: OK 1 user=alice
        S: end
    )");
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("when the daemon stops, a login that its client does not complete in time ends",
          "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    begin_waiting(stage, 1);
    stage.session().hurry(stage.clock.now() + 500ms);
    stage.advance(499ms);
    CHECK_FALSE(stage.is_ended());
    stage.advance(1ms);
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("when the daemon stops, a login that is complete in time has its full time", "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    stage.session().hurry(stage.clock.now() + 500ms);
    stage.say(wire("AUTH 1 " + plain("alice")) + wire("AUTH 2 LOGIN service=smtp"));
    play(stage, R"(
        S: CONT 2 {Username:}
        T: 5
        B: alice accepted
        S: OK 1 user=alice
        S: end
    )");
    CHECK(stage.is_ended());
    check_no_slot_is_lost(stage);
}

TEST_CASE("a session is idle unless the Authenticator has a login of it", "[dovecot_session]")
{
    Stage stage;
    stage.introduce();
    CHECK(stage.session().is_idle());
    begin_waiting(stage, 1);
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
