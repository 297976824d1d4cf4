// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker_pool.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/scripted_workers.hpp"

using namespace postern;
using namespace std::chrono_literals;

namespace {

using State = WorkerTable::State;
using Ids = std::vector<WorkerId>;

/// Two workers, whatever happens, of whom nobody ever has enough.
constexpr PoolConfig two_workers{.workers = 2, .workers_max = 2, .worker_requests_max = 0, .queue_max = 3};

constexpr PoolConfig one_to_three{.workers = 1, .workers_max = 3, .worker_requests_max = 0};

/// A pool, and somebody who asks it.
struct PoolAtWork {
    ManualClock clock;
    ScriptedWorkers workers;
    Requests requests;
    RecordingLog log;
    ServerHealth servers;
    WorkerPool pool;
    std::deque<Request> asked;
    std::map<std::string, Decision> decided;

    explicit PoolAtWork(const PoolConfig& config = two_workers, const std::vector<std::string>& names = {})
        : servers{clock, log, [](std::uint32_t bound) { return bound / 2; }, "staff", names}
        , pool{clock, workers, 0, config, servers}
    {
        tick();
    }

    TimePoint tick()
    {
        pool.end_overdue();
        return pool.start_missing();
    }

    void advance(Duration step)
    {
        clock.advance(step);
        tick();
    }

    [[nodiscard]] Ids in(State state) const
    {
        Ids ids;
        for (const auto& [id, worker] : pool.workers())
            if (worker.state == state)
                ids.push_back(id);
        return ids;
    }

    /// Those that are being started become ready, and so do those that are started then.
    void all_ready()
    {
        while (!in(State::starting).empty()) {
            for (const WorkerId worker : in(State::starting))
                pool.on_ready(worker);
            tick();
        }
    }

    /// Those that live end, all at once.
    void all_end()
    {
        for (const State state :
             {State::starting, State::preparing, State::idle, State::busy, State::probing})
            for (const WorkerId worker : in(state))
                pool.on_ended(worker);
    }

    std::variant<JobId, WorkerPool::Declined> offer(const std::string& user, Duration time = 8s)
    {
        asked.push_back(requests.of(user));
        return pool.check(asked.back(), clock.now() + time,
                          [this, user](Decision decision) { decided[user] = std::move(decision); });
    }

    JobId check(const std::string& user, Duration time = 8s)
    {
        const auto offered = offer(user, time);
        REQUIRE(std::holds_alternative<JobId>(offered));
        return std::get<JobId>(offered);
    }

    void check_all(std::initializer_list<const char*> users)
    {
        for (const char* const user : users)
            check(user);
    }

    /// Why a request is declined; empty when it is taken.
    std::string refusal_of(const std::string& user, Duration time = 8s)
    {
        const auto offered = offer(user, time);
        const auto* const declined = std::get_if<WorkerPool::Declined>(&offered);
        return declined != nullptr ? std::string{declined->reason} : "";
    }

    /// The question that was asked longest ago, of those without an answer.
    ScriptedWorkers::Asked next_question()
    {
        REQUIRE_FALSE(workers.asked.empty());
        const auto question = workers.asked.front();
        workers.asked.pop_front();
        return question;
    }

    WorkerId answer(Verdict verdict = Verdict::rejected)
    {
        const auto question = next_question();
        pool.on_answer(question.worker, question.job, {verdict, ""});
        return question.worker;
    }

    /// The one that is probing says what it found.
    WorkerId answer_probe(Decision decision = {Verdict::accepted, ""}, bool must_prepare = false)
    {
        REQUIRE_FALSE(workers.probes.empty());
        const auto probe = workers.probes.front();
        workers.probes.pop_front();
        pool.on_answer(probe.worker, probe.job, std::move(decision), must_prepare);
        return probe.worker;
    }

    WorkerId hand_back()
    {
        const auto question = next_question();
        pool.on_handed_back(question.worker, question.job);
        return question.worker;
    }

    [[nodiscard]] std::string user_asked() const
    {
        return workers.asked.empty() ? "" : workers.asked.front().user;
    }
};

/// A pool of that kind whose workers are ready, and have been for long enough not to have died young.
PoolAtWork& grown_up(PoolAtWork& p)
{
    p.all_ready();
    p.advance(1s);
    return p;
}

} // namespace

// --- starting ---------------------------------------------------------------------------------------------

TEST_CASE("a pool starts its first worker before anybody asks, and the others once that one can work",
          "[pool]")
{
    PoolAtWork p{{.workers = 3, .workers_max = 3}};
    p.tick();
    CHECK(p.workers.started == Ids{1});
    p.pool.on_ready(1);
    p.tick();
    CHECK(p.workers.started == Ids{1, 2, 3});
    p.pool.on_ready(2);
    p.pool.on_ready(3);
    CHECK(p.tick() == TimePoint::max());
}

TEST_CASE("a worker that never becomes ready is killed, and another one is tried", "[pool]")
{
    PoolAtWork p;
    CHECK(p.tick() == p.clock.now() + 10s);
    p.advance(10s);
    CHECK(p.tick() == p.clock.now() + 100ms);
    CHECK(p.workers.killed == Ids{1});
    p.advance(100ms);
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("a pool whose first worker cannot work tries one at a time", "[pool]")
{
    PoolAtWork p{one_to_three};
    p.check_all({"a", "b", "c"});
    p.advance(1s);
    CHECK(p.workers.started == Ids{1});
    p.pool.on_ended(1);
    CHECK(p.pool.has_settled());
    CHECK_FALSE(p.pool.has_been_ready());
    CHECK(p.tick() == p.clock.now() + 100ms);
    p.advance(100ms);
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("a worker that served for a while is replaced at once", "[pool]")
{
    PoolAtWork p;
    grown_up(p).pool.on_ended(1);
    p.tick();
    CHECK(p.workers.started == Ids{1, 2, 3});
}

TEST_CASE("a worker that is ready twice talks nonsense", "[pool]")
{
    PoolAtWork p;
    p.pool.on_ready(1);
    p.pool.on_ready(1);
    CHECK(p.workers.killed == Ids{1});
}

// --- asking -----------------------------------------------------------------------------------------------

TEST_CASE("a request waits for a worker to become ready, and is asked then", "[pool]")
{
    PoolAtWork p;
    p.check("alice");
    CHECK(p.workers.asked.empty());
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "alice");
    p.answer(Verdict::accepted);
    CHECK(p.decided["alice"].verdict == Verdict::accepted);
}

TEST_CASE("a worker that is not known to be quick gets one request at a time, and those that wait are served "
          "in their order",
          "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 2}};
    p.all_ready();
    p.check_all({"a", "b", "c", "d"});
    CHECK(p.workers.asked.size() == 2);
    p.clock.advance(1s); // none of them is quick
    p.answer();
    CHECK(p.workers.asked.back().user == "c");
    p.answer();
    CHECK(p.workers.asked.back().user == "d");
}

// --- queues of workers ------------------------------------------------------------------------------------

namespace {

/// One worker that has shown that it is quick, at the request of `a`; those of `b`, `c`, … are behind it.
struct QuickWorker : PoolAtWork {
    explicit QuickWorker(std::initializer_list<const char*> users = {"a", "b", "c"},
                         const PoolConfig& config = {.workers = 1,
                                                     .workers_max = 1,
                                                     .worker_requests_max = 0})
        : PoolAtWork{config}
    {
        grown_up(*this);
        check("before");
        answer();
        check_all(users);
    }

    /// Who has been asked about, and not answered.
    [[nodiscard]] std::string users_asked() const
    {
        std::string users;
        for (const auto& question : workers.asked)
            users += question.user;
        return users;
    }

    [[nodiscard]] std::string users_decided(Verdict verdict) const
    {
        std::string users;
        for (const auto& [user, decision] : decided)
            if (decision.verdict == verdict)
                users += user;
        return users;
    }
};

} // namespace

TEST_CASE("a quick worker has three requests more at its door, and no others", "[pool]")
{
    QuickWorker p{{"a", "b", "c", "d", "e", "f"}};
    CHECK(p.users_asked() == "abcd");
    CHECK(p.pool.waiting() == 2);
    p.answer(Verdict::accepted);
    CHECK(p.users_asked() == "bcde");
    while (!p.workers.asked.empty())
        p.answer(Verdict::accepted);
    CHECK(p.users_decided(Verdict::accepted) == "abcdef");
    CHECK(p.in(State::idle) == Ids{1});
}

TEST_CASE("while a worker is idle nothing is sent to one that is not", "[pool]")
{
    QuickWorker p{{"a", "b"}, two_workers};
    CHECK(p.in(State::idle).empty());
    CHECK(p.workers.asked[0].worker != p.workers.asked[1].worker);
}

TEST_CASE("of quick workers the one with the fewest requests at its door gets the next one", "[pool]")
{
    QuickWorker p{{}, two_workers};
    p.check_all({"x", "y"});
    p.answer(); // both are quick now
    p.answer();
    p.check_all({"a", "b", "c", "d"});
    const auto workers_asked = [&p](std::size_t from) {
        return std::set{p.workers.asked[from].worker, p.workers.asked[from + 1].worker};
    };
    CHECK(workers_asked(0) == std::set<WorkerId>{1, 2});
    CHECK(workers_asked(2) == std::set<WorkerId>{1, 2});
}

TEST_CASE("who was slow the last time has nothing at its door", "[pool]")
{
    QuickWorker p{{"a"}};
    p.clock.advance(5ms);
    p.answer();
    p.check_all({"b", "c"});
    CHECK(p.users_asked() == "b");
}

TEST_CASE("what is at the door of a worker that is held up goes to another one, in its old place", "[pool]")
{
    QuickWorker p{{"a", "b"}, two_workers};
    p.check_all({"c", "d"});
    REQUIRE(p.users_asked() == "abcd"); // a worker has b, and is not known to be quick
    const WorkerId quick = p.workers.asked[2].worker;
    const bool has_a = p.workers.asked[0].worker == quick;
    CHECK(p.tick() == p.clock.now() + 5ms);
    p.advance(5ms);
    CHECK(p.users_asked() == "ab");
    CHECK(p.pool.waiting() == 2);
    p.check("e");
    CHECK(p.pool.waiting() == 3);
    const auto other = p.workers.asked[has_a ? 1 : 0];
    std::erase_if(p.workers.asked, [&other](const auto& question) { return question.job == other.job; });
    p.pool.on_answer(other.worker, other.job, {Verdict::accepted, ""});
    CHECK(p.users_asked() == (has_a ? "ac" : "bc"));
}

TEST_CASE("a request that hangs keeps nobody who was behind it", "[pool]")
{
    QuickWorker p;
    p.advance(5ms);
    CHECK(p.users_asked() == "a");
    p.pool.abandon(p.workers.asked[0].job);
    CHECK(p.workers.killed == Ids{1});
    p.pool.on_ended(1);
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.decided.size() == 1); // the one before
    p.workers.asked.pop_front();
    CHECK(p.users_asked() == "b");
}

TEST_CASE("of a worker that ends, the one request that it was at is lost, and those at its door are not",
          "[pool]")
{
    QuickWorker p;
    p.pool.on_ended(1);
    CHECK(p.users_decided(Verdict::unavailable) == "a");
    p.workers.asked.clear();
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.users_asked() == "b");
    CHECK(p.pool.waiting() == 1);
}

TEST_CASE("of a worker that ends before it has come to its first request, none is lost", "[pool]")
{
    QuickWorker p;
    p.workers.asleep = {1};
    p.pool.on_ended(1);
    CHECK(p.users_decided(Verdict::unavailable).empty());
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.users_asked() == "a");
}

TEST_CASE("what a worker has come to and not answered when it ends is asked of nobody again", "[pool]")
{
    QuickWorker p;
    p.workers.answers_on_their_way = 1; // that of a; it is at b
    p.pool.on_ended(1);
    CHECK(p.users_decided(Verdict::unavailable) == "ab");
    CHECK(p.pool.waiting() == 1);
}

TEST_CASE("a worker that has not come to its first request in time keeps that one alone", "[pool]")
{
    QuickWorker p;
    p.workers.asleep = {1};
    p.advance(5ms);
    CHECK(p.users_asked() == "a");
    CHECK(p.pool.waiting() == 2);
    p.answer(Verdict::accepted);
    CHECK(p.users_decided(Verdict::accepted) == "a");
}

TEST_CASE("what a worker has come to is not asked back from it again and again", "[pool]")
{
    QuickWorker p{{"a", "b"}};
    p.workers.answers_on_their_way = 1;
    p.advance(5ms);
    CHECK(p.users_asked() == "ab");
    CHECK(p.tick() == TimePoint::max());
    p.pool.abandon(p.workers.asked[0].job);
    CHECK(p.workers.killed == Ids{1});
    CHECK(p.tick() > p.clock.now());
}

TEST_CASE("a request that nobody waits for any more is taken from the door", "[pool]")
{
    QuickWorker p;
    p.pool.abandon(p.workers.asked[1].job);
    CHECK(p.workers.killed.empty());
    CHECK(p.users_asked() == "a");
    p.answer();
    CHECK(p.users_asked() == "c");
    p.answer();
    CHECK(p.in(State::idle) == Ids{1});
}

TEST_CASE("a worker that has come to a request that nobody waits for is killed, and nothing else is lost",
          "[pool]")
{
    QuickWorker p;
    p.workers.answers_on_their_way = 1;
    p.pool.abandon(p.workers.asked[1].job);
    p.workers.answers_on_their_way = 0; // it arrives now
    p.answer(Verdict::accepted);
    CHECK(p.users_decided(Verdict::accepted) == "a");
    CHECK(p.workers.killed == Ids{1});
    CHECK(p.pool.waiting() == 1);
}

TEST_CASE("a worker that is out of date hands back the one that it was asked, and all at its door", "[pool]")
{
    QuickWorker p;
    p.workers.asleep = {1};
    p.hand_back();
    CHECK(p.workers.retired == Ids{1});
    CHECK(p.pool.waiting() == 3);
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.users_asked() == "a");
}

TEST_CASE("a worker that hands back one when it has come to another lies", "[pool]")
{
    QuickWorker p;
    p.hand_back(); // and is at b
    CHECK(p.workers.killed == Ids{1});
    p.pool.on_ended(1);
    CHECK(p.users_decided(Verdict::unavailable) == "ab");
    CHECK(p.pool.waiting() == 1);
}

TEST_CASE("a worker that answers out of turn is killed, and those at its door are not lost", "[pool]")
{
    QuickWorker p;
    p.pool.on_answer(1, p.workers.asked[1].job, {Verdict::accepted, ""});
    CHECK(p.workers.killed == Ids{1});
    CHECK(p.users_decided(Verdict::unavailable) == "a");
    CHECK(p.pool.waiting() == 2);
}

TEST_CASE("what was at the door of a worker that talks nonsense goes to one that is idle", "[pool]")
{
    PoolAtWork p{two_workers};
    grown_up(p);
    p.check_all({"x", "y"});
    p.answer();
    p.answer();
    p.check_all({"a", "b", "c"});
    const auto queueing = p.workers.asked.back();
    const bool has_a = p.workers.asked[0].worker == queueing.worker;
    const auto other = p.workers.asked[has_a ? 1 : 0];
    std::erase_if(p.workers.asked, [&other](const auto& question) { return question.job == other.job; });
    p.pool.on_nonsense(queueing.worker);
    p.pool.on_answer(other.worker, other.job, {Verdict::accepted, ""});
    CHECK(p.workers.asked.back().user == "c");
    CHECK(p.workers.asked.back().worker == other.worker);
}

TEST_CASE("a worker that was held up has nothing at its door until it has been quick again", "[pool]")
{
    QuickWorker p{{"a", "b", "c"}};
    p.pool.abandon(p.workers.asked[2].job);
    CHECK(p.users_asked() == "a");
    p.answer();
    p.check("d");
    CHECK(p.users_asked() == "b");
    p.answer();
    p.check("e");
    CHECK(p.users_asked() == "de");
}

TEST_CASE("a long request is at no door", "[pool]")
{
    QuickWorker p{{"a"}};
    p.check(std::string(16'385, 'l'));
    CHECK(p.users_asked() == "a");
}

TEST_CASE("a request whose workers end before they come to it is not asked about for ever", "[pool]")
{
    QuickWorker p{{"a"}};
    for (const WorkerId worker : Ids{1, 2, 3}) {
        p.workers.asleep.insert(worker);
        REQUIRE(p.users_asked() == "a");
        p.pool.on_ended(worker);
        p.clock.advance(1s);
        p.tick();
        p.pool.on_ready(worker + 1);
    }
    CHECK(p.decided.at("a").reason == "its workers ended or were out of date again and again");
}

TEST_CASE("a worker has no more at its door than it may still answer", "[pool]")
{
    QuickWorker p{{"a", "b", "c", "d"}, {.workers = 1, .workers_max = 1, .worker_requests_max = 3}};
    CHECK(p.users_asked() == "ab");
    p.answer();
    p.answer();
    CHECK(p.workers.retired == Ids{1});
}

TEST_CASE("when a server is to be left alone, those at a door who do not know it are taken from there",
          "[pool]")
{
    PoolAtWork p{two_workers, {"one", "two"}};
    grown_up(p);
    p.check_all({"x", "y"});
    p.answer();
    p.answer();
    p.check_all({"a", "b", "c", "d"});
    REQUIRE(p.workers.asked.size() == 4);
    p.pool.on_server_failed(p.workers.asked[0].worker, 0, "refused");
    p.tick();
    CHECK(p.workers.asked.size() == 2);
    CHECK(p.pool.waiting() == 2);
    p.answer();
    REQUIRE(p.workers.asked.size() == 2);
    CHECK(p.workers.asked.back().left_alone.has(0));
}

TEST_CASE("a worker that prepares for each request has none at its door", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1, .worker_requests_max = 0}};
    p.pool.on_ready(1);
    p.check("before");
    const auto question = p.next_question();
    p.pool.on_answer(question.worker, question.job, {Verdict::accepted, ""}, true);
    p.pool.on_ready(1);
    p.check_all({"a", "b"});
    CHECK(p.workers.asked.size() == 1);
}

TEST_CASE("the wait of a request ends when a worker has come to it", "[pool]")
{
    QuickWorker p{{"a", "b"}};
    CHECK(p.pool.counts().waits.count() == 2);
    p.clock.advance(3ms);
    p.answer();
    CHECK(p.pool.counts().waits.count() == 3);
    CHECK(p.pool.counts().waits.sum() >= 3ms);
}

TEST_CASE("a request that is behind another one has the time that it had", "[pool]")
{
    QuickWorker p{{"a"}};
    p.clock.advance(2ms);
    p.check("b", 1s);
    CHECK(p.workers.asked.back().time_left == 1s);
    p.clock.advance(2ms);
    p.answer();
    CHECK(p.pool.workers().at(1).busy_until == p.clock.now() + 998ms);
}

TEST_CASE("a worker is told how much time is left, not how much there was", "[pool]")
{
    PoolAtWork p;
    p.check("alice");
    p.clock.advance(3s);
    p.pool.on_ready(1);
    CHECK(p.workers.asked.front().time_left == 5s);
}

TEST_CASE("what a worker says beside its verdict arrives with it", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.check("alice");
    const auto question = p.next_question();
    p.pool.on_answer(question.worker, question.job, {Verdict::barred, "expired", true, 3s});
    CHECK(p.decided.at("alice").reason == "expired");
    CHECK(p.decided.at("alice").password_was_right);
    CHECK(p.decided.at("alice").failure_delay == 3s);
}

TEST_CASE("requests wait up to the bound and not beyond", "[pool]")
{
    PoolAtWork p;
    p.check_all({"a", "b", "c"});
    CHECK(p.refusal_of("d") == "too many requests wait for it");
    CHECK(p.pool.waiting() == 3);
}

TEST_CASE("a request that has waited for half of its time is unavailable, and the next has its turn",
          "[pool]")
{
    PoolAtWork p;
    p.check("alice"); // 8 s
    p.clock.advance(1s);
    p.check("bob");
    p.advance(3s);
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "bob");
    CHECK(p.workers.asked.front().time_left >= 4s);
}

TEST_CASE("the longest queue is remembered, and how long those waited who got a worker", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.check("alice"); // is asked at once, and never in the queue
    CHECK(p.pool.counts().waiting_longest == 0);
    p.check_all({"bob", "carol"});
    p.clock.advance(100ms);
    p.answer();
    p.check("dave"); // waits behind carol
    p.clock.advance(5s);
    p.answer();
    const WorkerPool::Counts& counts = p.pool.counts();
    CHECK(counts.waiting_longest == 2);
    CHECK(counts.waits.count() == 2);
    CHECK(counts.waits.max() == 100ms);
    p.advance(0s);
    CHECK(counts.outwaited == 2); // carol and dave
    CHECK(counts.waits.count() == 2);
}

TEST_CASE("a request with less time gives way before one that came earlier and has more", "[pool]")
{
    PoolAtWork p;
    p.check("alice"); // waits for 4 s
    p.clock.advance(1s);
    p.check("bob", 100ms);
    CHECK(p.tick() == p.clock.now() + 50ms);
    p.clock.advance(50ms);
    p.pool.on_ready(1);
    p.answer(Verdict::accepted);
    CHECK(p.workers.asked.empty()); // bob would come too late
    p.tick();
    CHECK(p.decided.at("bob").verdict == Verdict::unavailable);
}

TEST_CASE("a request that nobody waits for any more leaves the queue without a word", "[pool]")
{
    PoolAtWork p;
    p.pool.abandon(p.check("alice"));
    p.all_ready();
    CHECK(p.workers.asked.empty());
    CHECK(p.decided.empty());
    CHECK(p.workers.killed.empty());
}

TEST_CASE("a worker whose request is abandoned is killed and replaced, and its late answer is nobody's",
          "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    const JobId job = p.check("alice");
    const WorkerId worker = p.workers.asked.front().worker;
    p.pool.abandon(job);
    CHECK(p.workers.killed == Ids{worker});
    p.tick();
    CHECK(p.workers.started.size() == 3);
    p.answer(Verdict::accepted);
    CHECK(p.decided.empty());
    p.pool.on_ended(worker);
    CHECK_FALSE(p.pool.owns(worker));
}

TEST_CASE("a worker that ends while it is asked makes that request unavailable, and no other", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.check_all({"alice", "bob"});
    p.pool.on_ended(p.workers.asked.front().worker);
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    CHECK_FALSE(p.decided.contains("bob"));
}

TEST_CASE("a request goes to the next worker when the first one turns out to be gone", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.workers.deaf = {2};
    p.check("alice");
    CHECK(p.workers.asked.front().worker == 1);
    CHECK(p.workers.killed == Ids{2});
}

TEST_CASE("a request keeps its turn when every worker turns out to be gone", "[pool]")
{
    PoolAtWork p;
    grown_up(p).workers.deaf = {1, 2};
    p.check_all({"alice", "bob"});
    p.tick();
    p.pool.on_ready(3);
    CHECK(p.user_asked() == "alice");
}

// --- lying ------------------------------------------------------------------------------------------------

TEST_CASE("an answer to another request than the one asked is never believed", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.check("alice");
    const auto question = p.next_question();
    p.pool.on_answer(question.worker, question.job + 1, {Verdict::accepted, ""});
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    CHECK(p.workers.killed == Ids{question.worker});
}

TEST_CASE("an answer that nobody asked for kills the worker and decides nothing", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.pool.on_answer(1, 1, {Verdict::accepted, ""});
    CHECK(p.workers.killed == Ids{1});
    CHECK(p.decided.empty());
}

TEST_CASE("one worker's answer is not taken for another's question", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.check_all({"alice", "bob"});
    const auto alice = p.workers.asked[0];
    const auto bob = p.workers.asked[1];
    p.pool.on_answer(bob.worker, alice.job, {Verdict::accepted, ""});
    CHECK_FALSE(p.decided.contains("alice"));
    CHECK(p.decided.at("bob").verdict == Verdict::unavailable);
}

TEST_CASE("nonsense in mid-request makes the request unavailable", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.check("alice");
    p.pool.on_nonsense(p.workers.asked.front().worker);
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
}

TEST_CASE("what is said of a worker that is gone changes nothing", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.pool.on_ended(1);
    p.pool.on_ended(1);
    p.pool.on_ready(1);
    p.pool.on_answer(1, 1, {Verdict::accepted, ""});
    p.pool.on_handed_back(1, 1);
    p.pool.on_nonsense(1);
    p.check("alice");
    CHECK(p.workers.asked.front().worker == 2);
    CHECK(p.workers.killed.empty());
}

// --- growing ----------------------------------------------------------------------------------------------

TEST_CASE("a burst that the workers can serve within 10 ms costs no process", "[pool]")
{
    PoolAtWork p{one_to_three};
    p.all_ready();
    p.check_all({"a", "b", "c"});
    CHECK(p.tick() == p.clock.now() + 10ms);
    p.advance(10ms - 1ns);
    for (int i = 0; i < 3; ++i)
        p.answer();
    p.advance(1ns);
    CHECK(p.workers.started == Ids{1});
    CHECK(p.decided.size() == 3);
}

TEST_CASE("each request that has waited for 10 ms is worth one worker, once", "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 64}};
    p.all_ready();
    p.check_all({"in work", "in work too", "c", "d"});
    p.advance(10ms);
    CHECK(p.workers.started == Ids{1, 2, 3, 4});
    p.advance(1s);
    CHECK(p.tick() > p.clock.now() + 1s);
    CHECK(p.workers.started == Ids{1, 2, 3, 4});
    p.pool.on_ready(3);
    p.tick();
    CHECK(p.workers.started == Ids{1, 2, 3, 4});
}

TEST_CASE("a pool doubles while its workers are held up, and no faster", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 64, .worker_requests_max = 0}};
    p.all_ready();
    for (int i = 0; i < 20; ++i)
        p.check("user" + std::to_string(i));
    for (const std::size_t live : {2U, 4U, 8U, 16U, 20U, 20U}) {
        p.advance(10ms);
        p.all_ready();
        CHECK(p.workers.started.size() == live);
    }
    CHECK(p.pool.waiting() == 0);
}

TEST_CASE("where workers come round quickly, those who wait are worth no other", "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 64, .worker_requests_max = 0}};
    p.all_ready();
    for (int i = 0; i < 60; ++i)
        p.check("user" + std::to_string(i));
    for (int millisecond = 0; millisecond < 29; ++millisecond) {
        p.advance(1ms);
        p.answer();
        p.answer();
    }
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("a pool grows to the most that it may have and not beyond", "[pool]")
{
    PoolAtWork p{one_to_three};
    p.all_ready();
    p.check_all({"a", "b", "c", "d", "e", "f"});
    for (int i = 0; i < 3; ++i) {
        p.advance(10ms);
        p.all_ready();
    }
    p.advance(1s);
    CHECK(p.workers.started == Ids{1, 2, 3});
    CHECK(p.in(State::busy) == Ids{1, 2, 3});
    CHECK(p.pool.waiting() == 3);
}

TEST_CASE("a pool that cannot grow now does not ask to be called for it at once", "[pool]")
{
    PoolAtWork p{one_to_three};
    SECTION("because its first worker is being started") {}
    SECTION("because all its workers are busy")
    {
        p.all_ready();
        p.check_all({"x", "y", "z"});
        for (int i = 0; i < 3; ++i) {
            p.advance(10ms);
            p.all_ready();
        }
    }
    SECTION("because its workers keep ending")
    {
        p.all_ready();
        for (int i = 0; i < 5; ++i) {
            p.all_end();
            p.advance(100ms * (1 << i));
        }
        p.all_end();
    }
    SECTION("because there is no supervisor")
    {
        p.all_ready();
        p.check("in work");
        p.workers.has_supervisor = false;
    }
    p.check_all({"a", "b", "c", "d", "e"});
    const auto started = p.workers.started;
    p.advance(10ms);
    CHECK(p.tick() >= p.clock.now() + 1s);
    CHECK(p.workers.started == started);
}

// --- shrinking --------------------------------------------------------------------------------------------

TEST_CASE("workers that nobody has needed for a while are let go, down to those that are kept", "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 4, .worker_requests_max = 0, .worker_idle = 60s}};
    p.all_ready();
    p.check_all({"a", "b", "c", "d"});
    p.advance(10ms);
    p.all_ready();
    Ids order; // in which they became idle
    for (int i = 0; i < 4; ++i)
        order.push_back(p.answer());
    CHECK(p.tick() == p.clock.now() + 60s);
    p.advance(60s - 1ns);
    CHECK(p.workers.retired.empty());
    p.advance(1ns);
    CHECK(p.tick() == TimePoint::max());
    CHECK(p.workers.retired == Ids{order[0], order[1]});
    CHECK(p.workers.killed.empty());
    p.advance(24h);
    CHECK(p.in(State::idle).size() == 2);
    CHECK(p.workers.started.size() == 4);
}

TEST_CASE("who was asked last is asked next, so that the others can be let go", "[pool]")
{
    PoolAtWork p{one_to_three};
    p.all_ready();
    p.check_all({"a", "b", "c"});
    p.advance(10ms);
    p.all_ready();
    p.answer();
    p.answer();
    const WorkerId last = p.answer();
    for (int i = 0; i < 6; ++i) {
        p.advance(10s);
        p.check("alice");
        CHECK(p.answer() == last);
    }
    p.tick();
    CHECK(p.in(State::idle) == Ids{last});
}

TEST_CASE("a worker that was let go is nobody's, and its end no loss", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1, .worker_requests_max = 1}};
    p.all_ready();
    p.check("alice");
    p.answer();
    CHECK_FALSE(p.pool.owns(1));
    p.pool.on_ended(1);
    CHECK(p.pool.counts().workers_lost == 0);
    CHECK(p.pool.workers().empty());
}

// --- retiring ---------------------------------------------------------------------------------------------

TEST_CASE("a worker that has answered enough is retired, and another one takes its place at once", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1, .worker_requests_max = 2}};
    p.all_ready();
    p.check_all({"a", "b", "c"});
    p.answer();
    CHECK(p.workers.retired.empty());
    CHECK(p.pool.workers().at(1).answers == 1);
    p.answer(Verdict::accepted);
    CHECK(p.workers.retired == Ids{1});
    CHECK(p.workers.killed.empty());
    CHECK(p.decided.at("b").verdict == Verdict::accepted);
    p.tick();
    CHECK(p.workers.started == Ids{1, 2});
    p.pool.on_ready(2);
    CHECK(p.user_asked() == "c");
}

TEST_CASE("without a number of requests nobody is retired", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1, .worker_requests_max = 0}};
    p.all_ready();
    for (int i = 0; i < 20'000; ++i) {
        p.asked.clear();
        p.check("alice");
        p.answer();
    }
    CHECK(p.workers.retired.empty());
    CHECK(p.workers.started == Ids{1});
}

TEST_CASE("with one request for each worker, one waits ready and no two requests meet the same", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 64, .worker_requests_max = 1}};
    p.all_ready();
    std::set<WorkerId> workers;
    for (int i = 0; i < 10; ++i) {
        CHECK(p.in(State::idle).size() == 1);
        p.check("alice");
        workers.insert(p.answer());
        p.tick();
        p.all_ready();
    }
    CHECK(workers.size() == 10);
    CHECK(p.workers.started.size() == 11);
}

TEST_CASE("with one request for each worker, those that come at once get one each", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 64, .worker_requests_max = 1}};
    p.all_ready();
    p.check_all({"a", "b", "c"});
    p.advance(10ms);
    p.all_ready();
    CHECK(p.in(State::busy) == Ids{1, 2, 3});
    for (int i = 0; i < 3; ++i)
        p.answer();
    CHECK(p.workers.retired == Ids{1, 2, 3});
    p.tick();
    CHECK(p.workers.started == Ids{1, 2, 3, 4});
}

// --- handing back -----------------------------------------------------------------------------------------

TEST_CASE("a request that is handed back keeps its place, and goes to a worker that is not out of date",
          "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    grown_up(p).check_all({"alice", "bob"});
    p.hand_back();
    CHECK(p.workers.retired == Ids{1});
    CHECK(p.workers.killed.empty());
    CHECK(p.decided.empty());
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.user_asked() == "alice");
    p.answer(Verdict::accepted);
    CHECK(p.decided.at("alice").verdict == Verdict::accepted);
    CHECK(p.user_asked() == "bob");
}

TEST_CASE("what is out of date for one worker is for those that are idle, and they go with it", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.check("alice");
    p.clock.advance(1s);
    CHECK(p.hand_back() == 2);
    CHECK(p.workers.retired == Ids{2, 1});
    p.tick();
    p.pool.on_ready(3);
    CHECK(p.user_asked() == "alice");
    CHECK(p.workers.asked.front().worker == 3);
}

TEST_CASE("a request that is handed back late waits for half of what it has left", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.check("alice"); // 8 s
    p.clock.advance(6s);
    p.hand_back();
    p.advance(1s - 1ns);
    CHECK(p.decided.empty());
    p.advance(1ns);
    CHECK(p.decided.at("alice").reason == "no worker was free in time");
}

TEST_CASE("a request that is handed back can still be abandoned", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    const JobId job = p.check("alice");
    p.clock.advance(6s);
    p.hand_back();
    p.pool.abandon(job);
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.workers.asked.empty());
    p.advance(2s);
    CHECK(p.decided.empty());
}

TEST_CASE("a request that is handed back three times is unavailable", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.check("alice");
    for (WorkerId next = 2; next <= 3; ++next) {
        p.clock.advance(1s); // or the pool would pause
        p.hand_back();
        p.tick();
        p.pool.on_ready(next);
    }
    CHECK(p.decided.empty());
    p.hand_back();
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    CHECK(p.decided.at("alice").reason == "its workers ended or were out of date again and again");
    CHECK(p.pool.waiting() == 0);
}

TEST_CASE("a worker that is out of date as soon as it starts makes the next one wait", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.check("alice");
    p.hand_back();
    CHECK(p.tick() == p.clock.now() + 100ms);
    CHECK(p.workers.started == Ids{1});
}

TEST_CASE("a worker cannot hand back what it does not have", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    const JobId alice = p.check("alice");
    const auto [idle, busy] = std::pair{WorkerId{1}, WorkerId{2}};
    SECTION("because it has nothing")
    {
        p.pool.on_handed_back(idle, alice);
        CHECK(p.workers.killed == Ids{idle});
        CHECK(p.decided.empty());
        p.answer(Verdict::accepted);
        CHECK(p.decided.at("alice").verdict == Verdict::accepted);
    }
    SECTION("because it has another request")
    {
        p.pool.on_handed_back(busy, alice + 1);
        CHECK(p.workers.killed == Ids{busy});
        CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    }
    SECTION("because it is condemned, and what it had is decided")
    {
        p.pool.on_nonsense(busy);
        p.pool.on_handed_back(busy, alice);
        CHECK(p.workers.killed == Ids{busy});
        CHECK(p.pool.waiting() == 0);
        CHECK(p.workers.asked.size() == 1);
    }
}

// --- backing off ------------------------------------------------------------------------------------------

TEST_CASE("where workers keep dying young, the next one comes later each time, up to half a minute", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    for (const auto pause :
         {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 6400ms, 12800ms, 25600ms, 30000ms, 30000ms}) {
        CAPTURE(pause.count());
        const std::size_t started = p.workers.started.size();
        p.all_end();
        CHECK(p.tick() == p.clock.now() + pause);
        p.advance(pause - 1ns);
        CHECK(p.workers.started.size() == started);
        p.advance(1ns);
        CHECK(p.workers.started.size() == started + 1);
    }
}

TEST_CASE("workers that die together are one death", "[pool]")
{
    PoolAtWork p{{.workers = 5, .workers_max = 5}};
    for (const auto pause : {100ms, 200ms, 400ms}) {
        p.all_ready();
        p.all_end();
        CHECK(p.tick() == p.clock.now() + pause);
        p.advance(pause);
        CHECK(p.in(State::starting).size() == 5);
    }
}

TEST_CASE("an answer makes the pauses short again", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    for (const auto pause : {100ms, 200ms}) {
        p.all_end();
        p.advance(pause);
    }
    p.all_ready();
    p.check("alice");
    p.answer();
    p.all_end();
    CHECK(p.tick() == p.clock.now() + 100ms);
}

TEST_CASE("a worker that lies, is never ready or is found gone makes the next one wait too", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    SECTION("lies")
    {
        p.all_ready();
        p.pool.on_nonsense(1);
    }
    SECTION("is never ready")
    {
        p.clock.advance(10s);
    }
    SECTION("is found gone")
    {
        p.all_ready();
        p.workers.deaf = {1};
        p.check("alice");
    }
    CHECK(p.tick() == p.clock.now() + 100ms);
    CHECK(p.workers.killed == Ids{1});
    p.pool.on_ended(1);
    CHECK(p.tick() == p.clock.now() + 100ms);
    p.advance(100ms);
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("of many that start at once none is given up while one after the other is ready", "[pool]")
{
    PoolAtWork p{{.workers = 4, .workers_max = 4}};
    p.pool.on_ready(1);
    p.tick();
    for (const WorkerId worker : {2, 3}) {
        p.advance(9s);
        p.pool.on_ready(worker);
    }
    p.advance(9s);
    CHECK(p.workers.killed.empty());
    p.advance(1s);
    CHECK(p.workers.killed == Ids{4});
}

TEST_CASE("who was started later and is ready gives no more time to one that hangs", "[pool]")
{
    PoolAtWork p;
    grown_up(p);
    p.pool.on_ended(1);
    p.tick();
    p.advance(5s);
    p.pool.on_ended(2);
    p.tick();
    REQUIRE(p.in(State::starting) == Ids{3, 4});
    p.pool.on_ready(4);
    p.advance(5s);
    CHECK(p.workers.killed == Ids{3});
}

TEST_CASE("a request waits through a short pause, and is declined in a long one", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.all_end(); // for 100 ms there is nobody, and nobody to come
    CHECK(p.refusal_of("alice", 199ms) == "its workers keep ending");
    p.check("bob", 202ms);
    p.advance(100ms);
    p.pool.on_ready(2);
    CHECK(p.user_asked() == "bob");
}

TEST_CASE("while somebody can be asked, no pause declines a request", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.pool.on_ended(1);
    p.check("alice", 10ms);
    CHECK(p.user_asked() == "alice");
    CHECK(p.refusal_of("bob", 10ms).empty());
}

// --- without a supervisor ---------------------------------------------------------------------------------

TEST_CASE("without a supervisor nobody is let go, and nobody is woken for it", "[pool]")
{
    PoolAtWork p{one_to_three};
    p.all_ready();
    p.check_all({"a", "b", "c"});
    for (int i = 0; i < 3; ++i) {
        p.advance(10ms);
        p.all_ready();
    }
    REQUIRE(p.in(State::busy).size() == 3);
    for (int i = 0; i < 3; ++i)
        p.answer();
    p.workers.has_supervisor = false;
    p.clock.advance(1h);
    CHECK(p.tick() == TimePoint::max());
    CHECK(p.in(State::idle).size() == 3);
}

TEST_CASE("however many wait, a pool is woken for what is to come and never for what is past", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 4, .worker_requests_max = 0}};
    p.all_ready();
    for (int i = 0; i < 40; ++i)
        p.check("user" + std::to_string(i));
    for (int i = 0; i < 200; ++i) {
        p.clock.advance(1ms);
        CHECK(p.tick() > p.clock.now());
        if (i % 20 == 19)
            p.answer();
    }
}

TEST_CASE("without a supervisor the workers there are serve on, however often they have answered", "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 4, .worker_requests_max = 1}};
    p.all_ready();
    p.workers.has_supervisor = false;
    for (int i = 0; i < 3; ++i) {
        p.check_all({"a", "b", "c", "d"});
        p.advance(20ms);
        while (!p.workers.asked.empty())
            p.answer(Verdict::accepted);
        CHECK(p.decided.size() == 4);
        p.decided.clear();
    }
    CHECK(p.workers.retired.empty());
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("without a supervisor a worker that ends is missing, and without any worker requests are declined",
          "[pool]")
{
    PoolAtWork p;
    grown_up(p).workers.has_supervisor = false;
    p.pool.on_ended(2);
    CHECK(p.tick() == TimePoint::max());
    p.check("alice");
    CHECK(p.answer() == 1);
    p.pool.on_ended(1);
    CHECK(p.tick() == TimePoint::max());
    CHECK(p.refusal_of("bob") == "its workers have ended, and there is no supervisor to start others");
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("with a supervisor again the missing workers are started", "[pool]")
{
    PoolAtWork p;
    grown_up(p).workers.has_supervisor = false;
    p.all_end();
    p.tick();
    p.workers.has_supervisor = true;
    p.check("alice");
    p.tick();
    CHECK(p.workers.started == Ids{1, 2, 3, 4});
}

// --- counting ---------------------------------------------------------------------------------------------

TEST_CASE("it is counted what happens to workers and to requests that never got one", "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 2, .worker_requests_max = 1, .queue_max = 2}};
    grown_up(p);
    p.check_all({"answered", "lost", "too late", "too late as well"});
    static_cast<void>(p.refusal_of("too many"));
    p.answer(); // retired, which is no loss
    p.pool.on_ended(p.next_question().worker);
    p.advance(4s);
    p.pool.on_ready(3);
    p.pool.on_nonsense(3);
    p.pool.on_ended(3);
    const WorkerPool::Counts& counts = p.pool.counts();
    CHECK(counts.workers_started == 4);
    CHECK(counts.workers_lost == 2);
    CHECK(counts.declined == 1);
    CHECK(counts.outwaited == 2);
}

// --- preparing --------------------------------------------------------------------------------------------

TEST_CASE("a worker that prepares is not asked until it has", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.pool.on_ready(1, true);
    CHECK(p.in(State::preparing) == Ids{1});
    p.check_all({"alice", "bob"});
    CHECK(p.workers.asked.empty());
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "alice");
    const auto question = p.next_question();
    p.pool.on_answer(question.worker, question.job, {Verdict::accepted, ""}, true);
    CHECK(p.decided.at("alice").verdict == Verdict::accepted);
    CHECK(p.workers.asked.empty());
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "bob");
}

TEST_CASE("a worker that answers its last request need not prepare for another", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1, .worker_requests_max = 1}};
    p.all_ready();
    p.check("alice");
    const auto question = p.next_question();
    p.pool.on_answer(question.worker, question.job, {Verdict::accepted, ""}, true);
    CHECK(p.workers.retired == Ids{1});
    CHECK(p.workers.preparing.empty());
}

TEST_CASE("a worker that is gone when it should prepare is replaced", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.workers.deaf = {1};
    p.pool.on_ready(1, true);
    CHECK(p.workers.killed == Ids{1});
    p.advance(100ms);
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("a pool whose first worker prepares has settled, and starts the others", "[pool]")
{
    PoolAtWork p;
    p.pool.on_ready(1, true);
    CHECK(p.pool.has_settled());
    CHECK(p.pool.has_been_ready());
    p.tick();
    CHECK(p.workers.started == Ids{1, 2});
}

TEST_CASE("workers that prepare are held up, and others take those who wait", "[pool]")
{
    PoolAtWork p{one_to_three};
    p.pool.on_ready(1, true);
    p.check("alice");
    CHECK(p.tick() == p.clock.now() + 10ms);
    p.advance(10ms);
    CHECK(p.workers.started == Ids{1, 2});
    p.pool.on_ready(2);
    CHECK(p.user_asked() == "alice");
}

TEST_CASE("a worker that prepares for too long is killed", "[pool]")
{
    PoolAtWork p;
    p.pool.on_ready(1, true);
    p.tick();
    p.pool.on_ready(2);
    CHECK(p.tick() == p.clock.now() + 6s); // before its own timer ends it, after seven
    p.advance(6s - 1ns);
    CHECK(p.workers.killed.empty());
    p.advance(1ns);
    CHECK(p.workers.killed == Ids{1});
}

TEST_CASE("after a preparation that hung, workers are asked without one for a while", "[pool]")
{
    PoolAtWork p;
    p.pool.on_ready(1, true);
    p.tick();
    p.pool.on_ready(2);
    SECTION("it was killed")
    {
        p.advance(6s);
    }
    SECTION("it ended by itself")
    {
        p.advance(4s);
        p.pool.on_ended(1);
    }
    p.advance(100ms);
    p.pool.on_ready(3, true);
    CHECK(p.in(State::idle) == Ids{2, 3});
    p.check_all({"alice", "bob"});
    CHECK(p.workers.asked.size() == 2);
    p.advance(15s);
    const auto question = p.next_question();
    p.pool.on_answer(question.worker, question.job, {Verdict::accepted, ""}, true);
    CHECK(p.in(State::preparing) == Ids{question.worker});
}

TEST_CASE("a worker that crashes while it prepares keeps nobody else from it", "[pool]")
{
    PoolAtWork p;
    p.pool.on_ready(1, true);
    p.tick();
    p.pool.on_ended(1);
    p.pool.on_ready(2, true);
    CHECK(p.in(State::preparing) == Ids{2});
}

TEST_CASE("an idle worker that wants to prepare again is not asked meanwhile", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.pool.on_ready(1, true);
    CHECK(p.in(State::preparing) == Ids{1});
    CHECK(p.workers.preparing.front().time_left == 5s);
    p.check("alice");
    CHECK(p.workers.asked.empty());
    p.pool.on_ready(1);
    CHECK(p.user_asked() == "alice");
    CHECK(p.workers.killed.empty());
}

TEST_CASE("idle workers prepare again one after the other, so that there are some to be asked", "[pool]")
{
    PoolAtWork p{{.workers = 3, .workers_max = 3}};
    p.all_ready();
    for (const WorkerId worker : {1U, 2U, 3U})
        p.pool.on_ready(worker, true);
    CHECK(p.in(State::preparing) == Ids{1});
    p.check("alice");
    CHECK(p.user_asked() == "alice");
    p.pool.on_ready(1);
    CHECK(p.in(State::preparing) == Ids{2});
    p.pool.on_ended(2);
    p.tick();
    CHECK(p.workers.killed.empty());
}

TEST_CASE("a worker that is killed while it prepares again keeps nobody else from it", "[pool]")
{
    PoolAtWork p;
    p.all_ready();
    p.pool.on_ready(1, true);
    p.pool.on_nonsense(1);
    p.pool.on_ready(2, true);
    CHECK(p.in(State::preparing) == Ids{2});
}

TEST_CASE("a wish to prepare again that crosses a request is no nonsense, said once", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.all_ready();
    p.check_all({"alice", "bob"});
    p.pool.on_ready(1, true);
    CHECK(p.workers.killed.empty());
    SECTION("it is said again behind the answer")
    {
        const auto question = p.next_question();
        p.pool.on_answer(question.worker, question.job, {Verdict::accepted, ""}, true);
        CHECK(p.in(State::preparing) == Ids{1});
    }
    SECTION("it is forgotten with the answer")
    {
        p.answer();
        p.answer();
        CHECK(p.in(State::idle) == Ids{1});
        CHECK(p.workers.preparing.empty());
    }
    SECTION("twice is too often")
    {
        p.pool.on_ready(1, true);
        CHECK(p.workers.killed == Ids{1});
    }
}

TEST_CASE("a worker that prepares again keeps its place among those that nobody needs", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 2, .worker_requests_max = 0, .worker_idle = 60s}};
    p.all_ready();
    p.check_all({"a", "b"});
    p.advance(10ms);
    p.all_ready();
    p.answer();
    p.clock.advance(1ms);
    p.answer();
    REQUIRE(p.in(State::idle) == Ids{1, 2});
    p.clock.advance(45s);
    p.pool.on_ready(1, true);
    p.pool.on_ready(1);
    p.advance(15s - 1ms);
    CHECK(p.workers.retired == Ids{1});
}

TEST_CASE("one request that waits starts one worker, however long those that are started prepare", "[pool]")
{
    PoolAtWork p{{.workers = 2, .workers_max = 10, .worker_requests_max = 0}};
    p.pool.on_ready(1, true);
    p.tick();
    p.pool.on_ready(2, true);
    p.check("alice");
    for (int i = 0; i < 20; ++i) {
        p.advance(10ms);
        for (const WorkerId worker : p.in(State::starting))
            p.pool.on_ready(worker, true);
    }
    CHECK(p.workers.started == Ids{1, 2, 3});
    p.check("bob");
    p.advance(10ms);
    CHECK(p.workers.started == Ids{1, 2, 3, 4});
}

TEST_CASE("a worker that prepares what it has just prepared talks nonsense", "[pool]")
{
    PoolAtWork p;
    p.pool.on_ready(1, true);
    p.pool.on_ready(1, true);
    CHECK(p.workers.killed == Ids{1});
}

TEST_CASE("a worker that ends while it prepares is replaced, and nobody's request is lost", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}};
    p.pool.on_ready(1, true);
    p.check("alice");
    p.clock.advance(1s);
    p.pool.on_ended(1);
    p.tick();
    CHECK(p.workers.started == Ids{1}); // the next one may do the same
    p.advance(100ms);
    CHECK(p.decided.empty());
    p.pool.on_ready(2);
    CHECK(p.user_asked() == "alice");
}

// --- servers ----------------------------------------------------------------------------------------------

namespace {

/// A pool of two workers, ready, of a backend with two servers.
struct PoolOfServers : PoolAtWork {
    explicit PoolOfServers(const PoolConfig& config = two_workers) : PoolAtWork{config, {"one", "two"}}
    {
        all_ready();
        advance(1s);
    }

    /// Somebody asks in vain: his worker says so, and finds another server.
    void fail(std::size_t server, const std::string& problem = "timed out")
    {
        check("who finds out");
        const auto question = workers.asked.back();
        workers.asked.pop_back();
        pool.on_server_failed(question.worker, server, problem);
        pool.on_answer(question.worker, question.job, {Verdict::rejected, ""});
    }

    void fail_all()
    {
        fail(0);
        fail(1);
        answer_probe({Verdict::unavailable, "connection refused"});
    }

    [[nodiscard]] bool is_in_doubt(std::size_t server) const { return servers.servers()[server].is_in_doubt; }

    [[nodiscard]] ServerSet left_alone() const { return servers.left_alone(); }
};

constexpr ServerSet none{};
constexpr ServerSet one = ServerSet::from_bits(0b01);
constexpr ServerSet two = ServerSet::from_bits(0b10);
constexpr ServerSet both = ServerSet::from_bits(0b11);

} // namespace

TEST_CASE("a server that failed one request is left alone by the next, while the first is still in work",
          "[pool]")
{
    PoolOfServers p;
    p.check("alice");
    CHECK(p.workers.asked[0].left_alone == none);
    p.pool.on_server_failed(p.workers.asked[0].worker, 0, "timed out");
    p.check("bob");
    CHECK(p.workers.asked[1].left_alone == one);
}

TEST_CASE("a server that is down is probed by an idle worker, and asked again when it is well", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    CHECK(p.tick() == p.clock.now() + 250ms);
    p.advance(250ms);
    REQUIRE(p.workers.probes.size() == 1);
    CHECK(p.workers.probes[0].time_left == 8s);
    CHECK(p.workers.probes[0].left_alone == two);
    CHECK(p.in(State::probing).size() == 1);
    p.check("alice");
    CHECK(p.workers.asked.back().left_alone == one);
    p.answer_probe();
    CHECK(p.in(State::probing).empty());
    p.check("bob");
    CHECK(p.workers.asked.back().left_alone == none);
}

TEST_CASE("a worker is told which servers to leave alone while it prepares, and has five seconds", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.pool.on_ended(1);
    p.tick();
    p.pool.on_ready(3, true);
    REQUIRE(p.workers.preparing.size() == 1);
    CHECK(p.workers.preparing[0].worker == 3);
    CHECK(p.workers.preparing[0].left_alone == one);
    CHECK(p.workers.preparing[0].time_left == 5s);
}

TEST_CASE("a probe that fails is made again, later each time", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    for (const auto pause : {250ms, 500ms, 1'000ms}) {
        CHECK(p.tick() == p.clock.now() + pause);
        p.advance(pause);
        p.answer_probe({Verdict::unavailable, "no route to host"});
    }
    CHECK(p.left_alone() == one);
    CHECK(p.servers.servers()[0].problem == "no route to host");
    CHECK(p.workers.killed.empty());
}

TEST_CASE("of a pool one worker probes at a time", "[pool]")
{
    PoolAtWork p{two_workers, {"one", "two", "three"}};
    grown_up(p).check("who finds out");
    const auto question = p.next_question();
    p.pool.on_server_failed(question.worker, 0, "");
    p.pool.on_server_failed(question.worker, 1, "");
    p.pool.on_answer(question.worker, question.job, {Verdict::rejected, ""});
    p.advance(1s);
    CHECK(p.workers.probes.size() == 1);
    CHECK(p.in(State::idle).size() == 1);
    p.answer_probe();
    CHECK(p.workers.probes.size() == 1);
}

TEST_CASE("while all servers are down, one that is well again waits for no hanging probe of another",
          "[pool]")
{
    PoolOfServers p;
    p.fail_all();
    p.advance(1s);
    REQUIRE(p.workers.probes.size() == 2);
    CHECK(p.workers.probes[0].left_alone == two);
    CHECK(p.workers.probes[1].left_alone == one);
    p.workers.probes.pop_front();
    p.answer_probe();
    CHECK(p.left_alone() == one);
    p.check("alice");
    CHECK(p.user_asked() == "alice");
}

TEST_CASE("a probe has its worker before those who wait", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.check_all({"alice", "bob", "carol"});
    p.clock.advance(250ms);
    CHECK(p.tick() > p.clock.now());
    CHECK(p.workers.probes.empty());
    p.answer();
    CHECK(p.workers.probes.size() == 1);
    CHECK(p.pool.waiting() == 1);
    p.answer_probe();
    CHECK(p.workers.asked.back().user == "carol");
}

TEST_CASE("a worker that does not answer a probe is killed, and the server stays down", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.advance(250ms);
    const WorkerId prober = p.workers.probes.front().worker;
    CHECK(p.tick() == p.clock.now() + 9s);
    p.advance(9s - 1ns);
    CHECK(p.workers.killed.empty());
    p.advance(1ns);
    CHECK(p.workers.killed == Ids{prober});
    CHECK(p.left_alone() == one);
    CHECK(p.servers.servers()[0].problem == "it did not answer in time");
    p.answer_probe(); // too late
    CHECK(p.left_alone() == one);
}

TEST_CASE("a probe whose worker is lost has failed, and is made again by another", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.advance(250ms);
    const auto probe = p.workers.probes.front();
    SECTION("it ends")
    {
        p.pool.on_ended(probe.worker);
    }
    SECTION("it talks nonsense")
    {
        p.pool.on_nonsense(probe.worker);
    }
    SECTION("it reaches a verdict")
    {
        p.pool.on_answer(probe.worker, probe.job, {Verdict::rejected, ""});
    }
    SECTION("it answers another question")
    {
        p.pool.on_answer(probe.worker, probe.job + 1, {Verdict::accepted, ""});
    }
    SECTION("it hands back what is no request")
    {
        p.pool.on_handed_back(probe.worker, probe.job);
    }
    CHECK(p.left_alone() == one);
    CHECK_FALSE(p.servers.is_probed(0));
    p.advance(500ms);
    REQUIRE(p.workers.probes.size() == 2);
    CHECK(p.workers.probes[1].worker != probe.worker);
}

TEST_CASE("a probe goes to the next worker when the first one turns out to be gone", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.workers.deaf = {p.in(State::idle).front()};
    p.advance(250ms);
    CHECK(p.workers.killed.size() == 1);
    REQUIRE(p.workers.probes.size() == 1);
    CHECK_FALSE(p.workers.deaf.contains(p.workers.probes[0].worker));
}

TEST_CASE("what a probe says on its way counts once", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.advance(250ms);
    p.pool.on_server_failed(p.workers.probes[0].worker, 0, "connection refused");
    p.answer_probe({Verdict::unavailable, "connection refused"});
    CHECK(p.servers.servers()[0].failures == 2);
}

TEST_CASE("a worker may prepare behind a probe", "[pool]")
{
    PoolOfServers p{{.workers = 1, .workers_max = 1}};
    p.fail(0);
    p.advance(250ms);
    const WorkerId prober = p.answer_probe({Verdict::accepted, ""}, true);
    CHECK(p.in(State::preparing) == Ids{prober});
}

TEST_CASE("while all servers are down requests are declined at once, and no worker is asked", "[pool]")
{
    PoolOfServers p;
    p.fail_all();
    CHECK(p.refusal_of("alice") == "none of its servers can be asked; two: connection refused");
    CHECK(p.workers.asked.empty());
    CHECK(p.pool.counts().declined == 1);
    p.advance(250ms);
    p.answer_probe();
    p.check("bob");
    CHECK(p.user_asked() == "bob");
    CHECK(p.workers.asked[0].left_alone == two);
}

TEST_CASE("a worker that is not certain puts a server in doubt, which is left alone until its probe",
          "[pool]")
{
    PoolOfServers p;
    p.check("who finds out");
    const auto question = p.workers.asked.back();
    p.pool.on_server_failed(question.worker, 0, "silent", false);
    CHECK(p.is_in_doubt(0));
    CHECK_FALSE(p.servers.servers()[0].is_down);
    CHECK(p.left_alone() == one);
    p.advance(10ms);
    CHECK(p.workers.probes.front().left_alone == two);
    p.answer_probe();
    CHECK(p.left_alone() == none);
    p.pool.on_server_failed(question.worker, 0, "silent", false); // began before that probe ended
    CHECK_FALSE(p.is_in_doubt(0));
}

TEST_CASE("a server in doubt that fails its probe is down", "[pool]")
{
    PoolOfServers p;
    p.check("who finds out");
    p.pool.on_server_failed(p.workers.asked.back().worker, 0, "silent", false);
    p.tick();
    p.answer_probe({Verdict::unavailable, "no greeting"});
    CHECK(p.servers.servers()[0].is_down);
    CHECK(p.left_alone() == one);
}

TEST_CASE("those who wait when the last server goes down wait no longer", "[pool]")
{
    PoolOfServers p{{.workers = 1, .workers_max = 1}};
    p.check_all({"alice", "bob"});
    const auto question = p.next_question();
    p.pool.on_server_failed(question.worker, 0, "timed out");
    p.pool.on_server_failed(question.worker, 1, "timed out");
    p.pool.on_answer(question.worker, question.job, {Verdict::unavailable, "nobody there"});
    CHECK(p.decided.at("alice").reason == "nobody there");
    p.answer_probe({Verdict::unavailable, "connection refused"});
    CHECK_FALSE(p.decided.contains("bob"));
    CHECK(p.pool.start_missing() == p.clock.now());
    p.tick();
    CHECK(p.decided.at("bob").verdict == Verdict::unavailable);
    CHECK(p.decided.at("bob").reason == "none of its servers can be asked; two: connection refused");
    CHECK(p.tick() > p.clock.now());
}

TEST_CASE("a worker that becomes idle while all servers are down is not asked", "[pool]")
{
    PoolOfServers p{{.workers = 1, .workers_max = 1}};
    p.check_all({"alice", "bob"});
    const auto question = p.next_question();
    p.pool.on_server_failed(question.worker, 0, "");
    p.pool.on_server_failed(question.worker, 1, "");
    p.pool.on_answer(question.worker, question.job, {Verdict::unavailable, ""});
    p.answer_probe({Verdict::unavailable, ""});
    CHECK(p.in(State::idle) == Ids{question.worker});
    CHECK(p.workers.asked.empty());
}

TEST_CASE("a request that hangs to its deadline blames the server that it was waiting for", "[pool]")
{
    PoolOfServers p;
    const JobId job = p.check("alice");
    p.clock.advance(2s);
    SECTION("the first is in doubt, since it may have been the second")
    {
        p.pool.abandon(job);
        CHECK(p.is_in_doubt(0));
        CHECK(p.left_alone() == one);
        CHECK(p.servers.servers()[0].problem == "it did not answer in time");
        p.tick();
        CHECK(p.workers.probes.front().left_alone == two);
    }
    SECTION("the second is in doubt, since there is no other, when it has complained of the first")
    {
        p.pool.on_server_failed(p.workers.asked[0].worker, 0, "timed out");
        p.pool.abandon(job);
        CHECK(p.left_alone() == one);
        CHECK(p.is_in_doubt(1));
        CHECK(p.servers.servers()[0].problem == "timed out");
    }
    SECTION("the first is down, when it was the only one that was left")
    {
        p.pool.on_server_failed(p.workers.asked[0].worker, 1, "timed out");
        p.servers.on_probe_started(1);
        p.servers.on_probe_ended(1, std::nullopt);
        p.pool.abandon(job);
        CHECK(p.servers.servers()[0].is_down);
        CHECK(p.left_alone() == one);
    }
    SECTION("none, when it has complained of all")
    {
        p.pool.on_server_failed(p.workers.asked[0].worker, 0, "timed out");
        p.pool.on_server_failed(p.workers.asked[0].worker, 1, "timed out");
        p.pool.abandon(job);
        CHECK(p.servers.servers()[1].failures == 1);
    }
    CHECK(p.workers.killed.size() == 1);
}

TEST_CASE("a request that hangs and was told to leave a server alone was waiting for another", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    const JobId job = p.check("alice");
    p.clock.advance(2s);
    p.pool.abandon(job);
    CHECK(p.is_in_doubt(1));
    CHECK(p.servers.servers()[0].failures == 1);
}

TEST_CASE("a request that had its worker for less than two seconds blames nobody", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    const JobId job = p.check("alice");
    p.clock.advance(2s - 1ns);
    p.pool.abandon(job);
    CHECK(p.workers.killed.size() == 1);
    CHECK(p.servers.servers()[1].failures == 0);
    CHECK_FALSE(p.is_in_doubt(1));
}

TEST_CASE("a request with little time blames a server after half of it", "[pool]")
{
    PoolOfServers p;
    const JobId job = p.check("alice", 1s);
    p.clock.advance(500ms - 1ns);
    SECTION("not before")
    {
        p.pool.abandon(job);
        CHECK_FALSE(p.is_in_doubt(0));
    }
    SECTION("then")
    {
        p.clock.advance(1ns);
        p.pool.abandon(job);
        CHECK(p.is_in_doubt(0));
    }
}

TEST_CASE("a request with next to no time blames nobody", "[pool]")
{
    PoolOfServers p;
    const JobId job = p.check("alice", 200ms);
    p.clock.advance(200ms);
    p.pool.abandon(job);
    CHECK_FALSE(p.is_in_doubt(0));
}

TEST_CASE("a request that nobody took yet takes no server down when it is abandoned", "[pool]")
{
    PoolOfServers p{{.workers = 1, .workers_max = 1}};
    p.check("alice");
    p.pool.abandon(p.check("bob"));
    CHECK(p.left_alone() == none);
}

TEST_CASE("a worker without work, or that has not loaded, has nothing to say of servers", "[pool]")
{
    PoolOfServers p;
    p.pool.on_server_failed(1, 0, "connection closed");
    CHECK(p.workers.killed == Ids{1});
    p.tick();
    p.pool.on_server_failed(3, 1, "");
    CHECK(p.workers.killed == Ids{1, 3});
    CHECK_FALSE(p.is_in_doubt(0));
    CHECK(p.left_alone() == none);
}

namespace {

/// Two are asked, the first worker complains of the first server, and a probe follows; or two.
void complain(PoolOfServers& p, const std::vector<Decision>& of_probes)
{
    p.check_all({"alice", "bob"});
    for (int i = 0; i < 2; ++i) {
        const auto question = p.next_question();
        if (question.worker == 1)
            p.pool.on_server_failed(1, 0, "a lie");
        p.pool.on_answer(question.worker, question.job, {Verdict::rejected, ""});
    }
    for (const Decision& decision : of_probes) {
        p.advance(15s);
        if (!p.workers.probes.empty())
            p.answer_probe(decision);
    }
}

} // namespace

TEST_CASE("a worker that alone complains of servers, which others find well, is replaced", "[pool]")
{
    PoolOfServers p;
    int complaints = 0;
    while (p.workers.killed.empty() && ++complaints < 50)
        complain(p, {{Verdict::accepted, ""}});
    CHECK(p.workers.killed == Ids{1});
    CHECK(complaints >= 5);
    CHECK(complaints < 50);
}

TEST_CASE("a worker that complains of servers that others cannot ask either is believed", "[pool]")
{
    PoolOfServers p;
    for (int i = 0; i < 20; ++i)
        complain(p, {{Verdict::unavailable, "connection refused"}, {Verdict::accepted, ""}});
    CHECK(p.workers.killed.empty());
}

TEST_CASE("probes go round, so that none is always made by the worker that is sick", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    Ids probers;
    for (int i = 0; i < 4; ++i) {
        p.advance(2s);
        probers.push_back(p.answer_probe({Verdict::unavailable, ""}));
    }
    CHECK(probers[0] != probers[1]);
    CHECK(probers == Ids{probers[0], probers[1], probers[0], probers[1]});
}

TEST_CASE("what began before a server came back does not take it down again", "[pool]")
{
    PoolOfServers p;
    const JobId job = p.check("alice");
    const WorkerId late = p.workers.asked[0].worker;
    p.fail(0);
    p.advance(250ms);
    p.answer_probe();
    p.clock.advance(2s);
    SECTION("by a failure")
    {
        p.pool.on_server_failed(late, 0, "timed out");
        CHECK(p.servers.servers()[0].failures == 2);
        CHECK(p.left_alone() == none);
    }
    SECTION("by a hang")
    {
        p.pool.abandon(job);
        CHECK(p.servers.servers()[0].failures == 2);
        CHECK_FALSE(p.is_in_doubt(0));
    }
    SECTION("by a hang on it alone")
    {
        p.pool.on_server_failed(late, 1, "timed out");
        p.pool.abandon(job);
        CHECK(p.servers.servers()[0].failures == 2);
        CHECK_FALSE(p.is_in_doubt(0));
    }
    SECTION("although what began later does")
    {
        p.answer();
        p.fail(0);
        CHECK(p.left_alone() == one);
    }
}

TEST_CASE("a preparation that began before a server came back does not take it down again", "[pool]")
{
    PoolOfServers p{{.workers = 3, .workers_max = 3}};
    p.pool.on_ended(1);
    p.tick();
    p.pool.on_ready(4, true);
    p.fail(0);
    p.advance(250ms);
    p.answer_probe();
    p.pool.on_server_failed(4, 0, "timed out");
    CHECK(p.left_alone() == none);
}

TEST_CASE("a worker that hangs while it prepares has a server doubted", "[pool]")
{
    PoolOfServers p;
    p.pool.on_ended(1);
    p.tick();
    p.pool.on_ready(3, true);
    SECTION("it is killed")
    {
        p.advance(6s);
        CHECK(p.workers.killed == Ids{3});
    }
    SECTION("it ends by itself")
    {
        p.clock.advance(4s);
        p.pool.on_ended(3);
        p.tick();
    }
    CHECK(p.servers.servers()[0].problem == "it did not answer in time");
    REQUIRE(p.workers.probes.size() == 1);
    CHECK(p.workers.probes[0].left_alone == two);
}

TEST_CASE("a pool that has one worker and gets no other probes for two seconds", "[pool]")
{
    PoolOfServers p{{.workers = 1, .workers_max = 1}};
    p.fail(0);
    p.advance(250ms);
    CHECK(p.workers.probes.front().time_left == 2s);
    CHECK(p.tick() == p.clock.now() + 3s);
}

TEST_CASE("the only worker has a request between two probes, when one waits", "[pool]")
{
    PoolAtWork p{{.workers = 1, .workers_max = 1}, {"one", "two", "three"}};
    grown_up(p).check("who finds out");
    p.pool.on_server_failed(1, 0, "");
    p.pool.on_server_failed(1, 1, "");
    p.answer();
    p.advance(250ms);
    p.check_all({"alice", "bob"});
    CHECK(p.workers.probes.size() == 1);
    p.answer_probe({Verdict::unavailable, ""});
    CHECK(p.workers.probes.empty());
    CHECK(p.user_asked() == "alice");
    p.answer();
    CHECK(p.workers.probes.size() == 1);
    CHECK(p.workers.asked.empty());
}

TEST_CASE("requests go to the last server that is up until a worker has probed it in vain", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.fail(1);
    REQUIRE(p.workers.probes.size() == 1);
    CHECK(p.workers.probes[0].left_alone == one);
    p.check("alice");
    CHECK(p.workers.asked.back().left_alone == one);
    p.answer_probe({Verdict::unavailable, "timed out"});
    CHECK(p.refusal_of("bob") == "none of its servers can be asked; two: timed out");
}

TEST_CASE("a worker that complains of a server that does not exist talks nonsense", "[pool]")
{
    PoolOfServers p;
    p.check("alice");
    const WorkerId liar = p.workers.asked[0].worker;
    p.pool.on_server_failed(liar, 2, "");
    CHECK(p.workers.killed == Ids{liar});
    CHECK(p.decided.at("alice").verdict == Verdict::unavailable);
    CHECK(p.left_alone() == none);
    p.pool.on_server_failed(liar, 0, ""); // it is condemned
    CHECK(p.left_alone() == none);
}

TEST_CASE("a backend that has no servers has none that fail", "[pool]")
{
    PoolAtWork p;
    grown_up(p).pool.on_server_failed(1, 0, "");
    CHECK(p.workers.killed == Ids{1});
    p.pool.abandon(p.check("alice"));
    CHECK(p.workers.killed == Ids{1, 2});
}

TEST_CASE("without any worker a probe waits, and nobody is woken for it", "[pool]")
{
    PoolOfServers p;
    p.fail(0);
    p.workers.has_supervisor = false;
    p.all_end();
    p.clock.advance(1h);
    CHECK(p.tick() == TimePoint::max());
    CHECK(p.workers.probes.empty());
}
