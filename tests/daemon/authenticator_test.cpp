// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/authenticator.hpp"
#include "tests/support/scripted_workers.hpp"

using namespace postern;
using namespace std::chrono_literals;

namespace {

class RecordingLog final : public Log {
public:
    void write(LogLevel level, std::string_view text) noexcept override
    {
        lines.emplace_back(std::to_string(static_cast<int>(level)) + ' ' + std::string{text});
    }
    std::vector<std::string> lines;
};

/// An authenticator over one worker for each of two backends, and the logins that it was given.
struct Gate {
    explicit Gate(Authenticator::Settings settings, std::uint32_t random = 0)
        : authenticator{clock, log, [random](std::uint32_t bound) { return std::min(random, bound - 1); },
                        pools, std::move(settings)}
    {
        for (std::size_t i = 0; i < pools.size(); ++i) {
            static_cast<void>(pools[i].start_missing());
            pools[i].on_ready(static_cast<WorkerId>(1));
        }
    }

    void login(const std::string& user, Duration deadline = 8s, bool joins_realm = false)
    {
        authenticator.authenticate(requests.of(user), clock.now() + deadline, joins_realm,
                                   [this, user](Verdict verdict) { verdicts[user].push_back(verdict); });
    }

    /// The backend's worker says what it found, about the request that it was asked last.
    void answer(std::size_t backend, Verdict verdict, const std::string& reason = "")
    {
        REQUIRE_FALSE(workers[backend].asked.empty());
        const auto question = workers[backend].asked.back();
        workers[backend].asked.pop_back();
        pools[backend].on_answer(question.worker, question.job, {verdict, reason});
    }

    void advance(Duration time)
    {
        clock.advance(time);
        for (WorkerPool& pool : pools)
            pool.end_overdue();
        authenticator.tick();
    }

    /// What the client was told, once.
    [[nodiscard]] std::optional<Verdict> told(const std::string& user)
    {
        REQUIRE(verdicts[user].size() <= 1);
        return verdicts[user].empty() ? std::nullopt : std::optional{verdicts[user].front()};
    }

    ManualClock clock;
    RecordingLog log;
    Requests requests;
    std::array<ScriptedWorkers, 2> workers;
    std::vector<WorkerPool> pools = make_pools();
    Authenticator authenticator;
    std::map<std::string, std::vector<Verdict>> verdicts;

private:
    std::vector<WorkerPool> make_pools()
    {
        std::vector<WorkerPool> made;
        for (std::size_t i = 0; i < workers.size(); ++i)
            made.emplace_back(clock, workers[i], WorkerPool::Settings{i, 1, 2});
        return made;
    }
};

Authenticator::Settings one_backend(std::chrono::milliseconds failure_delay = 0ms)
{
    return {{{ChainLink{0}}, failure_delay}, {"sasldb", "ldap"}, 3};
}

Authenticator::Settings two_backends()
{
    return {{{ChainLink{0}, ChainLink{1}}, 0ms}, {"sasldb", "ldap"}, 3};
}

} // namespace

TEST_CASE("an accepted login leaves at once", "[authenticator]")
{
    Gate gate{one_backend(1s)};
    gate.login("alice");
    gate.answer(0, Verdict::accepted);
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::accepted);
    CHECK(gate.authenticator.logins() == 0);
}

TEST_CASE("nobody is told anything from inside of what they called", "[authenticator]")
{
    Gate gate{{{{}, 0ms}, {}, 3}}; // no backend: concluded at once
    gate.login("alice");
    CHECK_FALSE(gate.told("alice"));
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::unavailable);
}

TEST_CASE("every refusal leaves at the same distance from its arrival, whenever the answer came",
          "[authenticator]")
{
    const auto verdict = GENERATE(Verdict::rejected, Verdict::unknown_user, Verdict::barred);
    const auto answered_after = GENERATE(0ms, 10ms, 999ms);
    CAPTURE(verdict_text(verdict), answered_after.count());
    Gate gate{one_backend(1s), 100}; // 100 of 0 to 200: in the middle, no jitter
    gate.login("alice");
    gate.advance(answered_after);
    gate.answer(0, verdict);
    gate.advance(999ms - answered_after);
    CHECK_FALSE(gate.told("alice"));
    gate.advance(1ms);
    CHECK(gate.told("alice") == verdict);
}

TEST_CASE("the distance varies by up to a tenth", "[authenticator]")
{
    const auto [random, distance] = GENERATE(
        table<std::uint32_t, std::chrono::milliseconds>({{0, 900ms}, {200, 1100ms}, {1000, 1100ms}}));
    Gate gate{one_backend(1s), random};
    gate.login("alice");
    gate.answer(0, Verdict::rejected);
    gate.advance(distance - 1ms);
    CHECK_FALSE(gate.told("alice"));
    gate.advance(1ms);
    CHECK(gate.told("alice") == Verdict::rejected);
}

TEST_CASE("a refusal never leaves after the deadline", "[authenticator]")
{
    Gate gate{one_backend(10s), 1000};
    gate.login("alice", 2s);
    gate.answer(0, Verdict::rejected);
    gate.advance(2s);
    CHECK(gate.told("alice") == Verdict::rejected);
}

TEST_CASE("when too many refusals wait, the one that arrived first leaves first", "[authenticator]")
{
    Gate gate{one_backend(1s)}; // three may wait
    for (const char* user : {"a", "b", "c"}) {
        gate.login(user);
        gate.answer(0, Verdict::rejected);
        gate.advance(1ms);
    }
    CHECK_FALSE(gate.told("a"));
    gate.login("d");
    gate.answer(0, Verdict::rejected);
    gate.advance(0s);
    CHECK(gate.told("a") == Verdict::rejected);
    CHECK_FALSE(gate.told("b"));
    CHECK_FALSE(gate.told("d"));
}

TEST_CASE("a login that nobody answers is unavailable at its deadline, and its worker is killed",
          "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("alice", 8s);
    gate.advance(8s - 1ms);
    CHECK_FALSE(gate.told("alice"));
    gate.advance(1ms);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.workers[0].killed == std::vector<WorkerId>{1});
    CHECK(gate.log.lines.back() == "4 auth unavailable: [user=alice] [service=smtp] [realm=example.org] "
                                   "[mech=sasldb] [reason=no answer within "
                                   "the deadline]");
}

TEST_CASE("a login that waits for a worker for half of its time is unavailable, and no worker is killed",
          "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("alice", 8s);
    gate.login("bob", 2s);
    gate.advance(1s);
    CHECK(gate.told("bob") == Verdict::unavailable);
    CHECK_FALSE(gate.told("alice"));
    CHECK(gate.workers[0].killed.empty());
}

TEST_CASE("what does not fit the queue is unavailable at once", "[authenticator]")
{
    Gate gate{one_backend()};
    for (const char* user : {"a", "b", "c", "d"}) // one in work, two wait
        gate.login(user);
    gate.advance(0s);
    CHECK(gate.told("d") == Verdict::unavailable);
    CHECK_FALSE(gate.told("c"));
}

TEST_CASE("the next backend is asked when the first does not know the user", "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice");
    CHECK(gate.workers[1].asked.empty());
    gate.answer(0, Verdict::unknown_user);
    gate.answer(1, Verdict::accepted);
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::accepted);
}

TEST_CASE("nobody else is asked about a wrong password", "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice");
    gate.answer(0, Verdict::rejected);
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::rejected);
    CHECK(gate.workers[1].asked.empty());
}

TEST_CASE("an outage of one backend is an outage unless another accepts, and the log names the one",
          "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice");
    gate.answer(0, Verdict::unavailable, "cannot open /etc/sasldb2");
    gate.answer(1, Verdict::rejected, "wrong password");
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.log.lines.back() == "4 auth unavailable: [user=alice] [service=smtp] [realm=example.org] "
                                   "[mech=sasldb] [reason=cannot open "
                                   "/etc/sasldb2]");
}

TEST_CASE("the deadline holds for the whole chain", "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice", 8s);
    gate.advance(7s);
    gate.answer(0, Verdict::unknown_user);
    CHECK(gate.workers[1].asked.back().time_left == 1s);
    gate.advance(1s);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.workers[0].killed.empty());
    CHECK(gate.workers[1].killed == std::vector<WorkerId>{1});
}

TEST_CASE("with -r the backend is asked about login@realm, and without a realm about the login",
          "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("alice", 8s, true);
    CHECK(gate.workers[0].asked.back().user == "alice@example.org");
}

TEST_CASE("the password is gone as soon as the login is decided, while its refusal still waits",
          "[authenticator]")
{
    Gate gate{one_backend(1s)};
    const std::size_t free = gate.requests.secrets().slots_free();
    gate.login("alice");
    CHECK(gate.requests.secrets().slots_free() == free - 1);
    gate.answer(0, Verdict::rejected);
    CHECK(gate.requests.secrets().slots_free() == free);
    CHECK(gate.authenticator.logins() == 1);
}

TEST_CASE("a login is one line in saslauthd's words, without its password", "[authenticator]")
{
    const auto [verdict, line] = GENERATE(table<Verdict, std::string>({
        {Verdict::accepted, "7 auth success: [user=alice] [service=smtp] [realm=example.org] [mech=sasldb]"},
        {Verdict::rejected,
         "6 auth failure: [user=alice] [service=smtp] [realm=example.org] [mech=sasldb] [reason=Unknown]"},
        {Verdict::unavailable, "4 auth unavailable: [user=alice] [service=smtp] [realm=example.org] "
                               "[mech=sasldb] [reason=Unknown]"},
    }));
    Gate gate{one_backend()};
    gate.login("alice");
    gate.answer(0, verdict);
    CHECK(gate.log.lines == std::vector{line});
}

TEST_CASE("no user can forge, break or end a field of the log line", "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("x] [reason=ok]\nsaslauthd: auth success");
    gate.answer(0, Verdict::rejected, "wrong password");
    CHECK(gate.log.lines.back() ==
          "6 auth failure: [user=x\\x5d [reason=ok\\x5d\\x0asaslauthd: auth success] [service=smtp] "
          "[realm=example.org] [mech=sasldb] [reason=wrong password]");
}
