// SPDX-License-Identifier: BSD-2-Clause
//
// A client waits in the kernel, in the daemon's line or for its answer, and does not look at the time there:
// a limit on how long these calls may take would cost each login calls that no real client makes. So the
// thread that shows the progress looks at all of them, and sends a signal to those that have waited too long,
// or to all when it is over. One that comes just before the call is lost; there is one more with each look.
#include "tools/bench_run.hpp"

#include "base/event_loop.hpp"
#include "base/posix_error.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr Duration look_period = 100ms;
constexpr Duration pause_after_loss = 1ms; ///< lest a daemon that is gone is asked as fast as this can
constexpr int nudge = SIGUSR1;

/// Nothing is done then, and no call goes on by itself. Whoever started this may have blocked them.
void catch_nudges()
{
    struct sigaction action {};
    action.sa_handler = [](int) {};
    check(::sigaction(nudge, &action, nullptr), "sigaction");
    sigset_t nudges;
    ::sigemptyset(&nudges);
    ::sigaddset(&nudges, nudge);
    ::pthread_sigmask(SIG_UNBLOCK, &nudges, nullptr);
}

/// Each client has a descriptor.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/// Of threads that are made from now on.
void make_stacks_small()
{
    constexpr std::size_t stack_bytes = 256 * 1024;
    pthread_attr_t attributes;
    ::pthread_attr_init(&attributes);
    ::pthread_attr_setstacksize(&attributes, stack_bytes);
    ::pthread_setattr_default_np(&attributes);
    ::pthread_attr_destroy(&attributes);
}

} // namespace

BenchRun::BenchRun(BenchPlan plan, const BenchLogins& logins, const BenchWriter& writer, SecretArena& secrets,
                   Progress progress)
    : plan_{std::move(plan)}, logins_{logins}, progress_{std::move(progress)}, places_(plan_.clients)
{
    for (Place& place : places_)
        place.client = make_bench_client(plan_.protocol, plan_.socket, writer, secrets,
                                         [this, &place] { return gives_up(place, clock_.now()); });
}

BenchResult BenchRun::run()
{
    const UniqueFd signals = open_signal_fd({SIGINT, SIGTERM}); // which no thread gets
    catch_nudges();
    raise_descriptor_limit();
    make_stacks_small();
    for (Place& place : places_)
        start(place);
    while (!is_done())
        look(signals.get());
    return result();
}

void BenchRun::start(Place& place)
try {
    place.thread = std::jthread{[this, &place] { work(place); }};
} catch (...) { // the others wait for it
    leave(place, std::current_exception());
}

/// The life of a thread.
void BenchRun::work(Place& place) noexcept
try {
    place.since = clock_.now();
    place.client->prepare();
    wait_for_start();
    log_in(place);
    leave(place, nullptr);
} catch (...) {
    leave(place, std::current_exception());
}

/// With trouble, all is over.
void BenchRun::leave(Place& place, std::exception_ptr trouble)
{
    const std::lock_guard lock{mutex_};
    is_over_ = is_over_ || trouble;
    place.trouble = std::move(trouble);
    ++ended_;
    changed_.notify_all();
}

/// The clock starts when all are ready.
void BenchRun::wait_for_start()
{
    std::unique_lock lock{mutex_};
    if (++ready_ == places_.size()) {
        start_ = clock_.now();
        changed_.notify_all();
    }
    changed_.wait(lock, [this] { return ready_ == places_.size() || is_over_; });
}

void BenchRun::log_in(Place& place)
{
    while (true) {
        const TimePoint begin = clock_.now();
        const auto login = next_login(begin);
        if (!login)
            return;
        place.since.store(begin, std::memory_order_relaxed);
        const BenchAnswer answer = place.client->log_in(*login);
        if (is_over_.load(std::memory_order_relaxed))
            return;
        place.last_end = clock_.now();
        place.tally.add(answer, login->is_right, place.last_end - begin);
        place.logins.store(place.tally.logins(), std::memory_order_relaxed);
        place.answered.store(place.tally.latencies.count(), std::memory_order_relaxed);
        if (answer == BenchAnswer::lost)
            std::this_thread::sleep_for(pause_after_loss);
    }
}

/// Nothing: there are no more.
std::optional<BenchLogin> BenchRun::next_login(TimePoint now)
{
    if (is_over_.load(std::memory_order_relaxed) ||
        (plan_.time_max && now - start_.load(std::memory_order_relaxed) >= *plan_.time_max))
        return std::nullopt;
    const std::uint64_t number = next_.number.fetch_add(1, std::memory_order_relaxed);
    return !plan_.logins_max || number < *plan_.logins_max ? std::optional{logins_.at(number)} : std::nullopt;
}

bool BenchRun::gives_up(const Place& place, TimePoint now) const
{
    return is_over_ || now - place.since.load() > plan_.patience;
}

/// Within the time from one look to the next.
bool BenchRun::is_done()
{
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, look_period, [this] { return ended_ == places_.size(); });
}

void BenchRun::look(int signals)
{
    if (const int signal = next_signal(signals); signal != 0) {
        const std::lock_guard lock{mutex_};
        ended_by_ = signal;
        is_over_ = true;
        changed_.notify_all();
    }
    const TimePoint now = clock_.now();
    std::uint64_t logins = 0;
    std::uint64_t answered = 0;
    for (Place& place : places_) {
        if (place.thread.joinable() && gives_up(place, now))
            ::pthread_kill(place.thread.native_handle(), nudge);
        logins += place.logins;
        answered += place.answered;
    }
    if (start_.load() != TimePoint{})
        progress_(logins, answered, now - start_.load());
}

BenchResult BenchRun::result() const
{
    BenchResult result;
    result.ended_by = ended_by_;
    TimePoint last_end = start_;
    for (const Place& place : places_) {
        if (place.trouble)
            std::rethrow_exception(place.trouble);
        result.tally.add(place.tally);
        last_end = std::max(last_end, place.last_end);
    }
    result.took = last_end - start_.load();
    return result;
}

} // namespace postern
