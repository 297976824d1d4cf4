// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "tools/bench_client.hpp"
#include "tools/bench_logins.hpp"
#include "tools/bench_tally.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
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

/// A load on a daemon: each client begins a login as soon as it is told the end of the one before.
///
/// One thread, so that on two cores the daemon has one for itself. Runs once.
class BenchRun {
public:
    using Progress = std::function<void(const BenchTally& tally, Duration since_start)>;

    /// `progress` is called a few times a second.
    BenchRun(BenchPlan plan, const BenchLogins& logins, BenchWriter& writer, Progress progress);

    /// SIGINT and SIGTERM end it early. Throws std::system_error.
    [[nodiscard]] BenchResult run();

private:
    /// A client, and the login that it does or is about to do.
    struct Place {
        std::unique_ptr<BenchClient> client;
        std::optional<BenchLogin> login{};
        TimePoint since{};
        bool is_asking = false;
    };

    void set_up();
    void on_tick();
    void on_end(Place& place, BenchAnswer answer);
    void give_up(Place& place);
    void line_up(Place& place);
    [[nodiscard]] bool take_login(Place& place);
    void go_on();
    [[nodiscard]] bool serve(Place& place);
    void count(Place& place, BenchAnswer answer);
    [[nodiscard]] bool has_more() const;

    SystemClock clock_;
    EventLoop loop_{clock_};
    BenchPlan plan_;
    const BenchLogins& logins_;
    BenchWriter& writer_;
    Progress progress_;
    Timer tick_{loop_, [this] { on_tick(); }};
    Timer retry_{loop_, [this] { go_on(); }};
    std::vector<Place> places_;
    std::deque<Place*> waiting_; ///< for the daemon to take a connection, the first come first
    TimePoint start_{};
    std::uint64_t begun_ = 0;
    std::size_t logins_open_ = 0;
    BenchResult result_;
};

} // namespace postern
