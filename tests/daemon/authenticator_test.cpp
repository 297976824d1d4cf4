// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/authenticator.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/scripted_workers.hpp"

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// How a login comes in.
struct Way {
    Duration deadline = 8s;
    bool joins_realm = false;
    std::size_t route = 0;
    std::string realm = "example.org";
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

    void login(const std::string& user, const Way& way = {})
    {
        authenticator.authenticate(requests.of(user, way.realm),
                                   {clock.now() + way.deadline, way.joins_realm, way.route},
                                   [this, user](Verdict verdict) { verdicts[user].push_back(verdict); });
    }

    /// The backend's worker says what it found, about the request that it was asked last.
    void answer(std::size_t backend, Decision decision)
    {
        REQUIRE_FALSE(workers[backend].asked.empty());
        const auto question = workers[backend].asked.back();
        workers[backend].asked.pop_back();
        pools[backend].on_answer(question.worker, question.job, std::move(decision));
    }

    void answer(std::size_t backend, Verdict verdict, const std::string& reason = "")
    {
        answer(backend, Decision{verdict, reason});
    }

    /// A login that is refused at once, by a backend that asks for this delay.
    void refuse(const std::string& user, const Way& way, std::size_t backend,
                std::chrono::milliseconds failure_delay = 0ms)
    {
        login(user, way);
        answer(backend, {Verdict::rejected, "", false, failure_delay});
    }

    /// Whether the client is told at this distance from now, and not before.
    [[nodiscard]] bool is_told_after(const std::string& user, Duration distance)
    {
        advance(distance - 1ms);
        const bool is_early = told(user).has_value();
        advance(1ms);
        return !is_early && told(user).has_value();
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
    ServerHealth no_servers{clock, log, [](std::uint32_t) { return 0; }, "local", {}};
    std::vector<WorkerPool> pools = make_pools();
    Authenticator authenticator;
    std::map<std::string, std::vector<Verdict>> verdicts;

private:
    std::vector<WorkerPool> make_pools()
    {
        std::vector<WorkerPool> made;
        for (std::size_t i = 0; i < workers.size(); ++i)
            made.emplace_back(clock, workers[i], i,
                              PoolConfig{.workers = 1, .workers_max = 1, .queue_max = 2}, no_servers);
        return made;
    }
};

RouteConfig route_to(Chain chain, std::chrono::milliseconds failure_delay = 0ms)
{
    return {"default", std::move(chain), {}, failure_delay};
}

Authenticator::Settings routes(std::vector<RouteConfig> routes)
{
    return {std::move(routes), {"sasldb", "ldap"}, 3};
}

Authenticator::Settings one_backend(std::chrono::milliseconds failure_delay = 0ms)
{
    return routes({route_to({ChainLink{0}}, failure_delay)});
}

Authenticator::Settings two_backends()
{
    return routes({route_to({ChainLink{0}, ChainLink{1}})});
}

/// sasldb for every realm but example.org, which has ldap.
Authenticator::Settings realms()
{
    return routes({{"default", {ChainLink{0}}, {{"example.org", {ChainLink{1}}}}, 0ms}});
}

/// sasldb by the first, ldap by the second; a refusal waits a second with either.
Authenticator::Settings two_routes()
{
    return routes({route_to({ChainLink{0}}, 1s), route_to({ChainLink{1}}, 1s)});
}

constexpr std::uint32_t no_jitter = 100; ///< of 0 to 200: the middle, for a delay of a second

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
    Gate gate{routes({route_to({})})}; // no backend: concluded at once
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
    Gate gate{one_backend(1s), no_jitter};
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
    gate.login("alice", {.deadline = 2s});
    gate.answer(0, Verdict::rejected);
    CHECK(gate.is_told_after("alice", 2s));
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
    CHECK(gate.authenticator.delayed() == 3);
    gate.advance(0s);
    CHECK(gate.told("a") == Verdict::rejected);
    CHECK_FALSE(gate.told("b"));
    CHECK_FALSE(gate.told("d"));
    CHECK(gate.authenticator.counts().left_early == 1);
}

TEST_CASE("a refusal that leaves in its own time is not counted as early", "[authenticator]")
{
    Gate gate{one_backend(1s), no_jitter};
    gate.refuse("alice", {}, 0);
    gate.advance(1s);
    CHECK(gate.told("alice") == Verdict::rejected);
    CHECK(gate.authenticator.counts().left_early == 0);
    CHECK(gate.authenticator.delayed() == 0);
}

TEST_CASE("a refusal waits for as long as any backend has ever asked for", "[authenticator]")
{
    const auto verdict = GENERATE(Verdict::accepted, Verdict::rejected, Verdict::unknown_user,
                                  Verdict::barred, Verdict::unavailable);
    CAPTURE(verdict_text(verdict));
    Gate gate{one_backend(1s), 2 * no_jitter}; // no jitter with a delay of two seconds
    gate.login("alice");
    gate.answer(0, {verdict, "", false, 2s});
    gate.advance(8s);
    gate.refuse("bob", {}, 0);
    CHECK(gate.is_told_after("bob", 2s));
}

TEST_CASE("the refusal that raises the delay waits for it too, and a shorter one lowers nothing",
          "[authenticator]")
{
    Gate gate{one_backend(1s), 2 * no_jitter};
    gate.refuse("alice", {}, 0, 2s);
    CHECK(gate.is_told_after("alice", 2s));
    gate.refuse("bob", {}, 0, 1500ms);
    CHECK(gate.is_told_after("bob", 2s));
}

TEST_CASE("every kind of refusal waits for as long as one backend of the chain has asked for",
          "[authenticator]")
{
    const auto verdict = GENERATE(Verdict::rejected, Verdict::unknown_user, Verdict::barred);
    CAPTURE(verdict_text(verdict));
    Gate gate{two_backends(), 2 * no_jitter};
    gate.login("alice");
    gate.answer(0, {Verdict::unknown_user, "", false, 2s});
    gate.answer(1, verdict);
    CHECK(gate.is_told_after("alice", 2s));
}

TEST_CASE("the delay that one route's backends ask for is not another's", "[authenticator]")
{
    Gate gate{two_routes(), 2 * no_jitter};
    gate.refuse("alice", {.route = 0}, 0, 2s);
    CHECK(gate.is_told_after("alice", 2s));
    gate.refuse("bob", {.route = 1}, 1);
    CHECK(gate.is_told_after("bob", 1100ms)); // the same number is a tenth more of a second
}

TEST_CASE("a delay that a backend asks for never goes past the deadline", "[authenticator]")
{
    const auto asked =
        GENERATE(as<std::chrono::milliseconds>{}, 3s, 24h, std::chrono::milliseconds{UINT32_MAX});
    CAPTURE(asked.count());
    Gate gate{one_backend(1s)};
    gate.refuse("alice", {.deadline = 2s}, 0, asked);
    CHECK(gate.is_told_after("alice", 2s));
    CHECK(gate.told("alice") == Verdict::rejected);
}

TEST_CASE("no delay holds back an accepted login or an outage", "[authenticator]")
{
    const auto verdict = GENERATE(Verdict::accepted, Verdict::unavailable);
    Gate gate{one_backend(1s)};
    gate.login("alice");
    gate.answer(0, {verdict, "", false, 2s});
    gate.advance(0s);
    CHECK(gate.told("alice") == verdict);
}

TEST_CASE("a login that nobody answers is unavailable at its deadline, and its worker is killed",
          "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("alice");
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
    gate.login("alice");
    gate.login("bob", {.deadline = 2s});
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
    gate.login("alice");
    gate.advance(7s);
    gate.answer(0, Verdict::unknown_user);
    CHECK(gate.workers[1].asked.back().time_left == 1s);
    gate.advance(1s);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.workers[0].killed.empty());
    CHECK(gate.workers[1].killed == std::vector<WorkerId>{1});
}

TEST_CASE("the realm says whom to ask, byte for byte", "[authenticator]")
{
    const auto realm = GENERATE(as<std::string>{}, "", "example.com", "EXAMPLE.org", "example.org.",
                                "example.or", " example.org", std::string{"example.org\0", 12});
    CAPTURE(realm);
    Gate gate{realms()};
    gate.login("alice", {.realm = "example.org"});
    CHECK(gate.workers[0].asked.empty());
    CHECK(gate.workers[1].asked.size() == 1);
    gate.login("bob", {.realm = realm});
    CHECK(gate.workers[0].asked.size() == 1);
    CHECK(gate.workers[1].asked.size() == 1);
}

TEST_CASE("a realm's own chain is asked to its end, and the default one not at all", "[authenticator]")
{
    Gate gate{realms()};
    gate.login("alice", {.realm = "example.org"});
    gate.answer(1, Verdict::unknown_user);
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::unknown_user);
    CHECK(gate.workers[0].asked.empty());
}

TEST_CASE("with -r it is still the realm that says whom to ask", "[authenticator]")
{
    Gate gate{realms()};
    gate.login("alice", {.joins_realm = true, .realm = "example.org"});
    CHECK(gate.workers[1].asked.back().user == "alice@example.org");
}

TEST_CASE("a realm for which there is nobody to ask is an outage, and the log says why", "[authenticator]")
{
    Gate gate{routes({{"default", {}, {{"example.org", {ChainLink{1}}}}, 0ms}})};
    gate.login("alice", {.realm = "example.com"});
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.log.lines ==
          std::vector<std::string>{"4 auth unavailable: [user=alice] [service=smtp] [realm=example.com] "
                                   "[mech=] [reason=no backend is configured for this realm]"});
    CHECK(gate.authenticator.counts().verdicts.of(Verdict::unavailable) == 1);
}

TEST_CASE("a login is asked by the route of its listener and no other", "[authenticator]")
{
    Gate gate{two_routes(), no_jitter};
    gate.login("alice", {.route = 0});
    gate.login("bob", {.route = 1});
    CHECK(gate.workers[0].asked.back().user == "alice");
    CHECK(gate.workers[1].asked.back().user == "bob");
    gate.answer(0, Verdict::unknown_user);
    gate.answer(1, Verdict::accepted);
    gate.advance(1s);
    CHECK(gate.told("alice") == Verdict::unknown_user);
    CHECK(gate.told("bob") == Verdict::accepted);
}

TEST_CASE("logins are counted by what became of them, and answers by who gave them", "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice");
    gate.answer(0, Verdict::unknown_user);
    gate.answer(1, Verdict::accepted);
    gate.login("bob");
    gate.answer(0, Verdict::unavailable);
    gate.answer(1, Verdict::rejected);
    gate.advance(0s);
    const LoginCounts& counts = gate.authenticator.counts();
    CHECK(counts.verdicts.of(Verdict::accepted) == 1);
    CHECK(counts.verdicts.of(Verdict::unavailable) == 1);
    CHECK(counts.verdicts.of(Verdict::unknown_user) == 0);
    CHECK(counts.verdicts.of(Verdict::rejected) == 0);
    CHECK(counts.decisions.at(0).of(Verdict::unknown_user) == 1);
    CHECK(counts.decisions.at(0).of(Verdict::unavailable) == 1);
    CHECK(counts.decisions.at(1).of(Verdict::accepted) == 1);
    CHECK(counts.decisions.at(1).of(Verdict::rejected) == 1);
}

TEST_CASE("an answer that comes too late, or cannot be asked for, is counted as an outage", "[authenticator]")
{
    Gate gate{one_backend()};
    for (const char* user : {"a", "b", "c", "d"}) // one in work, two wait, one does not fit
        gate.login(user);
    CHECK(gate.authenticator.counts().decisions.at(0).of(Verdict::unavailable) == 1);
    gate.advance(4s);
    CHECK(gate.authenticator.counts().decisions.at(0).of(Verdict::unavailable) == 3);
    gate.advance(4s);
    CHECK(gate.authenticator.counts().decisions.at(0).of(Verdict::unavailable) == 4);
    gate.answer(0, Verdict::accepted);
    CHECK(gate.authenticator.counts().decisions.at(0).of(Verdict::accepted) == 0);
    CHECK(gate.authenticator.counts().verdicts.of(Verdict::unavailable) == 4);
}

TEST_CASE("with -r the backend is asked about login@realm, and without a realm about the login",
          "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("alice", {.joins_realm = true});
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
