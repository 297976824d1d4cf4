// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker_pool.hpp"
#include "tests/support/scripted_workers.hpp"

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// A pool of two workers, and somebody who asks it.
struct PoolOfTwo {
    ManualClock clock;
    ScriptedWorkers workers;
    Requests requests;
    WorkerPool pool{clock, workers, {.backend = 0, .workers = 2, .queue_max = 3}};
    std::deque<Request> asked;
    std::map<std::string, Decision> decided;

    PoolOfTwo() { tick(); }

    TimePoint tick()
    {
        pool.end_overdue();
        return pool.start_missing();
    }

    void both_ready()
    {
        pool.on_ready(1);
        tick();
        pool.on_ready(2);
    }

    std::optional<JobId> check(const std::string& user)
    {
        asked.push_back(requests.of(user));
        return pool.check(asked.back(), clock.now() + 8s,
                          [this, user](Decision decision) { decided[user] = std::move(decision); });
    }

    /// The worker that was asked longest ago answers.
    void answer(Verdict verdict)
    {
        const auto question = workers.asked.front();
        workers.asked.pop_front();
        pool.on_answer(question.worker, question.job, {verdict, ""});
    }

    [[nodiscard]] std::string user_asked() const
    {
        return workers.asked.empty() ? "" : workers.asked.front().user;
    }
};

} // namespace

TEST_CASE("a pool starts its first worker before anybody asks, and the others once that one can work",
          "[pool]")
{
    ManualClock clock;
    ScriptedWorkers workers;
    WorkerPool pool{clock, workers, {.backend = 0, .workers = 3, .queue_max = 3}};
    static_cast<void>(pool.start_missing());
    static_cast<void>(pool.start_missing());
    CHECK(workers.started == std::vector<WorkerId>{1});
    pool.on_ready(1);
    static_cast<void>(pool.start_missing());
    CHECK(workers.started == std::vector<WorkerId>{1, 2, 3});
    pool.on_ready(2);
    pool.on_ready(3);
    CHECK(pool.start_missing() == TimePoint::max());
}

TEST_CASE("a worker that never becomes ready is killed, and another one is tried", "[pool]")
{
    PoolOfTwo p;
    CHECK(p.tick() == p.clock.now() + 10s);
    p.clock.advance(10s);
    CHECK(p.tick() == p.clock.now() + 1s);
    CHECK(p.workers.killed == std::vector<WorkerId>{1});
    p.clock.advance(1s);
    p.tick();
    CHECK(p.workers.started == std::vector<WorkerId>{1, 2});
}

TEST_CASE(
    "a request that has waited for half of its time is unavailable, and those behind it have their turn",
    "[pool]")
{
    PoolOfTwo p;
    REQUIRE(p.check("alice")); // 8 s
    p.clock.advance(1s);
    REQUIRE(p.check("bob"));
    p.clock.advance(3s);
    p.tick();
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "bob");
    CHECK(p.workers.asked.front().time_left >= 4s);
}

TEST_CASE("a pool whose first worker cannot work tries one at a time", "[pool]")
{
    ManualClock clock;
    ScriptedWorkers workers;
    WorkerPool pool{clock, workers, {.backend = 0, .workers = 3, .queue_max = 3}};
    static_cast<void>(pool.start_missing());
    pool.on_ended(1);
    CHECK(pool.has_settled());
    CHECK_FALSE(pool.has_been_ready());
    CHECK(pool.start_missing() == clock.now() + 1s);
    clock.advance(1s);
    static_cast<void>(pool.start_missing());
    CHECK(workers.started == std::vector<WorkerId>{1, 2});
}

TEST_CASE("a request waits for a worker to become ready, and is asked then", "[pool]")
{
    PoolOfTwo p;
    REQUIRE(p.check("alice"));
    CHECK(p.workers.asked.empty());
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "alice");
    p.answer(Verdict::accepted);
    CHECK(p.decided["alice"].verdict == Verdict::accepted);
}

TEST_CASE("a request with less time gives way before one that came earlier and has more", "[pool]")
{
    PoolOfTwo p;
    REQUIRE(p.check("alice")); // waits for 4 s
    p.asked.push_back(p.requests.of("bob"));
    REQUIRE(p.pool.check(p.asked.back(), p.clock.now() + 100ms,
                         [&p](Decision decision) { p.decided["bob"] = decision; }));
    CHECK(p.tick() == p.clock.now() + 50ms);
    p.clock.advance(50ms);
    p.pool.on_ready(1);
    p.answer(Verdict::accepted);
    CHECK(p.workers.asked.empty()); // bob would come too late
    p.tick();
    CHECK(p.decided.at("bob").verdict == Verdict::unavailable);
}

TEST_CASE("a worker gets one request at a time, and those that wait are served in their order", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    for (const char* user : {"a", "b", "c", "d"})
        REQUIRE(p.check(user));
    CHECK(p.workers.asked.size() == 2);
    p.answer(Verdict::rejected);
    CHECK(p.workers.asked.back().user == "c");
    p.answer(Verdict::rejected);
    CHECK(p.workers.asked.back().user == "d");
}

TEST_CASE("a worker is told how much time is left, not how much there was", "[pool]")
{
    PoolOfTwo p;
    REQUIRE(p.check("alice"));
    p.clock.advance(3s);
    p.pool.on_ready(1);
    CHECK(p.workers.asked.front().time_left == 5s);
}

TEST_CASE("requests wait up to the bound and not beyond", "[pool]")
{
    PoolOfTwo p;
    CHECK(p.check("a"));
    CHECK(p.check("b"));
    CHECK(p.check("c"));
    CHECK_FALSE(p.check("d"));
    CHECK(p.pool.waiting() == 3);
}

TEST_CASE("a request that nobody waits for any more leaves the queue without a word", "[pool]")
{
    PoolOfTwo p;
    const auto job = p.check("alice");
    p.pool.abandon(*job);
    p.both_ready();
    CHECK(p.workers.asked.empty());
    CHECK(p.decided.empty());
    CHECK(p.workers.killed.empty());
}

TEST_CASE("a worker whose request is abandoned is killed and replaced, and its late answer is nobody's",
          "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    const auto job = p.check("alice");
    const WorkerId worker = p.workers.asked.front().worker;
    p.pool.abandon(*job);
    CHECK(p.workers.killed == std::vector{worker});
    p.tick();
    CHECK(p.workers.started.size() == 3);
    p.answer(Verdict::accepted);
    CHECK(p.decided.empty());
    p.pool.on_ended(worker);
    CHECK_FALSE(p.pool.owns(worker));
}

TEST_CASE("a worker that ends while it is asked makes that request unavailable, and no other", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    REQUIRE(p.check("alice"));
    REQUIRE(p.check("bob"));
    p.pool.on_ended(p.workers.asked.front().worker);
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    CHECK_FALSE(p.decided.contains("bob"));
}

TEST_CASE("an answer to another request than the one asked is never believed", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    REQUIRE(p.check("alice"));
    const auto question = p.workers.asked.front();
    p.pool.on_answer(question.worker, question.job + 1, {Verdict::accepted, ""});
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    CHECK(p.workers.killed == std::vector{question.worker});
}

TEST_CASE("an answer that nobody asked for kills the worker and decides nothing", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    p.pool.on_answer(1, 1, {Verdict::accepted, ""});
    CHECK(p.workers.killed == std::vector<WorkerId>{1});
    CHECK(p.decided.empty());
}

TEST_CASE("one worker's answer is not taken for another's question", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    REQUIRE(p.check("alice"));
    REQUIRE(p.check("bob"));
    const auto alice = p.workers.asked[0];
    const auto bob = p.workers.asked[1];
    p.pool.on_answer(bob.worker, alice.job, {Verdict::accepted, ""});
    CHECK_FALSE(p.decided.contains("alice"));
    CHECK(p.decided.at("bob").verdict == Verdict::unavailable);
}

TEST_CASE("a worker that is ready twice talks nonsense", "[pool]")
{
    PoolOfTwo p;
    p.pool.on_ready(1);
    p.pool.on_ready(1);
    CHECK(p.workers.killed == std::vector<WorkerId>{1});
}

TEST_CASE("nonsense in mid-request makes the request unavailable", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    REQUIRE(p.check("alice"));
    p.pool.on_nonsense(p.workers.asked.front().worker);
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
}

TEST_CASE("a request goes to the next worker when the first one turns out to be gone", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    p.workers.deaf = {2};
    REQUIRE(p.check("alice"));
    CHECK(p.workers.asked.front().worker == 1);
    CHECK(p.workers.killed == std::vector<WorkerId>{2});
}

TEST_CASE("a request keeps its turn when every worker turns out to be gone", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    p.workers.deaf = {1, 2};
    REQUIRE(p.check("alice"));
    REQUIRE(p.check("bob"));
    p.tick();
    p.pool.on_ready(3);
    CHECK(p.user_asked() == "alice");
}

TEST_CASE("a worker that served for a while is replaced at once", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    p.clock.advance(1s);
    p.pool.on_ended(1);
    p.tick();
    CHECK(p.workers.started == std::vector<WorkerId>{1, 2, 3});
}

TEST_CASE("where workers keep dying, the next one comes after a pause of a second", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    p.pool.on_ended(1);
    CHECK(p.tick() == p.clock.now() + 1s);
    p.clock.advance(999ms);
    p.tick();
    CHECK(p.workers.started.size() == 2);
    p.clock.advance(1ms);
    p.tick();
    CHECK(p.workers.started.size() == 3);
}

TEST_CASE("what is said of a worker that is gone changes nothing", "[pool]")
{
    PoolOfTwo p;
    p.both_ready();
    p.pool.on_ended(1);
    p.pool.on_ended(1);
    p.pool.on_ready(1);
    p.pool.on_answer(1, 1, {Verdict::accepted, ""});
    p.pool.on_nonsense(1);
    REQUIRE(p.check("alice"));
    CHECK(p.workers.asked.front().worker == 2);
}
