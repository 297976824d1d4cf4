// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "daemon/workforce.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/scripted_workers.hpp"

#include <sys/socket.h>

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// The workers of a front with one backend, whose supervisor and whose workers are the test.
class Force {
public:
    explicit Force(const PoolConfig& config = {.workers = 1, .workers_max = 1, .worker_requests_max = 0})
        : backends_{{"local", "sasldb", config}}
    {
        tick();
    }

    void tick()
    {
        force.end_overdue();
        static_cast<void>(force.start_missing());
    }

    /// The one that was asked for last has been started, and is loaded. Returns its end of the channel.
    MessageSocket& start()
    {
        auto [front, worker] = make_message_sockets();
        TaskQueue::Ends tasks = TaskQueue::make();
        tasks_.emplace_back(std::move(tasks.taker), tasks.page.get());
        force.on_started({started.back(), 100 + static_cast<std::uint32_t>(started.back())}, std::move(front),
                         std::move(tasks.giver), tasks.page);
        ends_.push_back(std::move(worker));
        say(WorkerReady{});
        run_until(
            [this] { return pool().workers().at(started.back()).state != WorkerTable::State::starting; });
        return ends_.back();
    }

    /// The last one says it.
    void say(const WorkerMessage& message)
    {
        std::array<char, 2048> memory{};
        REQUIRE(ends_.back().send(write_worker_message(memory, message)));
    }

    /// The last one takes what it is to do next.
    void take_task()
    {
        std::array<char, 2048> memory{};
        REQUIRE(tasks_.back().take(memory).state == MessageSocket::Received::message);
    }

    /// It was asked this, and answers.
    void accept(JobId job) { say(Answer{job, {Verdict::accepted, ""}}); }

    template <typename Condition>
    void run_until(Condition condition)
    {
        loop.at_turn_end([this, condition] {
            if (condition())
                loop.stop();
        });
        loop.run();
    }

    JobId check(const std::string& user)
    {
        asked_.push_back(requests_.of(user));
        const auto taken = pool().check(asked_.back(), clock.now() + 8s, [this, user](Decision decision) {
            decided[user] = decision.verdict;
        });
        REQUIRE(std::holds_alternative<JobId>(taken));
        return std::get<JobId>(taken);
    }

    [[nodiscard]] WorkerPool& pool() { return force.pools().front(); }

    ManualClock clock;
    RecordingLog log;
    std::vector<WorkerId> started, killed;
    std::map<std::string, Verdict> decided;

private:
    void hear(const FrontMessage& message)
    {
        if (const auto* const start = std::get_if<StartWorker>(&message))
            started.push_back(start->worker);
        if (const auto* const kill = std::get_if<KillWorker>(&message))
            killed.push_back(kill->worker);
    }

    EventLoop loop{clock};
    SecretArena secrets_{worker_message_bytes_max(1024), 2};
    Requests requests_;
    std::vector<PoolSetup> backends_;
    std::deque<MessageSocket> ends_; ///< of the workers
    std::deque<TaskTaker> tasks_;    ///< the same
    std::deque<Request> asked_;

public:
    Workforce force{loop,
                    log,
                    secrets_,
                    [](std::uint32_t bound) { return bound / 2; },
                    [this](const FrontMessage& message) { hear(message); },
                    backends_};
};

} // namespace

TEST_CASE("the last words of a worker are heard, although the news of its end come first", "[workforce]")
{
    Force f;
    f.start();
    f.say(WorkerLogLine{LogLevel::error, "the disk is full"});
    f.say(WorkerLogLine{LogLevel::error, "so I end"});
    f.force.on_ended(1);
    CHECK(f.log.lines == std::vector<std::string>{"3 the disk is full", "3 so I end"});
    CHECK(f.pool().workers().empty());
}

TEST_CASE("an answer counts although the news of its worker's end come first", "[workforce]")
{
    Force f;
    f.start();
    const JobId job = f.check("alice");
    f.check("bob");
    f.accept(job);
    f.force.on_ended(1);
    CHECK(f.decided.at("alice") == Verdict::accepted);
    CHECK_FALSE(f.decided.contains("bob")); // who is not asked of the dead
    f.clock.advance(1s);
    f.tick();
    CHECK(f.started == std::vector<WorkerId>{1, 2});
    f.start();
    CHECK(f.pool().waiting() == 0);
}

TEST_CASE("of a worker that has ended no more is read than may have been on its way", "[workforce]")
{
    Force f;
    MessageSocket& worker = f.start();
    std::array<char, 2048> memory{};
    const auto line = write_worker_message(memory, WorkerLogLine{LogLevel::debug, "again"});
    const int much = 400'000;
    check(::setsockopt(worker.fd(), SOL_SOCKET, SO_SNDBUF, &much, sizeof much), "setsockopt");
    worker.set_non_blocking();
    int sent = 0;
    while (worker.send(line))
        ++sent;
    REQUIRE(sent > 256);
    f.force.on_ended(1);
    CHECK(f.log.lines.size() == 256);
    CHECK(f.pool().workers().empty());
}

TEST_CASE("without a supervisor a worker that speaks nonsense is heard no more", "[workforce]")
{
    Force f;
    MessageSocket& worker = f.start();
    SECTION("whoever was asked to kill it has gone")
    {
        f.pool().on_nonsense(1);
        f.force.on_supervisor_lost();
    }
    SECTION("nobody is there to be asked")
    {
        f.force.on_supervisor_lost();
        REQUIRE(worker.send("\xff nonsense"));
        f.run_until([&f] { return f.pool().workers().at(1).state == WorkerTable::State::condemned; });
        CHECK(f.killed.empty());
    }
    f.tick();
    CHECK(f.pool().workers().empty());
    std::array<char, 16> buffer{};
    CHECK(worker.receive(buffer).state == MessageSocket::Received::end);
}

TEST_CASE("a worker that writes without end fills no log, and it is said how much is missing", "[workforce]")
{
    Force f;
    f.start();
    const auto write = [&f](int lines) {
        for (int i = 0; i < lines; ++i) {
            f.say(WorkerLogLine{LogLevel::error, "again"});
            f.say(WorkerReady{.must_prepare = true}); // which is answered: the line was read
            f.run_until([&f] { return f.pool().workers().at(1).state == WorkerTable::State::preparing; });
            f.take_task();
            f.say(WorkerReady{});
            f.run_until([&f] { return f.pool().workers().at(1).state == WorkerTable::State::idle; });
        }
    };
    write(210);
    CHECK(f.log.lines.size() == 200);
    f.clock.advance(20ms);
    write(2);
    REQUIRE(f.log.lines.size() == 202);
    CHECK(f.log.lines[200] == "4 worker 101 (local) wrote too much: 10 lines were dropped");
    CHECK(f.log.lines[201] == "3 again");
    f.force.on_ended(1);
    CHECK(f.log.lines.back() == "4 worker 101 (local) wrote too much: 1 lines were dropped");
}

TEST_CASE("who is silent for a while may write as much at once as at the start, and no more", "[workforce]")
{
    ManualClock clock;
    LineBudget budget;
    const auto lines = [&] {
        int count = 0;
        while (budget.take(clock.now()))
            ++count;
        return count;
    };
    CHECK(lines() == 200);
    clock.advance(1s);
    CHECK(lines() == 50);
    clock.advance(1h);
    CHECK(lines() == 200);
    CHECK(budget.take_missing() == 3);
    CHECK(budget.take_missing() == 0);
}
