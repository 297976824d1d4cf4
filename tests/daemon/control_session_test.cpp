// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "daemon/control_session.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/manual_loop.hpp"
#include "tests/support/recording_log.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

const std::string status = control::write_request(control::Command::status);
const std::string reload = control::write_request(control::Command::reload);
const std::string finish = control::write_request(control::Command::finish);
const std::string done = control::write_done();

/// A daemon in the hands of a test: its status is what the test says, and a reload ends when it says so.
class ScriptedHost final : public ControlHost {
public:
    [[nodiscard]] StatusReport status() const override
    {
        if (is_broken)
            throw std::runtime_error{"broken"};
        return report;
    }

    std::variant<ReloadId, std::string> reload(OnReloadEnd on_end) override
    {
        if (!refusal.empty())
            return refusal;
        reloads.emplace(++last, std::move(on_end));
        return last;
    }

    void forget_reload(ReloadId id) noexcept override { reloads.erase(id); }

    void finish() override
    {
        ++finishes;
        if (on_finish)
            on_finish();
    }

    std::size_t flush(const control::Whose& whose) override
    {
        flushes.push_back(whose);
        return kept;
    }

    /// As a front does it: the callback is taken out first, since it may destroy the session.
    void end_reload(std::string_view problem)
    {
        REQUIRE_FALSE(reloads.empty());
        const auto ended = reloads.extract(reloads.begin());
        ended.mapped()(problem);
    }

    StatusReport report;
    bool is_broken = false;
    std::string refusal;
    std::map<ReloadId, OnReloadEnd> reloads;
    ReloadId last = 0;
    int finishes = 0;
    std::vector<control::Whose> flushes;
    std::size_t kept = 0;
    std::function<void()> on_finish;
};

/// One session on an event loop whose time is moved by hand, and its peer.
struct Stage {
    Stage()
    {
        std::array<int, 2> ends{};
        check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()),
              "socketpair");
        peer = UniqueFd{ends[0]};
        session_end = UniqueFd{ends[1]};
    }

    void begin()
    {
        sessions.emplace_back(services, std::move(session_end));
        sessions.back().begin(std::prev(sessions.end()));
    }

    /// Serves everything that is due when the clock has moved on by `step`, and what comes of it.
    void advance(Duration step)
    {
        clock.advance(step);
        serve_what_is_due(loop, clock);
    }

    void serve() { advance(0s); }

    void say(std::string_view bytes) const
    {
        REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
    }

    /// What the peer can read now.
    std::string heard() const
    {
        std::string text;
        std::array<char, 65536> buffer{};
        for (ssize_t got = 0; (got = ::recv(peer.get(), buffer.data(), buffer.size(), 0)) > 0;)
            text.append(buffer.data(), static_cast<std::size_t>(got));
        return text;
    }

    /// Whether the peer has read everything up to the end of the stream.
    bool hears_the_end() const
    {
        char byte = 0;
        return ::recv(peer.get(), &byte, 1, MSG_PEEK) == 0;
    }

    /// What the session answers to those bytes.
    std::string ask(std::string_view bytes)
    {
        say(bytes);
        serve();
        return heard();
    }

    bool is_over() const { return sessions.empty(); }

    ManualClock clock;
    EventLoop loop{clock};
    RecordingLog log;
    ScriptedHost host;
    ControlSessionList sessions;
    ControlServices services{loop, log, host,
                             [this](ControlSessionList::iterator session) { sessions.erase(session); }};
    UniqueFd peer;
    UniqueFd session_end;
};

std::string problem_in(const std::string& line)
{
    const auto reply = control::parse_reply(line);
    return reply && !reply->is_ok ? reply->problem : "none in " + line;
}

} // namespace

TEST_CASE("a request that is there already is answered at once", "[control_session]")
{
    Stage stage;
    stage.host.report.version = "1.2.3";
    stage.say(status);
    stage.begin();
    CHECK(stage.heard() == control::write_status(stage.host.report));
    CHECK_FALSE(stage.is_over());
}

TEST_CASE("one connection serves one request after the other", "[control_session]")
{
    Stage stage;
    stage.begin();
    const std::string report = control::write_status(stage.host.report);
    CHECK(stage.ask(status) == report);
    CHECK(stage.ask(status) == report);
    CHECK(stage.ask(status + status + status) == report + report + report);
    stage.peer.reset();
    stage.serve();
    CHECK(stage.is_over());
    CHECK(stage.log.lines.empty());
}

TEST_CASE("a request may come in any pieces", "[control_session]")
{
    Stage stage;
    stage.begin();
    for (const char byte : status.substr(0, status.size() - 1))
        CHECK(stage.ask({&byte, 1}).empty());
    CHECK(stage.ask("\n") == control::write_status(stage.host.report));
    CHECK(stage.ask(status + status.substr(0, 5)) == control::write_status(stage.host.report));
    CHECK(stage.ask(status.substr(5)) == control::write_status(stage.host.report));
}

TEST_CASE("a peer that has half-closed behind its request is answered, and then the session ends",
          "[control_session]")
{
    Stage stage;
    stage.say(status);
    check(::shutdown(stage.peer.get(), SHUT_WR), "shutdown");
    stage.begin();
    stage.serve();
    CHECK(stage.heard() == control::write_status(stage.host.report));
    CHECK(stage.is_over());
}

TEST_CASE("what is no request is told why, and the next one is served", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(problem_in(stage.ask("\n")) == "a request is one JSON object on a line");
    CHECK(problem_in(stage.ask("{\"version\":1,\"command\":\"relaod\"}\n")) ==
          "there is no command 'relaod'; did you mean reload?");
    CHECK(problem_in(stage.ask("{\"version\":7,\"command\":\"status\"}\n")) ==
          "the daemon speaks version 1 of this protocol, and the request version 7");
    CHECK(stage.ask(status) == control::write_status(stage.host.report));
    CHECK(stage.host.finishes == 0);
}

TEST_CASE("the longest request is served, a longer one is told so and is the last", "[control_session]")
{
    Stage stage;
    stage.begin();
    std::string line = status;
    line.insert(1, control::request_bytes_max - line.size(), ' ');
    CHECK(stage.ask(line) == control::write_status(stage.host.report));

    line.insert(1, GENERATE(1U, 2U, 5000U), ' ');
    CHECK(problem_in(stage.ask(line + status)) == "a request has at most 4096 bytes");
    CHECK(stage.hears_the_end());
    CHECK_FALSE(stage.is_over()); // the peer may still be writing
    stage.say(std::string(5000, 'x'));
    stage.peer.reset();
    stage.serve();
    CHECK(stage.is_over());
}

TEST_CASE("a peer that is told that its request is too long does not have to leave", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(problem_in(stage.ask(std::string(control::request_bytes_max + 1, 'x'))) ==
          "a request has at most 4096 bytes");
    stage.advance(29s);
    CHECK_FALSE(stage.is_over());
    stage.advance(1s);
    CHECK(stage.is_over());
}

TEST_CASE("an answer that does not fit the socket waits for its peer, and nothing is read meanwhile",
          "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.host.report.version = std::string(3 << 20, 'x');
    const std::string report = control::write_status(stage.host.report);
    std::string heard = stage.ask(status + finish);
    CHECK(heard.size() < report.size());
    CHECK(stage.host.finishes == 0);
    while (heard.size() < report.size() + done.size()) {
        stage.serve();
        const std::string more = stage.heard();
        REQUIRE_FALSE(more.empty());
        heard += more;
    }
    CHECK((heard == report + done));
    CHECK(stage.host.finishes == 1);
}

TEST_CASE("a peer that takes nothing of its answer is given up", "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.host.report.version = std::string(3 << 20, 'x');
    stage.say(status);
    stage.advance(20s);
    stage.advance(29s);
    CHECK_FALSE(stage.is_over());
    CHECK_FALSE(stage.heard().empty());
    stage.advance(0s);
    stage.advance(29s);
    CHECK_FALSE(stage.is_over()); // it has taken a part
    stage.advance(1s);
    CHECK(stage.is_over());
}

TEST_CASE("a peer that goes away in the midst of its answer ends the session", "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.host.report.version = std::string(3 << 20, 'x');
    stage.say(status);
    stage.serve();
    stage.peer.reset();
    stage.serve();
    CHECK(stage.is_over());
}

TEST_CASE("a silent peer is given up, and a drop now and then is silence", "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.advance(20s);
    CHECK_FALSE(stage.ask(status).empty()); // the time runs anew
    stage.advance(29s);
    stage.say("{");
    stage.serve();
    CHECK_FALSE(stage.is_over());
    stage.advance(1s);
    CHECK(stage.is_over());
    CHECK(stage.hears_the_end());
}

TEST_CASE("a reload is answered when it has ended", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(stage.ask(reload).empty());
    stage.advance(59s);
    CHECK(stage.heard().empty());
    SECTION("well")
    {
        stage.host.end_reload("");
        CHECK(stage.heard() == done);
    }
    SECTION("badly")
    {
        stage.host.end_reload("/etc/postern.conf:3: no");
        CHECK(problem_in(stage.heard()) == "/etc/postern.conf:3: no");
    }
    stage.advance(29s);
    CHECK(stage.ask(status) == control::write_status(stage.host.report));
}

TEST_CASE("a reload that cannot be is answered at once", "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.host.refusal = "the supervisor is gone";
    CHECK(problem_in(stage.ask(reload)) == "the supervisor is gone");
    CHECK_FALSE(stage.ask(status).empty());
}

TEST_CASE("requests behind a reload wait for its end", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(stage.ask(reload + status + reload).empty());
    CHECK(stage.ask(finish).empty());
    CHECK(stage.host.reloads.size() == 1);
    stage.host.end_reload("");
    CHECK(stage.heard() == done + control::write_status(stage.host.report));
    CHECK(stage.host.reloads.size() == 1);
    stage.host.end_reload("no");
    stage.serve();
    CHECK(stage.heard() == control::write_problem("no") + done);
    CHECK(stage.host.finishes == 1);
}

TEST_CASE("a reload that does not end is given up, and its end reaches nobody", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(stage.ask(reload).empty());
    stage.advance(60s);
    CHECK_THAT(problem_in(stage.heard()), Catch::Contains("has not ended within 60 s"));
    CHECK(stage.host.reloads.empty());
    CHECK(stage.ask(status) == control::write_status(stage.host.report));
}

TEST_CASE("a peer that leaves during a reload ends the session, and the reload is forgotten",
          "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(stage.ask(reload).empty());
    SECTION("but not by half-closing")
    {
        check(::shutdown(stage.peer.get(), SHUT_WR), "shutdown");
        stage.serve();
        CHECK_FALSE(stage.is_over());
        stage.host.end_reload("");
        stage.serve();
        CHECK(stage.heard() == done);
    }
    SECTION("by closing")
    {
        stage.peer.reset();
        stage.serve();
    }
    CHECK(stage.is_over());
    CHECK(stage.host.reloads.empty());
}

TEST_CASE("a peer that has left by the end of its reload is no harm", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(stage.ask(reload).empty());
    stage.peer.reset();
    stage.host.end_reload("");
    CHECK(stage.is_over());
}

TEST_CASE("a session that is destroyed during a reload is not called any more", "[control_session]")
{
    Stage stage;
    stage.begin();
    CHECK(stage.ask(reload).empty());
    CHECK(stage.host.reloads.size() == 1);
    stage.sessions.clear();
    CHECK(stage.host.reloads.empty());
    CHECK(stage.hears_the_end());
}

TEST_CASE("finish is answered before the host is told", "[control_session]")
{
    Stage stage;
    stage.begin();
    std::string heard_before;
    stage.host.on_finish = [&] { heard_before = stage.heard(); };
    CHECK(stage.ask(finish).empty());
    CHECK(heard_before == done);
    CHECK(stage.host.finishes == 1);
    stage.advance(1h); // the peer reads the end of the stream when the front has ended
    CHECK_FALSE(stage.is_over());
    stage.sessions.clear();
    CHECK(stage.hears_the_end());
}

TEST_CASE("a peer that asks to finish and leaves is obeyed", "[control_session]")
{
    Stage stage;
    stage.say(finish);
    stage.peer.reset();
    stage.begin();
    CHECK(stage.host.finishes == 1);
    CHECK(stage.is_over());
}

TEST_CASE("trouble ends the session that has it, with a line in the log", "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.host.is_broken = true;
    CHECK(stage.ask(status).empty());
    CHECK(stage.is_over());
    CHECK(stage.log.lines == Texts{"3 a control session was ended: broken"});
}

TEST_CASE("no session leaves a descriptor behind", "[control_session]")
{
    const std::size_t before = open_descriptors();
    for (const bool peer_leaves : {true, false}) {
        Stage stage;
        stage.begin();
        CHECK_FALSE(stage.ask(status).empty());
        if (peer_leaves)
            stage.peer.reset();
        stage.advance(30s);
        CHECK(stage.is_over());
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("a flush is told to the host, and its answer says how many there were", "[control_session]")
{
    Stage stage;
    stage.begin();
    stage.host.kept = 7;
    const std::vector<control::Whose> asked{{}, {"bob", ""}, {"", "example.org"}};
    for (const control::Whose& whose : asked)
        CHECK(stage.ask(control::write_request({control::Command::flush, whose})) ==
              control::write_flushed(7));
    CHECK(stage.host.flushes == asked);
    CHECK(problem_in(stage.ask(R"({"version":1,"command":"flush","user":""})"
                               "\n")) == "user is a name");
    CHECK(stage.host.flushes.size() == asked.size());
}

} // namespace postern
