// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "tools/bench_client.hpp"
#include "tools/bench_logins.hpp"
#include "tools/bench_tally.hpp"

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace postern {

/// How much load, and for how long: until the logins or the time are used up, whichever is first.
struct BenchPlan {
    BenchProtocol protocol = BenchProtocol::saslauthd;
    std::string socket;
    std::size_t clients = 1;
    std::optional<std::uint64_t> logins_max;
    std::optional<Duration> time_max; ///< after it, no login begins
    Duration patience{};              ///< for an answer; then the login is lost
};

struct BenchResult {
    BenchTally tally;
    Duration took{};  ///< from the first login's beginning to the last one's end
    int ended_by = 0; ///< a signal that came before the end: what was in work then is not counted
};

/// A load on a daemon: each client is a thread, and begins a login as soon as the one before has ended.
///
/// What the threads share in a login's path is the number of the next one. Runs once.
class BenchRun {
public:
    using Progress = std::function<void(std::uint64_t logins, std::uint64_t answered, Duration since_start)>;

    /// `secrets` has a free slot for each client. `progress` is called a few times a second, from run().
    BenchRun(BenchPlan plan, const BenchLogins& logins, const BenchWriter& writer, SecretArena& secrets,
             Progress progress);

    /// SIGINT and SIGTERM end it early; SIGUSR1 is its own from then on. Throws std::system_error, and what
    /// a client throws.
    [[nodiscard]] BenchResult run();

private:
    /// A client and its thread, to which all of it belongs until it has ended; others look at the atomics.
    struct alignas(cache_line_bytes) Place {
        std::unique_ptr<BenchClient> client;
        BenchTally tally{};
        TimePoint last_end{};
        std::exception_ptr trouble;
        std::atomic<TimePoint> since{}; ///< when its login began
        std::atomic<std::uint64_t> logins{0};
        std::atomic<std::uint64_t> answered{0};
        std::jthread thread;
    };

    struct alignas(cache_line_bytes) Next {
        std::atomic<std::uint64_t> number{0};
    };

    void start(Place& place);
    void work(Place& place) noexcept;
    void leave(Place& place, std::exception_ptr trouble);
    void wait_for_start();
    void log_in(Place& place);
    [[nodiscard]] std::optional<BenchLogin> next_login(TimePoint now);
    [[nodiscard]] bool gives_up(const Place& place, TimePoint now) const;
    [[nodiscard]] bool is_done();
    void look(int signals);
    [[nodiscard]] BenchResult result() const;

    Next next_;
    SystemClock clock_;
    BenchPlan plan_;
    const BenchLogins& logins_;
    Progress progress_;
    int ended_by_ = 0;
    std::mutex mutex_; ///< of the next three, and of changes of the two behind them; in no login's path
    std::condition_variable changed_;
    std::size_t ready_ = 0;
    std::size_t ended_ = 0;
    std::atomic<TimePoint> start_{}; ///< when all were ready
    std::atomic<bool> is_over_{false};
    std::vector<Place> places_; ///< the first to go: each waits for its thread
};

} // namespace postern
