// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <set>
#include <span>
#include <utility>

namespace postern {

class FdWatch;
class Timer;

/// Waits for descriptors (epoll) and for moments in time (timerfd), and calls whoever asked for them.
///
/// One thread. Watches and timers register themselves for as long as they live, and may be destroyed from
/// within any callback. What a callback throws leaves run().
class EventLoop {
public:
    explicit EventLoop(const Clock& clock);
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    /// Serves events until stop().
    void run();

    void stop() noexcept { is_running_ = false; }

    /// Called after each turn, when all that had happened has been served, and before the first.
    void at_turn_end(std::function<void()> callback) { turn_end_ = std::move(callback); }

    /// Called after each callback of a watch: for what is not to wait until the others have had theirs.
    void after_each_watch(std::function<void()> callback) { watch_end_ = std::move(callback); }

    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }

private:
    friend class FdWatch;
    friend class Timer;
    using Entry = std::pair<TimePoint, Timer*>;

    void serve_events();
    void serve_timers();
    void arm_timer();
    void forget(const FdWatch& watch) noexcept;

    const Clock& clock_;
    UniqueFd epoll_;
    UniqueFd timer_;
    std::set<Entry> timers_;
    TimePoint armed_for_ = TimePoint::max();
    std::array<epoll_event, 256> events_{};
    std::span<epoll_event> pending_; ///< of the current turn, not yet served
    std::function<void()> turn_end_;
    std::function<void()> watch_end_;
    bool is_running_ = false;
};

/// Calls `callback` with the EPOLL* bits that `fd` shows. Borrows the descriptor, which must stay open.
class FdWatch {
public:
    using Callback = std::function<void(std::uint32_t events)>;

    FdWatch(EventLoop& loop, int fd, std::uint32_t events, Callback callback);
    FdWatch(const FdWatch&) = delete;
    FdWatch& operator=(const FdWatch&) = delete;
    ~FdWatch();

    void watch_for(std::uint32_t events);

private:
    friend class EventLoop;
    EventLoop& loop_;
    int fd_;
    std::uint32_t events_;
    Callback callback_;
};

/// Calls `callback` once when its time has come; schedule() again moves it.
class Timer {
public:
    Timer(EventLoop& loop, std::function<void()> callback) : loop_{loop}, callback_{std::move(callback)} {}

    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    ~Timer() { cancel(); }

    void schedule(TimePoint when);
    void cancel() noexcept;
    [[nodiscard]] bool is_scheduled() const noexcept { return when_ != TimePoint::max(); }

private:
    friend class EventLoop;
    EventLoop& loop_;
    std::function<void()> callback_;
    TimePoint when_ = TimePoint::max(); ///< max: not scheduled
};

/// Blocks the signals and returns a descriptor that reports them: no handler ever runs.
[[nodiscard]] UniqueFd open_signal_fd(std::initializer_list<int> signals);

/// The next signal waiting in a descriptor of open_signal_fd(), or 0.
[[nodiscard]] int next_signal(int signal_fd);

} // namespace postern
