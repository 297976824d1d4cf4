// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/authenticator.hpp"
#include "protocol/scram_challenge.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/scripted_workers.hpp"

#include <set>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// How a login comes in.
struct Way {
    Duration deadline = 8s;
    NameRules names{};
    std::size_t route = 0;
    std::string realm = "example.org";
    std::string mechanism = "SCRAM-SHA-256";
    std::string password = "secret";
};

/// An authenticator over one worker for each of two backends, and the logins that it was given.
struct Gate {
    explicit Gate(Authenticator::Settings settings, std::uint32_t random = 0, bool has_cache = false)
        : authenticator{clock, log, [random](std::uint32_t bound) { return std::min(random, bound - 1); },
                        pools, with_cache(std::move(settings), has_cache)}
    {
        for (std::size_t i = 0; i < pools.size(); ++i) {
            static_cast<void>(pools[i].start_missing());
            pools[i].on_ready(static_cast<WorkerId>(1));
        }
    }

    void login(const std::string& user, const Way& way = {})
    {
        NormalisedRequest named = normalise(requests.of(user, way.realm, way.password), way.names);
        const LoginTerms terms{clock.now() + way.deadline, way.names, way.route};
        const auto tell = [this, user](const Outcome& outcome) {
            verdicts[user].push_back(outcome.verdict);
            if (outcome.is_cached)
                cached.insert(user);
        };
        if (const auto outcome = authenticator.recall(named, terms))
            tell(*outcome);
        else
            authenticator.authenticate(std::move(named), terms, tell);
    }

    /// A login's first step by a challenge mechanism.
    void ask_challenge(const std::string& user, const Way& way = {})
    {
        Request request = requests.of(user, way.realm);
        request.mechanism = way.mechanism;
        request.password.clear();
        authenticator.challenge(
            normalise(std::move(request), way.names), {clock.now() + way.deadline, way.names, way.route},
            [this, user](Challenge challenge) { challenges[user].push_back(std::move(challenge)); });
    }

    /// The second.
    void prove(const std::string& user, const Challenge& challenge, const Way& way = {})
    {
        Request request = requests.of(user, way.realm);
        request.mechanism = way.mechanism;
        authenticator.prove(normalise(std::move(request), way.names), challenge,
                            {clock.now() + way.deadline, way.names, way.route},
                            [this, user](const Outcome& outcome) {
                                verdicts[user].push_back(outcome.verdict);
                                replies[user] = outcome.reply;
                            });
    }

    /// What the client is to be told, once.
    [[nodiscard]] Challenge challenge_for(const std::string& user)
    {
        REQUIRE(challenges[user].size() == 1);
        return challenges[user].front();
    }

    /// The backend's worker says what it found, about the request that it was asked last.
    void answer(std::size_t backend, Decision decision)
    {
        REQUIRE_FALSE(workers[backend].asked.empty());
        const auto question = workers[backend].asked.front();
        workers[backend].asked.pop_front();
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
    LoginCache cache{clock, {16, 60s}, {{true, false}, {true, false}}, StoreChanges{{}, {}, 2, {}}};
    std::array<ScriptedWorkers, 2> workers;
    ServerHealth no_servers{clock, log, [](std::uint32_t) { return 0; }, "local", {}};
    std::vector<WorkerPool> pools = make_pools();
    Authenticator authenticator;
    std::map<std::string, std::vector<Verdict>> verdicts;
    std::map<std::string, std::vector<Challenge>> challenges;
    std::map<std::string, std::string> replies;
    std::set<std::string> cached; ///< those who were accepted without asking anybody

private:
    Authenticator::Settings with_cache(Authenticator::Settings settings, bool has_cache)
    {
        settings.cache = has_cache ? &cache : nullptr;
        return settings;
    }

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
    return {std::move(routes), {{"sasldb"}, {"ldap"}}, 3};
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

constexpr std::array<std::string_view, 2> scram_and_cram{"SCRAM-SHA-256", "CRAM-MD5"};

/// Two backends, of which those in `able` serve challenge mechanisms.
Authenticator::Settings proving(std::array<bool, 2> able, std::chrono::milliseconds failure_delay = 0ms)
{
    Authenticator::Settings settings = routes({route_to({ChainLink{0}, ChainLink{1}}, failure_delay)});
    for (std::size_t backend = 0; backend < able.size(); ++backend) {
        settings.backends[backend].realm_use = RealmUse::always;
        if (able.at(backend))
            settings.backends[backend].mechanisms = scram_and_cram;
    }
    settings.challenge_key = {7};
    return settings;
}

const std::string alices_challenge = "s=QSXCR+Q6sek8bf92QSXCRw==,i=" + std::to_string(scram_iterations);

/// A gate that remembers, where alice has been accepted by that backend.
struct RememberingGate : Gate {
    explicit RememberingGate(Authenticator::Settings settings, std::size_t backend = 0)
        : Gate{std::move(settings), 0, true}
    {
        login("alice");
        answer(backend, Verdict::accepted);
        forget_what_was_told();
    }

    void forget_what_was_told()
    {
        advance(0s);
        verdicts.clear();
        cached.clear();
        log.lines.clear();
    }
};

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

TEST_CASE("who is concluded and waits for no moment need not wait for the turn's end", "[authenticator]")
{
    Gate gate{one_backend(1s)};
    gate.login("alice");
    gate.answer(0, Verdict::accepted);
    gate.login("bob");
    gate.answer(0, Verdict::rejected);
    CHECK(gate.authenticator.logins() == 2);
    gate.authenticator.let_leave();
    CHECK(gate.told("alice") == Verdict::accepted);
    CHECK_FALSE(gate.told("bob"));
    CHECK(gate.authenticator.logins() == 1);
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

TEST_CASE("the log says when the refusals of a route begin to wait for longer, and why", "[authenticator]")
{
    Gate gate{one_backend(1s), 2 * no_jitter};
    const auto lines = [&gate] {
        return std::ranges::count(gate.log.lines, "5 refusals of route default wait for 2000 ms from now on, "
                                                  "as backend sasldb asks for");
    };
    gate.refuse("alice", {}, 0, 1s);
    CHECK(lines() == 0);
    gate.refuse("bob", {}, 0, 2s);
    CHECK(lines() == 1);
    gate.refuse("carol", {}, 0, 2s);
    CHECK(lines() == 1);
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
    gate.advance(3s);
    gate.answer(0, Verdict::unknown_user);
    CHECK(gate.workers[1].asked.back().time_left == 5s);
    gate.advance(5s - 1ms);
    CHECK_FALSE(gate.told("alice"));
    gate.advance(1ms);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.workers[0].killed.empty());
    CHECK(gate.workers[1].killed == std::vector<WorkerId>{1});
}

TEST_CASE("a backend that hangs leaves the next one its share of the time", "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice");
    CHECK(gate.workers[0].asked.back().time_left == 4s);
    gate.advance(4s - 1ms);
    CHECK(gate.workers[1].asked.empty());
    gate.advance(1ms);
    CHECK(gate.workers[0].killed == std::vector<WorkerId>{1});
    CHECK(gate.workers[1].asked.back().time_left == 4s);
    SECTION("which may accept")
    {
        gate.answer(1, Verdict::accepted);
        gate.advance(0s);
        CHECK(gate.told("alice") == Verdict::accepted);
    }
    SECTION("which may not, and then it was an outage")
    {
        gate.answer(1, Verdict::rejected);
        gate.advance(0s);
        CHECK(gate.told("alice") == Verdict::unavailable);
        CHECK(gate.log.lines.back() == "4 auth unavailable: [user=alice] [service=smtp] [realm=example.org] "
                                       "[mech=sasldb] [reason=no answer within its share of the deadline]");
    }
    SECTION("which may hang as well")
    {
        gate.advance(4s);
        CHECK(gate.told("alice") == Verdict::unavailable);
        CHECK(gate.workers[1].killed == std::vector<WorkerId>{1});
    }
}

TEST_CASE("a backend whose outage ends the chain has all the time", "[authenticator]")
{
    Gate gate{routes({route_to({ChainLink{0, {Verdict::unknown_user}}, ChainLink{1}})})};
    gate.login("alice");
    CHECK(gate.workers[0].asked.back().time_left == 8s);
    gate.advance(7s);
    gate.answer(0, Verdict::unknown_user);
    CHECK(gate.workers[1].asked.back().time_left == 1s);
}

TEST_CASE("a login that is looked at long after its deadline is unavailable, and asked nowhere",
          "[authenticator]")
{
    Gate gate{two_backends()};
    gate.login("alice");
    gate.advance(60s);
    CHECK(gate.told("alice") == Verdict::unavailable);
    CHECK(gate.workers[1].asked.empty());
}

TEST_CASE("the realm says whom to ask, in any case", "[authenticator]")
{
    const auto realm = GENERATE(as<std::string>{}, "example.org", "EXAMPLE.org", "example.orG");
    CAPTURE(realm);
    Gate gate{realms()};
    gate.login("alice", {.realm = realm});
    CHECK(gate.workers[0].asked.empty());
    CHECK(gate.workers[1].asked.size() == 1);
}

TEST_CASE("a realm that is another one in any byte asks others", "[authenticator]")
{
    const auto realm = GENERATE(as<std::string>{}, "", "example.com", "example.org.", "example.or",
                                " example.org", std::string{"example.org\0", 12});
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
    gate.login("alice", {.names = {.joins_realm = true}, .realm = "example.org"});
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

TEST_CASE("it is measured how long each backend took, and the whole without the delay", "[authenticator]")
{
    Gate gate{routes({route_to({ChainLink{0}, ChainLink{1}}, 1s)})};
    gate.login("alice");
    gate.clock.advance(10ms);
    gate.answer(0, Verdict::unknown_user);
    gate.clock.advance(20ms);
    gate.answer(1, Verdict::rejected);
    gate.advance(2s);
    CHECK(gate.told("alice") == Verdict::rejected);
    const LoginCounts& counts = gate.authenticator.counts();
    CHECK(counts.decision_durations.at(0)[Verdict::unknown_user].max() == 10ms);
    CHECK(counts.decision_durations.at(0)[Verdict::unknown_user].count() == 1);
    CHECK(counts.decision_durations.at(1)[Verdict::rejected].max() == 20ms);
    CHECK(counts.durations[Verdict::rejected].max() == 30ms);
    CHECK(counts.durations[Verdict::rejected].count() == 1);
    CHECK(counts.recall_durations.count() == 0);
}

TEST_CASE("who could not be asked took no time, and who never answered took all of it", "[authenticator]")
{
    Gate gate{one_backend()};
    for (const char* user : {"a", "b", "c", "d"}) // one in work, two wait, one does not fit
        gate.login(user);
    const auto& durations = gate.authenticator.counts().decision_durations.at(0);
    CHECK(gate.authenticator.counts().decisions.at(0).of(Verdict::unavailable) == 1);
    CHECK(durations[Verdict::unavailable].count() == 0);
    gate.advance(8s);
    CHECK(durations[Verdict::unavailable].count() == 3);
    CHECK(durations[Verdict::unavailable].max() == 8s);
}

TEST_CASE("a login that is recalled is measured apart", "[authenticator]")
{
    Gate gate{one_backend(), 0, true};
    gate.login("alice");
    gate.clock.advance(10ms);
    gate.answer(0, Verdict::accepted);
    gate.advance(0s);
    gate.login("alice");
    const LoginCounts& counts = gate.authenticator.counts();
    CHECK(counts.durations[Verdict::accepted].count() == 1);
    CHECK(counts.recall_durations.count() == 1);
    CHECK(counts.decision_durations.at(0)[Verdict::accepted].count() == 1);
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
    gate.login("alice", {.names = {.joins_realm = true}});
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

// --- realms that a stranger chooses ------------------------------------------------------------------------

TEST_CASE("only who looks at the realm is asked about one that the admin has not named", "[authenticator]")
{
    using enum RealmUse;
    const NameRules split{.splits_realm = true};
    const NameRules joined{.splits_realm = true, .joins_realm = true};
    const NameRules of_default{.splits_realm = true, .default_realm = "Other.org", .folds_case = true};
    const auto [user, rules, use, is_asked] = GENERATE_COPY(table<std::string, NameRules, RealmUse, bool>({
        {"alice@example.com", split, never, false},
        {"alice@example.com", split, in_user, false},
        {"alice@example.com", split, beside_plain_user, true},
        {"alice@example.com", split, always, true},
        {"a@b@example.com", split, beside_plain_user, false},
        {"a@b@example.com", split, always, true},
        {"alice@example.com", joined, never, false},
        {"alice@example.com", joined, in_user, true},
        // a name alone, the default realm, one of the route, and whatever libsasl2 has split
        {"alice", split, never, true},
        {"alice@", split, never, true},
        {"alice@example.com", of_default, in_user, false},
        {"alice@OTHER.org", of_default, never, true},
        {"alice", of_default, never, true},
        {"alice@named.org", split, never, true},
        {"alice@Named.org", split, never, true},
        {"alice@example.com", NameRules{}, never, true},
    }));
    CAPTURE(user, static_cast<int>(use));
    Authenticator::Settings settings = two_backends();
    settings.backends[0].realm_use = use;
    settings.backends[1].realm_use = always;
    settings.routes[0].realms = {{"named.org", settings.routes[0].chain}};
    Gate gate{std::move(settings)};
    gate.login(user, {.names = rules, .realm = ""});
    CHECK(gate.workers[0].asked.size() == (is_asked ? 1 : 0));
    CHECK(gate.workers[1].asked.size() == (is_asked ? 0 : 1));
}

TEST_CASE("a realm that nobody looks at is one of unknown users, and nobody else is asked where the admin "
          "says so",
          "[authenticator]")
{
    Authenticator::Settings settings = two_backends();
    settings.backends[0].realm_use = RealmUse::in_user;
    settings.backends[1].realm_use = RealmUse::always;
    settings.routes[0].chain[0].next_on = {Verdict::unavailable};
    Gate gate{std::move(settings)};
    gate.login("alice@example.com", {.names = {.splits_realm = true}, .realm = ""});
    gate.advance(0s);
    CHECK(gate.told("alice@example.com") == Verdict::unknown_user);
    CHECK(gate.workers[1].asked.empty());
    CHECK(gate.authenticator.counts().decisions[0] == VerdictCounts{});
    CHECK(gate.log.lines.back() ==
          "6 auth failure: [user=alice] [service=smtp] [realm=example.com] [mech=] [reason=nobody who may be "
          "asked looks at this realm, which is neither default_realm nor in the route]");
}

TEST_CASE("who is not asked because of the realm takes no share of the time", "[authenticator]")
{
    Authenticator::Settings settings = two_backends();
    settings.backends[0].realm_use = RealmUse::always;
    Gate gate{std::move(settings)};
    gate.login("alice@example.com", {.names = {.splits_realm = true}, .realm = ""});
    gate.advance(4s);
    CHECK(gate.workers[0].killed.empty());
    gate.advance(4s);
    CHECK(gate.workers[0].killed.size() == 1);
    CHECK(gate.log.lines.back().find("no answer within the deadline") != std::string::npos);
}

TEST_CASE("a backend of which nothing is said looks at no realm", "[authenticator]")
{
    Gate gate{one_backend()};
    gate.login("alice@example.com", {.names = {.splits_realm = true}, .realm = ""});
    CHECK(gate.workers[0].asked.empty());
}

// --- challenges and proofs ---------------------------------------------------------------------------------

TEST_CASE("a challenge comes from the backend that knows the user, and so does the word on the proof",
          "[authenticator]")
{
    Gate gate{proving({true, true})};
    gate.ask_challenge("alice");
    gate.answer(0, Verdict::unknown_user);
    gate.answer(1, {Verdict::accepted, "", false, 0ms, alices_challenge});
    gate.advance(0s);
    CHECK(gate.challenge_for("alice").reply == alices_challenge);

    gate.prove("alice", gate.challenge_for("alice"));
    CHECK(gate.workers[0].asked.empty());
    gate.answer(1, {Verdict::accepted, "", false, 0ms, "rmF9pqV8S7suAoZWja4dJRkFsKQ="});
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::accepted);
    CHECK(gate.replies["alice"] == "rmF9pqV8S7suAoZWja4dJRkFsKQ=");
}

TEST_CASE("a backend that takes passwords only is not asked about challenges", "[authenticator]")
{
    Gate gate{proving({true, false})};
    gate.ask_challenge("alice");
    CHECK(gate.workers[0].asked.size() == 1);
    gate.answer(0, Verdict::unknown_user);
    gate.advance(0s);
    CHECK(gate.workers[1].asked.empty());
    CHECK(gate.challenge_for("alice").decision.verdict == Verdict::unknown_user);
}

TEST_CASE("nobody proves anything to a backend behind one that takes passwords only", "[authenticator]")
{
    Gate gate{proving({false, true})};
    gate.ask_challenge("alice");
    gate.advance(0s);
    CHECK(gate.workers[0].asked.empty());
    CHECK(gate.workers[1].asked.empty());
    CHECK(gate.challenge_for("alice").reply.starts_with("s="));
    gate.prove("alice", gate.challenge_for("alice"));
    gate.advance(0s);
    CHECK(gate.workers[1].asked.empty());
    CHECK(gate.told("alice") == Verdict::rejected);
}

TEST_CASE("a user with nothing to prove has a believable challenge, and is refused like a wrong password",
          "[authenticator]")
{
    const auto [verdict, reason] = GENERATE(table<Verdict, std::string>({
        {Verdict::unknown_user, "unknown user"},
        {Verdict::rejected, "no verifier"},
        {Verdict::barred, "expired"},
    }));
    Gate gate{proving({true, false}, 1s), no_jitter};
    gate.ask_challenge("mallory");
    gate.answer(0, verdict, reason);
    gate.advance(0s);
    const Challenge challenge = gate.challenge_for("mallory");
    CHECK(challenge.reply.size() == alices_challenge.size());
    CHECK(challenge.reply.starts_with("s="));
    CHECK(challenge.reply.ends_with(alices_challenge.substr(alices_challenge.find("==,i="))));
    CHECK(gate.log.lines.empty()); // it is no login yet

    gate.prove("mallory", challenge);
    CHECK(gate.workers[0].asked.empty());
    CHECK(gate.is_told_after("mallory", 1s));
    CHECK(gate.told("mallory") == verdict);
    CHECK(gate.replies["mallory"].empty());
    CHECK(gate.log.lines ==
          std::vector<std::string>{"6 auth failure: [user=mallory] [service=smtp] [realm=example.org] "
                                   "[mech=sasldb] [reason=" +
                                   reason + "] [sasl=SCRAM-SHA-256] [tls=no]"});
    CHECK(gate.authenticator.counts().verdicts.of(verdict) == 1);
    CHECK(gate.authenticator.counts().decisions.at(0).of(verdict) == 1);
}

TEST_CASE("a salt is the same each time, and another for each user, mechanism and key", "[authenticator]")
{
    const std::string one = scram_salt_of({1}, "alice", "SCRAM-SHA-256");
    CHECK(one.size() == scram_salt_bytes);
    CHECK(scram_salt_of({1}, "alice", "SCRAM-SHA-256") == one);
    CHECK(scram_salt_of({1}, "bob", "SCRAM-SHA-256") != one);
    CHECK(scram_salt_of({1}, "alice", "SCRAM-SHA-1") != one);
    CHECK(scram_salt_of({2}, "alice", "SCRAM-SHA-256") != one);
    CHECK(scram_salt_of({1}, "ASCRAM-SHA-256", "") != scram_salt_of({1}, "A", "SCRAM-SHA-256"));
}

TEST_CASE("who is asked for a challenge or a proof is told the salt of who does not exist", "[authenticator]")
{
    Gate gate{proving({true, false})};
    gate.ask_challenge("alice");
    const std::string salt = gate.workers[0].asked.back().salt;
    gate.answer(0, Verdict::unknown_user);
    gate.advance(0s);
    CHECK(gate.challenge_for("alice").reply == believable_challenge(salt));

    gate.prove("alice", {alices_challenge, {Verdict::accepted, ""}, 0});
    CHECK(gate.workers[0].asked.back().salt == salt);
    gate.answer(0, Verdict::rejected);
    gate.login("alice");
    CHECK(gate.workers[0].asked.back().salt.empty());
}

TEST_CASE("every backend that can serve it is asked for a challenge, whoever knows the user",
          "[authenticator]")
{
    const Verdict first = GENERATE(Verdict::accepted, Verdict::rejected, Verdict::unknown_user,
                                   Verdict::barred, Verdict::unavailable);
    CAPTURE(verdict_text(first));
    Gate gate{proving({true, true})};
    gate.ask_challenge("alice");
    gate.answer(0, {first, "", false, 0ms, first == Verdict::accepted ? alices_challenge : ""});
    gate.advance(0s);
    CHECK(gate.workers[1].asked.size() == 1);
    CHECK(gate.challenges["alice"].empty());
    gate.answer(1, Verdict::unknown_user);
    gate.advance(0s);
    CHECK(gate.challenges["alice"].size() == 1);
}

TEST_CASE("what is said of a user behind the backend that decides about him counts for nothing",
          "[authenticator]")
{
    const Verdict second = GENERATE(Verdict::accepted, Verdict::rejected, Verdict::unknown_user,
                                    Verdict::barred, Verdict::unavailable);
    CAPTURE(verdict_text(second));
    Gate gate{proving({true, true})};
    gate.ask_challenge("alice");
    gate.answer(0, {Verdict::accepted, "", false, 0ms, alices_challenge});
    gate.answer(1, {second, "", false, 0ms, "s=b3RoZXI=,i=4096"});
    gate.ask_challenge("mallory");
    gate.answer(0, Verdict::rejected, "no verifier");
    gate.answer(1, {second, "", false, 0ms, "s=b3RoZXI=,i=4096"});
    gate.advance(0s);

    const Challenge alices = gate.challenge_for("alice");
    CHECK(alices.reply == alices_challenge);
    CHECK(alices.backend == 0);
    const Challenge mallorys = gate.challenge_for("mallory");
    CHECK(mallorys.reply.size() == alices_challenge.size());
    CHECK(mallorys.decision.verdict == Verdict::rejected);
    CHECK(mallorys.decision.reason == "no verifier");
    CHECK(mallorys.backend == 0);
}

TEST_CASE("a backend that hangs keeps nobody from the challenge of another", "[authenticator]")
{
    const std::size_t hanging = GENERATE(0U, 1U);
    Gate gate{proving({true, true})};
    gate.ask_challenge("alice");
    if (hanging == 0)
        gate.advance(4s); // its share
    gate.answer(1 - hanging, {Verdict::accepted, "", false, 0ms, alices_challenge});
    gate.advance(hanging == 0 ? 0s : 8s);
    CHECK(gate.challenge_for("alice").reply == alices_challenge);
}

TEST_CASE("who does not exist has one salt for USER and USER@HOST, as who exists has in a sasldb",
          "[authenticator]")
{
    const auto salt_of = [](const std::string& user, const NameRules& names) {
        Authenticator::Settings settings = proving({true, false});
        settings.host_name = "mail";
        Gate gate{std::move(settings)};
        gate.ask_challenge(user, {.names = names, .realm = ""});
        gate.answer(0, Verdict::unknown_user);
        gate.advance(0s);
        return gate.challenge_for(user).reply;
    };
    const NameRules splits{.splits_realm = true};
    CHECK(salt_of("mallory", splits) == salt_of("mallory@mail", splits));
    CHECK(salt_of("mallory", splits) != salt_of("mallory@example.org", splits));
    CHECK(salt_of("mallory", splits) != salt_of("mallory@MAIL", splits)); // a sasldb compares bytes

    const NameRules defaults{.splits_realm = true, .default_realm = "example.org"};
    CHECK(salt_of("mallory", defaults) == salt_of("mallory@example.org", defaults));
    CHECK(salt_of("mallory", defaults) != salt_of("mallory@mail", defaults));
}

TEST_CASE("a challenge that nobody can be asked for is an outage", "[authenticator]")
{
    Gate gate{proving({true, true})};
    gate.ask_challenge("alice");
    gate.answer(0, Verdict::unavailable);
    gate.answer(1, Verdict::unknown_user);
    gate.advance(0s);
    CHECK(gate.challenge_for("alice").reply.empty());
    CHECK(gate.authenticator.counts().verdicts.of(Verdict::unavailable) == 1);

    gate.ask_challenge("bob");
    gate.advance(8s);
    CHECK(gate.challenge_for("bob").reply.empty());
}

TEST_CASE("a challenge is no login: only an outage of it is counted", "[authenticator]")
{
    Gate gate{proving({true, true})};
    gate.ask_challenge("alice");
    gate.answer(0, Verdict::unknown_user);
    gate.answer(1, {Verdict::accepted, "", false, 0ms, alices_challenge});
    gate.advance(0s);
    for (const Verdict verdict : all_verdicts) {
        CHECK(gate.authenticator.counts().verdicts.of(verdict) == 0);
        CHECK(gate.authenticator.counts().decisions.at(0).of(verdict) == 0);
        CHECK(gate.authenticator.counts().decisions.at(1).of(verdict) == 0);
    }
    CHECK(gate.authenticator.logins() == 0);
}

TEST_CASE("a realm that no backend can serve by a challenge mechanism is one of unknown users",
          "[authenticator]")
{
    Authenticator::Settings settings = proving({false, true});
    settings.routes.front().realms = {{"example.com", {ChainLink{0}}}, {"example.net", {}}}; // 0: not able
    Gate gate{std::move(settings)};
    gate.ask_challenge("alice", {.realm = "example.com"});
    gate.advance(0s);
    CHECK(gate.challenge_for("alice").reply.starts_with("s="));
    gate.prove("alice", gate.challenge_for("alice"), {.realm = "example.com"});
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::rejected);

    gate.ask_challenge("bob", {.realm = "example.net"});
    gate.advance(0s);
    CHECK(gate.challenge_for("bob").reply.empty()); // nobody is asked for this realm at all
}

TEST_CASE("a proof that needs no challenge is asked along the chain of those who can judge it",
          "[authenticator]")
{
    const bool is_first_able = GENERATE(true, false);
    Gate gate{proving({is_first_able, true})};
    Request request = gate.requests.of("alice");
    request.asked = Asked::proof;
    request.mechanism = "CRAM-MD5";
    std::optional<Verdict> told;
    gate.authenticator.authenticate(normalise(std::move(request), {}), {gate.clock.now() + 8s, {}, 0},
                                    [&](const Outcome& outcome) { told = outcome.verdict; });
    REQUIRE(gate.workers[0].asked.size() == (is_first_able ? 1 : 0));
    if (is_first_able) {
        gate.answer(0, Verdict::unknown_user);
        gate.answer(1, Verdict::accepted);
    }
    CHECK(gate.workers[1].asked.empty());
    gate.advance(0s);
    CHECK(told == (is_first_able ? Verdict::accepted : Verdict::rejected));
}

TEST_CASE("whatever a backend says with a refusal, nothing of it is for the client", "[authenticator]")
{
    Gate gate{proving({true, false})};
    gate.prove("alice", {alices_challenge, {Verdict::accepted, ""}, 0});
    gate.answer(0, {Verdict::rejected, "wrong password", false, 0ms, "a slip of the tongue"});
    gate.advance(0s);
    CHECK(gate.told("alice") == Verdict::rejected);
    CHECK(gate.replies["alice"].empty());
}

TEST_CASE("a line says by which mechanism, and whether with TLS, where it is known", "[authenticator]")
{
    Gate gate{one_backend()};
    Request request = gate.requests.of("alice");
    request.mechanism = "PLAIN";
    request.is_secured = true;
    request.client_address = "192.0.2.7";
    gate.authenticator.authenticate(normalise(std::move(request), {}), {gate.clock.now() + 8s, {}, 0},
                                    [](const Outcome&) {});
    gate.answer(0, Verdict::rejected, "wrong password");
    CHECK(gate.log.lines.back() == "6 auth failure: [user=alice] [service=smtp] [realm=example.org] "
                                   "[mech=sasldb] [reason=wrong password]"
                                   " [sasl=PLAIN] [tls=yes] [remote=192.0.2.7]");
}

TEST_CASE("who was accepted not long ago is accepted without asking anybody", "[authenticator]")
{
    RememberingGate gate{one_backend()};
    gate.login("alice");
    CHECK(gate.told("alice") == Verdict::accepted); // here and now
    CHECK(gate.authenticator.logins() == 0);
    CHECK(gate.cached.contains("alice"));
    CHECK(gate.workers[0].asked.empty());
    CHECK(gate.authenticator.counts().verdicts.of(Verdict::accepted) == 2);
    CHECK(gate.authenticator.counts().decisions[0].of(Verdict::accepted) == 1);
    CHECK(gate.requests.secrets().slots_free() == 64);
}

TEST_CASE("a login that was recalled is one line in saslauthd's words, and names no backend",
          "[authenticator]")
{
    RememberingGate gate{one_backend()};
    gate.login("alice");
    CHECK(gate.log.lines == std::vector<std::string>{
                                "7 auth success (cached): [user=alice] [service=smtp] [realm=example.org]"});
}

TEST_CASE("who was accepted is asked about again when his time is over", "[authenticator]")
{
    RememberingGate gate{one_backend()};
    gate.advance(60s);
    gate.login("alice");
    CHECK(gate.workers[0].asked.size() == 1);
}

TEST_CASE("a refusal, an outage and somebody else's login are not recalled", "[authenticator]")
{
    Gate gate{one_backend(), 0, true};
    const auto verdict =
        GENERATE(Verdict::rejected, Verdict::unknown_user, Verdict::barred, Verdict::unavailable);
    gate.login("alice");
    gate.answer(0, verdict);
    gate.advance(0s);
    for (const std::string user : {"alice", "bob"}) {
        gate.login(user);
        CHECK(gate.workers[0].asked.size() == 1);
        gate.answer(0, Verdict::accepted);
    }
    CHECK(gate.cached.empty());
}

TEST_CASE("of two passwords of one user in work at once, the one that was accepted is remembered",
          "[authenticator]")
{
    const auto [first, second] =
        GENERATE(table<Verdict, Verdict>({{Verdict::accepted, Verdict::rejected},
                                          {Verdict::rejected, Verdict::accepted},
                                          {Verdict::accepted, Verdict::unavailable}}));
    RememberingGate gate{one_backend()};
    gate.login("alice", {.password = "first"});
    gate.login("alice", {.password = "second"});
    gate.answer(0, first);
    gate.answer(0, second);
    gate.forget_what_was_told();
    const bool is_first = first == Verdict::accepted;
    gate.login("alice", {.password = is_first ? "first" : "second"});
    CHECK(gate.workers[0].asked.empty());
    gate.login("alice", {.password = is_first ? "second" : "first"});
    CHECK(gate.workers[0].asked.size() == 1);
}

TEST_CASE("who comes with the old password takes nothing from who has the new one", "[authenticator]")
{
    RememberingGate gate{one_backend()};
    gate.login("alice", {.password = "new"});
    REQUIRE(gate.workers[0].asked.size() == 1);
    gate.answer(0, Verdict::accepted);
    gate.forget_what_was_told();
    for (int i = 0; i < 3; ++i) {
        gate.login("alice"); // who was remembered before
        REQUIRE(gate.workers[0].asked.size() == 1);
        gate.answer(0, Verdict::rejected);
        gate.advance(0s);
        CHECK(gate.told("alice") == Verdict::rejected);
        gate.forget_what_was_told();
        gate.login("alice", {.password = "new"});
        gate.advance(0s);
        CHECK(gate.told("alice") == Verdict::accepted);
        CHECK(gate.cached.contains("alice"));
        gate.forget_what_was_told();
    }
    CHECK(gate.cache.status().entries == 1);
}

TEST_CASE("another route is another login", "[authenticator]")
{
    RememberingGate gate{routes({route_to({ChainLink{0}}), route_to({ChainLink{0}})})};
    gate.login("alice", {.route = 1});
    CHECK(gate.workers[0].asked.size() == 1);
}

TEST_CASE("whom one listener's default realm lets in, another listener's does not", "[authenticator]")
{
    Gate gate{routes({route_to({ChainLink{0}})}), 0, true};
    const NameRules here{.splits_realm = true, .default_realm = "example.org"};
    const NameRules there{.splits_realm = true, .default_realm = "example.com"};
    gate.login("alice@example.org", {.names = here, .realm = ""});
    gate.answer(0, {Verdict::accepted, ""});
    gate.advance(0s);
    REQUIRE(gate.told("alice@example.org") == Verdict::accepted);
    gate.verdicts.clear();
    gate.login("alice@example.org", {.names = there, .realm = ""});
    gate.advance(0s);
    CHECK(gate.told("alice@example.org") == Verdict::unknown_user);
    CHECK(gate.cached.empty());
}

TEST_CASE("whose chain had an outage is asked about each time", "[authenticator]")
{
    Gate gate{two_backends(), 0, true};
    for (int i = 0; i < 2; ++i) {
        gate.login("alice");
        gate.answer(0, Verdict::unavailable);
        gate.answer(1, Verdict::accepted);
        gate.advance(0s);
        gate.verdicts.clear();
    }
    CHECK(gate.cached.empty());
}

TEST_CASE("a proof is neither recalled nor kept", "[authenticator]")
{
    Gate gate{proving({true, false}), 0, true};
    for (int i = 0; i < 2; ++i) {
        gate.ask_challenge("alice");
        REQUIRE(gate.workers[0].asked.size() == 1);
        gate.answer(0, {Verdict::accepted, "", false, 0ms, alices_challenge});
        gate.advance(0s);
        const Challenge challenge = gate.challenge_for("alice");
        gate.challenges.clear();
        gate.prove("alice", challenge);
        REQUIRE(gate.workers[0].asked.size() == 1);
        gate.answer(0, Verdict::accepted);
        gate.advance(0s);
        CHECK(gate.told("alice") == Verdict::accepted);
        gate.verdicts.clear();
    }
    CHECK(gate.cache.status().entries == 0);
    CHECK(gate.cache.status().hits == 0);
    CHECK(gate.cache.status().misses == 0);
}
