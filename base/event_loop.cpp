// SPDX-License-Identifier: BSD-2-Clause
#include "base/event_loop.hpp"

#include "base/posix_error.hpp"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <algorithm>

namespace postern {

namespace {

/// steady_clock is CLOCK_MONOTONIC, so a time point is an absolute time for timerfd. Zero would disarm, and
/// less is refused: what lies before the start of time is simply due.
itimerspec absolute_time(TimePoint when)
{
    const std::chrono::nanoseconds time = when.time_since_epoch();
    const auto since_boot = std::max<std::int64_t>(time.count(), 1);
    itimerspec spec{};
    spec.it_value.tv_sec = since_boot / 1'000'000'000;
    spec.it_value.tv_nsec = since_boot % 1'000'000'000;
    return spec;
}

} // namespace

EventLoop::EventLoop(const Clock& clock)
    : clock_{clock}
    , epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")}
    , timer_{check(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), "timerfd_create")}
{
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = nullptr; // the one entry that is no FdWatch
    check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, timer_.get(), &event), "epoll_ctl");
}

void EventLoop::run()
{
    is_running_ = true;
    while (is_running_) {
        if (turn_end_)
            turn_end_();
        if (is_running_)
            serve_events();
    }
}

void EventLoop::serve_events()
{
    arm_timer();
    const int count = ::epoll_wait(epoll_.get(), events_.data(), static_cast<int>(events_.size()), -1);
    if (count < 0 && errno != EINTR)
        throw_errno("epoll_wait");
    pending_ = std::span{events_}.first(count > 0 ? static_cast<std::size_t>(count) : 0);
    bool is_time = false;
    while (!pending_.empty()) {
        const epoll_event event = pending_.front();
        pending_ = pending_.subspan(1);
        if (event.events == 0)
            continue; // its watch was destroyed by an earlier callback of this turn
        if (event.data.ptr == nullptr) {
            is_time = true;
            continue;
        }
        static_cast<FdWatch*>(event.data.ptr)->callback_(event.events);
        if (watch_end_)
            watch_end_();
    }
    if (is_time)
        serve_timers();
}

void EventLoop::serve_timers()
{
    std::uint64_t expirations = 0;
    [[maybe_unused]] const auto got = ::read(timer_.get(), &expirations, sizeof expirations);
    armed_for_ = TimePoint::max();
    const TimePoint now = clock_.now();
    while (!timers_.empty() && timers_.begin()->first <= now) {
        Timer& timer = *timers_.begin()->second;
        timer.cancel();
        timer.callback_();
    }
}

/// Arms for the earliest timer. A timer that was cancelled leaves the descriptor armed too early, which
/// costs one idle turn; re-arming each time would cost a system call a login.
void EventLoop::arm_timer()
{
    if (timers_.empty() || timers_.begin()->first >= armed_for_)
        return;
    armed_for_ = timers_.begin()->first;
    const itimerspec spec = absolute_time(armed_for_);
    check(::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr), "timerfd_settime");
}

void EventLoop::forget(const FdWatch& watch) noexcept
{
    for (epoll_event& event : pending_)
        if (event.data.ptr == &watch)
            event.events = 0;
}

FdWatch::FdWatch(EventLoop& loop, int fd, std::uint32_t events, Callback callback)
    : loop_{loop}, fd_{fd}, events_{events}, callback_{std::move(callback)}
{
    epoll_event event{};
    event.events = events_;
    event.data.ptr = this;
    check(::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_ADD, fd_, &event), "epoll_ctl");
}

FdWatch::~FdWatch()
{
    ::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
    loop_.forget(*this);
}

void FdWatch::watch_for(std::uint32_t events)
{
    if (events == events_)
        return;
    events_ = events;
    epoll_event event{};
    event.events = events_;
    event.data.ptr = this;
    check(::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_MOD, fd_, &event), "epoll_ctl");
}

void Timer::schedule(TimePoint when)
{
    if (when == when_)
        return;
    cancel();
    if (when == TimePoint::max())
        return;
    loop_.timers_.emplace(when, this);
    when_ = when;
}

void Timer::cancel() noexcept
{
    if (when_ != TimePoint::max())
        loop_.timers_.erase({when_, this});
    when_ = TimePoint::max();
}

UniqueFd open_signal_fd(std::initializer_list<int> signals)
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals)
        sigaddset(&set, signal);
    check(::sigprocmask(SIG_BLOCK, &set, nullptr), "sigprocmask");
    return UniqueFd{check(::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC), "signalfd")};
}

int next_signal(int signal_fd)
{
    signalfd_siginfo info{};
    if (::read(signal_fd, &info, sizeof info) != sizeof info)
        return 0;
    return static_cast<int>(info.ssi_signo);
}

} // namespace postern
