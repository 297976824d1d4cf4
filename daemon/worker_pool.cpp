// SPDX-License-Identifier: BSD-2-Clause
//
// A pool grows when a request has waited for a moment, and as many workers as are kept have been at theirs
// for as long: a burst that they can serve costs no process, and where workers come round quickly, more of
// them would only share the same processors. It shrinks from the other end: idle workers stand on a stack,
// the one on top is asked next, and those at the bottom, which nobody has needed for a while, are let go.
//
// A worker that dies young, or never becomes ready, makes the pool wait before it starts the next one, longer
// each time, until one has given an answer. While nobody is there and nobody will be in time, requests are
// declined at once: an outage that is told late helps nobody.
#include "daemon/worker_pool.hpp"

#include <algorithm>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A worker that ends sooner than this after its start is likely to do so again.
constexpr auto early_end = 1s;

/// A worker that has not loaded its backend by then never will.
constexpr auto start_max = 10s;

/// A request that has waited for so long is worth another worker, and a worker that has been at one for so
/// long waits itself, for somebody else.
constexpr auto grows_after = 10ms;

/// Workers that are out of date again and again are not the cure.
constexpr int hand_backs_max = 3;

} // namespace

WorkerPool::WorkerPool(const Clock& clock, WorkerHost& host, std::size_t backend, const PoolConfig& config)
    : clock_{clock}, host_{host}, backend_{backend}, config_{config}
{
}

std::variant<JobId, WorkerPool::Declined> WorkerPool::check(const Request& request, TimePoint deadline,
                                                            OnDecision on_decision)
{
    const TimePoint now = clock_.now();
    const TimePoint waits_until = now + (deadline - now) / 2;
    if (const auto declined = reason_to_decline(waits_until)) {
        ++counts_.declined;
        return *declined;
    }
    const JobId job = next_job_++;
    waiting_.emplace(job, Job{&request, now, waits_until, deadline, std::move(on_decision)});
    patience_.emplace(waits_until, job);
    dispatch();
    return job;
}

std::optional<WorkerPool::Declined> WorkerPool::reason_to_decline(TimePoint waits_until) const
{
    if (waiting_.size() >= config_.queue_max)
        return Declined{"too many requests wait for it"};
    if (live_workers() > 0)
        return std::nullopt;
    if (!host_.can_start_workers())
        return Declined{"its workers have ended, and there is no supervisor to start others"};
    if (back_off_.until() > waits_until)
        return Declined{"its workers keep ending"};
    return std::nullopt;
}

void WorkerPool::abandon(JobId job)
{
    if (const auto waiting = waiting_.extract(job); !waiting.empty()) {
        patience_.erase({waiting.mapped().waits_until, job});
        return;
    }
    in_work_.erase(job);
    const auto worker = std::ranges::find_if(workers_, [job](const auto& entry) {
        return entry.second.state == State::busy && entry.second.job == job;
    });
    if (worker != workers_.end())
        condemn(worker->first);
}

void WorkerPool::on_ready(WorkerId worker)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    if (found->second.state != State::starting)
        return on_nonsense(worker);
    has_settled_ = true;
    has_been_ready_ = true;
    await_more(worker, found->second);
    dispatch();
}

void WorkerPool::on_answer(WorkerId worker, JobId job, Decision decision)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return; // its answer is too late: what it was asked is decided
    if (found->second.state != State::busy || found->second.job != job)
        return on_nonsense(worker);
    back_off_.on_success();
    ++found->second.answers;
    const bool was_last = config_.worker_requests_max > 0 &&
                          found->second.answers >= config_.worker_requests_max && host_.can_start_workers();
    if (was_last)
        retire(worker);
    else
        await_more(worker, found->second);
    decide(job, std::move(decision));
    dispatch();
}

void WorkerPool::await_more(WorkerId worker, Worker& details)
{
    details.state = State::idle;
    details.idle_since = clock_.now();
    idle_.push_back(worker);
}

/// The request keeps its place in the queue, which is the order of arrival.
void WorkerPool::on_handed_back(WorkerId worker, JobId job)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    if (found->second.state != State::busy || found->second.job != job)
        return on_nonsense(worker);
    pause_if_early(found->second);
    retire(worker);
    if (host_.can_start_workers())
        for (const WorkerId idle : std::vector{idle_}) // what was replaced was replaced for all of them
            retire(idle);
    auto returned = in_work_.extract(job);
    if (returned.empty())
        return;
    Job& details = returned.mapped();
    if (++details.hand_backs == hand_backs_max)
        return details.on_decision({Verdict::unavailable, "its workers are out of date again and again"});
    const TimePoint now = clock_.now();
    details.waits_until = std::max(details.waits_until, now + (details.deadline - now) / 2);
    patience_.emplace(details.waits_until, job);
    waiting_.insert(std::move(returned));
    dispatch();
}

void WorkerPool::on_nonsense(WorkerId worker)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    const bool was_busy = found->second.state == State::busy;
    const JobId job = found->second.job;
    pause_if_early(found->second);
    condemn(worker);
    if (was_busy)
        decide(job, {Verdict::unavailable, "its worker gave an answer that is none"});
}

void WorkerPool::on_ended(WorkerId worker)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end())
        return;
    const Worker ended = found->second;
    workers_.erase(found);
    std::erase(idle_, worker);
    has_settled_ = true;
    if (ended.state != State::condemned) {
        ++counts_.workers_lost;
        pause_if_early(ended);
    }
    if (ended.state == State::busy)
        decide(ended.job, {Verdict::unavailable, "its worker ended while it was asked"});
}

void WorkerPool::end_overdue()
{
    const TimePoint now = clock_.now();
    end_waiting(now);
    end_slow_starts(now);
    retire_idle(now);
}

/// Under a load that the workers cannot bear, each request would reach one just before its deadline, and
/// cost that worker its life for nothing. Those that would come too late make room for those that would not.
void WorkerPool::end_waiting(TimePoint now)
{
    while (!patience_.empty() && patience_.begin()->first <= now) {
        auto job = waiting_.extract(patience_.begin()->second);
        patience_.erase(patience_.begin());
        ++counts_.outwaited;
        job.mapped().on_decision({Verdict::unavailable, "no worker was free in time"});
    }
}

void WorkerPool::end_slow_starts(TimePoint now)
{
    for (const auto& [id, worker] : workers_)
        if (worker.state == State::starting && worker.started + start_max <= now) {
            pause_if_early(worker);
            condemn(id);
        }
}

void WorkerPool::retire_idle(TimePoint now)
{
    while (host_.can_start_workers() && !idle_.empty() && live_workers() > config_.workers &&
           workers_.at(idle_.front()).idle_since + config_.worker_idle <= now)
        retire(idle_.front());
}

TimePoint WorkerPool::start_missing()
{
    const TimePoint now = clock_.now();
    if (!host_.can_start_workers())
        return next_event(now);
    const std::size_t wanted = workers_wanted(now);
    if (live_workers() < wanted && now < back_off_.until())
        return std::min(next_event(now), back_off_.until());
    while (live_workers() < wanted) {
        workers_.emplace(host_.start_worker(backend_), Worker{State::starting, now});
        ++counts_.workers_started;
    }
    return next_event(now);
}

/// One is enough to find that none can work. Each that is being started is for one of those who wait.
std::size_t WorkerPool::workers_wanted(TimePoint now) const
{
    if (!has_been_ready_)
        return 1;
    const std::size_t impatient = impatient_jobs(now);
    const std::size_t starting = count_of(State::starting);
    const std::size_t more = impatient > starting ? impatient - starting : 0;
    return std::max<std::size_t>(config_.workers, std::min({live_workers() + more, workers_of_use(now),
                                                            std::size_t{config_.workers_max}}));
}

/// As many as are kept, or as many again as wait already, besides those that wait. Of workers that answer
/// once, everybody needs one.
std::size_t WorkerPool::workers_of_use(TimePoint now) const
{
    if (config_.worker_requests_max == 1)
        return config_.workers_max;
    const auto held_up = static_cast<std::size_t>(std::ranges::count_if(workers_, [now](const auto& entry) {
        return entry.second.state == State::busy && entry.second.busy_since + grows_after <= now;
    }));
    return held_up + std::max<std::size_t>(config_.workers, held_up);
}

std::size_t WorkerPool::impatient_jobs(TimePoint now) const
{
    std::size_t count = 0;
    for (auto job = waiting_.begin(); job != waiting_.end() && count < config_.workers_max; ++job, ++count)
        if (job->second.arrived + grows_after > now)
            break;
    return count;
}

TimePoint WorkerPool::next_event(TimePoint now) const
{
    TimePoint next = patience_.empty() ? TimePoint::max() : patience_.begin()->first;
    for (const auto& [id, worker] : workers_)
        if (worker.state == State::starting)
            next = std::min(next, worker.started + start_max);
    if (host_.can_start_workers() && !idle_.empty() && live_workers() > config_.workers)
        next = std::min(next, workers_.at(idle_.front()).idle_since + config_.worker_idle);
    return std::min(next, next_growth(now));
}

/// When one more of those who wait is worth a worker, or one more worker waits itself.
TimePoint WorkerPool::next_growth(TimePoint now) const
{
    if (waiting_.empty() || !has_been_ready_ || !host_.can_start_workers() ||
        live_workers() >= config_.workers_max)
        return TimePoint::max();
    TimePoint next = TimePoint::max();
    const auto consider = [&next, now](TimePoint since) {
        if (since + grows_after > now)
            next = std::min(next, since + grows_after);
    };
    if (const std::size_t impatient = impatient_jobs(now); impatient < waiting_.size())
        consider(std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(impatient))->second.arrived);
    for (const auto& [id, worker] : workers_)
        if (worker.state == State::busy)
            consider(worker.busy_since);
    return next == TimePoint::max() ? next : std::max(next, back_off_.until());
}

/// The one that has waited longest, and may still: what is overdue is ended in its own time.
WorkerPool::WaitingJob WorkerPool::next_waiting()
{
    const TimePoint now = clock_.now();
    return std::ranges::find_if(waiting_,
                                [now](const auto& entry) { return entry.second.waits_until > now; });
}

void WorkerPool::dispatch()
{
    while (!idle_.empty()) {
        const auto next = next_waiting();
        if (next == waiting_.end())
            return;
        const WorkerId worker = idle_.back();
        idle_.pop_back();
        if (!give(worker, next->first, next->second))
            continue; // the worker is gone; the request keeps its turn
        patience_.erase({next->second.waits_until, next->first});
        in_work_.insert(waiting_.extract(next));
    }
}

bool WorkerPool::give(WorkerId worker, JobId job, const Job& details)
{
    Worker& chosen = workers_.at(worker);
    if (!host_.ask(worker, job, details.deadline - clock_.now(), *details.request)) {
        pause_if_early(chosen);
        condemn(worker);
        return false;
    }
    chosen.state = State::busy;
    chosen.busy_since = clock_.now();
    chosen.job = job;
    return true;
}

void WorkerPool::condemn(WorkerId worker)
{
    workers_.at(worker).state = State::condemned;
    ++counts_.workers_lost;
    std::erase(idle_, worker);
    host_.kill_worker(worker);
}

void WorkerPool::retire(WorkerId worker)
{
    workers_.erase(worker);
    std::erase(idle_, worker);
    host_.retire_worker(worker);
}

void WorkerPool::pause_if_early(const Worker& worker)
{
    if (worker.state == State::starting || clock_.now() - worker.started < early_end)
        back_off_.on_failure(clock_.now());
}

void WorkerPool::decide(JobId job, Decision decision)
{
    auto decided = in_work_.extract(job);
    if (!decided.empty())
        decided.mapped().on_decision(std::move(decision));
}

std::size_t WorkerPool::count_of(State state) const noexcept
{
    return static_cast<std::size_t>(
        std::ranges::count_if(workers_, [state](const auto& entry) { return entry.second.state == state; }));
}

std::size_t WorkerPool::live_workers() const noexcept
{
    return workers_.size() - count_of(State::condemned);
}

} // namespace postern
