// SPDX-License-Identifier: BSD-2-Clause
//
// A daemon with a short queue, as saslauthd, has no room for as many clients as one likes, and a connection
// that does not wait is told so and nothing else: there is no event for room. So those that found none stand
// in a line of their own, and its head tries whenever a login has ended, which is when room comes to be.
#include "tools/bench_run.hpp"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr Duration tick_period = 100ms;
constexpr Duration retry_period = 1ms;

/// Each client has a descriptor.
void raise_descriptor_limit()
{
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

} // namespace

BenchRun::BenchRun(BenchPlan plan, const BenchLogins& logins, BenchWriter& writer, Progress progress)
    : plan_{std::move(plan)}, logins_{logins}, writer_{writer}, progress_{std::move(progress)}
{
}

BenchResult BenchRun::run()
{
    const UniqueFd signals = open_signal_fd({SIGINT, SIGTERM});
    const FdWatch interruption{loop_, signals.get(), EPOLLIN, [&](std::uint32_t) {
                                   result_.ended_by = next_signal(signals.get());
                                   loop_.stop();
                               }};
    set_up();
    start_ = clock_.now();
    for (Place& place : places_)
        line_up(place);
    retry_.schedule(start_);
    tick_.schedule(start_ + tick_period);
    loop_.run();
    return std::move(result_);
}

void BenchRun::set_up()
{
    raise_descriptor_limit();
    places_.resize(plan_.clients);
    for (Place& place : places_) {
        place.client = make_bench_client(loop_, plan_.protocol, plan_.socket, writer_,
                                         [this, &place](BenchAnswer answer) { on_end(place, answer); });
        place.client->prepare();
    }
}

void BenchRun::on_tick()
{
    const TimePoint now = clock_.now();
    for (Place& place : places_)
        if (place.login && now - place.since > plan_.patience)
            give_up(place);
    go_on();
    progress_(result_.tally, now - start_);
    tick_.schedule(now + tick_period);
}

void BenchRun::on_end(Place& place, BenchAnswer answer)
{
    place.is_asking = false;
    count(place, answer);
    line_up(place);
    go_on();
}

/// Also of one that waits for the daemon to take its connection, and goes on waiting with another login.
void BenchRun::give_up(Place& place)
{
    place.client->give_up();
    count(place, BenchAnswer::lost);
    if (std::exchange(place.is_asking, false))
        line_up(place);
    else
        static_cast<void>(take_login(place));
}

/// From now on its next login takes time, whether the daemon has room or not.
void BenchRun::line_up(Place& place)
{
    if (take_login(place))
        waiting_.push_back(&place);
}

/// False: there are no more.
bool BenchRun::take_login(Place& place)
{
    if (!has_more())
        return false;
    place.login = logins_.at(begun_++);
    place.since = clock_.now();
    ++logins_open_;
    return true;
}

/// Serves those that wait, as far as the daemon takes them.
void BenchRun::go_on()
{
    while (!waiting_.empty() && serve(*waiting_.front()))
        waiting_.pop_front();
    if (!waiting_.empty() && !retry_.is_scheduled())
        retry_.schedule(clock_.now() + retry_period);
    if (logins_open_ == 0 && !has_more())
        loop_.stop();
}

/// False: it has to wait. A client that finds no way to the daemon waits too, lest a daemon that is gone is
/// asked as fast as this program can.
bool BenchRun::serve(Place& place)
{
    if (!place.login)
        return true; // it was given up, and there are no more
    const BenchClient::Begun begun = place.client->begin(*place.login);
    if (begun == BenchClient::Begun::lost) {
        count(place, BenchAnswer::lost);
        static_cast<void>(take_login(place));
    }
    place.is_asking = begun == BenchClient::Begun::yes;
    return place.is_asking;
}

void BenchRun::count(Place& place, BenchAnswer answer)
{
    const TimePoint now = clock_.now();
    result_.tally.add(answer, place.login->is_right, now - place.since);
    result_.took = now - start_;
    place.login.reset();
    --logins_open_;
}

bool BenchRun::has_more() const
{
    return (!plan_.logins_max || begun_ < *plan_.logins_max) &&
           (!plan_.time_max || clock_.now() - start_ < *plan_.time_max);
}

} // namespace postern
