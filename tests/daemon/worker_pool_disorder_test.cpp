// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker_pool.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/scripted_workers.hpp"

#include <random>
#include <ranges>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// Workers that take, answer, hang, are out of date and die when chance wants it, and are heard later.
class DisorderlyWorkers final : public WorkerHost {
public:
    [[nodiscard]] bool can_start_workers() const override { return true; }

    WorkerId start_worker(std::size_t) override
    {
        living_[++last_];
        say(last_, [this, id = last_](WorkerPool& pool) { pool.on_ready(id); });
        return last_;
    }

    void kill_worker(WorkerId worker) override { die(worker); }

    void retire_worker(WorkerId worker) override
    {
        living_.erase(worker);
        news_.erase(worker);
    }

    bool ask(WorkerId worker, JobId job, Duration, ServerSet, const Request& request) override
    {
        living_[worker].queue.push_back({job, request.user});
        CHECK(living_[worker].queue.size() <= 8); // as many places as a TaskQueue has
        return true;
    }

    std::size_t take_back(WorkerId worker, std::size_t most) override
    {
        std::size_t count = 0;
        for (Task& task : living_[worker].queue | std::views::reverse)
            if (count < most && !task.is_taken_back) {
                task.is_taken_back = true;
                ++count;
            }
        return count;
    }

    bool prepare(WorkerId, Duration, ServerSet) override { return false; }
    bool probe(WorkerId, JobId, Duration, ServerSet) override { return false; }

    /// One that comes to its next request. A request is come to once, unless it is handed back.
    void take(WorkerId worker)
    {
        Worker& details = living_[worker];
        while (!details.at && !details.queue.empty() && details.queue.front().is_taken_back)
            details.queue.pop_front();
        if (details.at || details.is_dead || details.queue.empty())
            return;
        details.at = details.queue.front();
        details.queue.pop_front();
        CHECK(++come_to[details.at->user] == 1);
    }

    void answer(WorkerId worker)
    {
        Worker& details = living_[worker];
        if (!details.at || details.is_dead)
            return;
        const JobId job = std::exchange(details.at, std::nullopt)->job;
        say(worker, [worker, job](WorkerPool& pool) {
            pool.on_answer(worker, job, {Verdict::accepted, ""});
        });
    }

    void hand_back(WorkerId worker)
    {
        Worker& details = living_[worker];
        if (!details.at || details.is_dead)
            return;
        details.is_dead = true;
        --come_to[details.at->user];
        say(worker, [worker, job = details.at->job](WorkerPool& pool) { pool.on_handed_back(worker, job); });
    }

    void die(WorkerId worker)
    {
        if (const auto found = living_.find(worker); found != living_.end() && !found->second.has_ended) {
            found->second.is_dead = found->second.has_ended = true;
            say(worker, [worker](WorkerPool& pool) { pool.on_ended(worker); });
        }
    }

    /// What it said first that has not been heard.
    void hear(WorkerId worker, WorkerPool& pool)
    {
        const auto found = news_.find(worker);
        if (found == news_.end())
            return;
        const auto next = found->second.front();
        found->second.pop_front();
        if (found->second.empty())
            news_.erase(found);
        next(pool);
    }

    template <typename Random>
    std::optional<WorkerId> anybody(Random& random) const
    {
        if (living_.empty())
            return std::nullopt;
        return std::next(living_.begin(), static_cast<std::ptrdiff_t>(random() % living_.size()))->first;
    }

    std::map<std::string, int> come_to;

private:
    struct Task {
        JobId job;
        std::string user;
        bool is_taken_back = false; ///< and passed over in its time
    };

    struct Worker {
        std::deque<Task> queue{};
        std::optional<Task> at{};
        bool is_dead = false;
        bool has_ended = false;
    };

    void say(WorkerId worker, std::function<void(WorkerPool&)> news)
    {
        news_[worker].push_back(std::move(news));
    }

    WorkerId last_ = 0;
    std::map<WorkerId, Worker> living_;
    std::map<WorkerId, std::deque<std::function<void(WorkerPool&)>>> news_;
};

/// A pool of those, and who asks it.
struct Disorder {
    explicit Disorder(std::uint32_t seed) : random{seed} {}

    void step()
    {
        clock.advance(std::chrono::microseconds{random() % 200});
        const auto worker = workers.anybody(random);
        const auto what = random() % 100;
        if (what < 25)
            ask();
        else if (what < 28)
            abandon_one();
        else if (worker)
            act(*worker, what);
        tick();
    }

    void act(WorkerId worker, std::uint_fast32_t what)
    {
        if (what < 54)
            workers.take(worker);
        else if (what < 78)
            workers.answer(worker);
        else if (what < 97)
            workers.hear(worker, pool);
        else if (what < 98)
            workers.hand_back(worker);
        else
            workers.die(worker);
    }

    /// Nobody asks any more, and nobody is in disorder.
    void settle()
    {
        for (int i = 0; i < 100'000 && !awaited.empty(); ++i) {
            clock.advance(1ms);
            if (const auto worker = workers.anybody(random)) {
                workers.take(*worker);
                workers.answer(*worker);
                workers.hear(*worker, pool);
            }
            tick();
        }
    }

    void tick()
    {
        pool.end_overdue();
        static_cast<void>(pool.start_missing());
    }

    void ask()
    {
        const std::string user = std::to_string(asked.size());
        asked.push_back({user, {}, "smtp", "", ""});
        const auto taken =
            pool.check(asked.back(), clock.now() + 60s, [this, user](const Decision& decision) {
                CHECK(awaited.erase(user) == 1);
                if (decision.verdict == Verdict::accepted ||
                    decision.reason.find("again and again") != std::string::npos)
                    return;
                CHECK(workers.come_to[user] == 1);
            });
        if (const auto* const job = std::get_if<JobId>(&taken))
            awaited[user] = *job;
    }

    void abandon_one()
    {
        if (awaited.empty())
            return;
        const auto some = std::next(awaited.begin(), static_cast<std::ptrdiff_t>(random() % awaited.size()));
        const JobId job = some->second;
        awaited.erase(some);
        pool.abandon(job);
    }

    std::mt19937 random;
    ManualClock clock;
    RecordingLog log;
    DisorderlyWorkers workers;
    ServerHealth servers{clock, log, [](std::uint32_t bound) { return bound / 2; }, "staff", {}};
    WorkerPool pool{clock, workers, 0, {.workers = 3, .workers_max = 6, .worker_requests_max = 40}, servers};
    std::deque<Request> asked;
    std::map<std::string, JobId> awaited;
};

} // namespace

TEST_CASE("whatever becomes of workers, a request is come to by one of them, and decided once", "[pool]")
{
    const auto seed = GENERATE(range(1U, 21U));
    CAPTURE(seed);
    Disorder disorder{seed};
    for (int i = 0; i < 5000; ++i)
        disorder.step();
    disorder.settle();
    CHECK(disorder.awaited.empty());
    CHECK(disorder.asked.size() > 1000);
    CHECK(disorder.workers.come_to.size() > 500);
}
