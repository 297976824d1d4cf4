// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker_pool.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A worker that ends sooner than this after its start, or before it was ready, is likely to do so again.
constexpr auto pause_after_early_end = 1s;

/// A worker that has not loaded its backend by then never will.
constexpr auto start_max = 10s;

} // namespace

WorkerPool::WorkerPool(const Clock& clock, WorkerHost& host, Settings settings)
    : clock_{clock}, host_{host}, settings_{settings}
{
}

std::optional<JobId> WorkerPool::check(const Request& request, TimePoint deadline, OnDecision on_decision)
{
    if (waiting_.size() >= settings_.queue_max)
        return std::nullopt;
    const JobId job = next_job_++;
    const TimePoint now = clock_.now();
    const TimePoint waits_until = now + (deadline - now) / 2;
    waiting_.emplace(job, Job{&request, waits_until, deadline, std::move(on_decision)});
    patience_.emplace(waits_until, job);
    dispatch();
    return job;
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
    found->second.state = State::idle;
    idle_.push_back(worker);
    has_settled_ = true;
    has_been_ready_ = true;
    dispatch();
}

void WorkerPool::on_answer(WorkerId worker, JobId job, Decision decision)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return; // its answer is too late: what it was asked is decided
    if (found->second.state != State::busy || found->second.job != job)
        return on_nonsense(worker);
    found->second.state = State::idle;
    idle_.push_back(worker);
    decide(job, std::move(decision));
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
    if (ended.state != State::condemned)
        pause_if_early(ended);
    if (ended.state == State::busy)
        decide(ended.job, {Verdict::unavailable, "its worker ended while it was asked"});
}

void WorkerPool::end_overdue()
{
    const TimePoint now = clock_.now();
    end_waiting(now);
    end_slow_starts(now);
}

/// Under a load that the workers cannot bear, each request would reach one just before its deadline, and
/// cost that worker its life for nothing. Those that would come too late make room for those that would not.
void WorkerPool::end_waiting(TimePoint now)
{
    while (!patience_.empty() && patience_.begin()->first <= now) {
        auto job = waiting_.extract(patience_.begin()->second);
        patience_.erase(patience_.begin());
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

TimePoint WorkerPool::start_missing()
{
    const TimePoint now = clock_.now();
    const std::size_t wanted =
        has_been_ready_ ? settings_.workers : 1; // one is enough to find that none can work
    if (live_workers() < wanted && now < no_start_before_)
        return std::min(next_overdue(), no_start_before_);
    while (live_workers() < wanted)
        workers_.emplace(host_.start_worker(settings_.backend), Worker{State::starting, now, 0});
    return next_overdue();
}

TimePoint WorkerPool::next_overdue() const
{
    TimePoint next = patience_.empty() ? TimePoint::max() : patience_.begin()->first;
    for (const auto& [id, worker] : workers_)
        if (worker.state == State::starting)
            next = std::min(next, worker.started + start_max);
    return next;
}

/// The one that has waited longest, and may still: what is overdue is ended in its own time.
std::map<JobId, WorkerPool::Job>::iterator WorkerPool::next_waiting()
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
        condemn(worker);
        return false;
    }
    chosen.state = State::busy;
    chosen.job = job;
    return true;
}

void WorkerPool::condemn(WorkerId worker)
{
    workers_.at(worker).state = State::condemned;
    std::erase(idle_, worker);
    host_.kill_worker(worker);
}

void WorkerPool::pause_if_early(const Worker& worker)
{
    if (worker.state == State::starting || clock_.now() - worker.started < pause_after_early_end)
        no_start_before_ = clock_.now() + pause_after_early_end;
}

void WorkerPool::decide(JobId job, Decision decision)
{
    auto decided = in_work_.extract(job);
    if (!decided.empty())
        decided.mapped().on_decision(std::move(decision));
}

std::size_t WorkerPool::live_workers() const noexcept
{
    return static_cast<std::size_t>(std::ranges::count_if(
        workers_, [](const auto& entry) { return entry.second.state != State::condemned; }));
}

} // namespace postern
