// SPDX-License-Identifier: BSD-2-Clause
//
// Under a load that the workers cannot bear, each request would reach one just before its deadline, and cost
// that worker its life for nothing. Those that would come too late make room for those that would not.
#include "daemon/job_queue.hpp"

#include <algorithm>

namespace postern {

namespace {

/// Workers that are no good again and again are not the cure.
constexpr int hand_backs_max = 3;

} // namespace

JobId JobQueue::add(const Request& request, TimePoint now, TimePoint deadline, OnDecision on_decision)
{
    const JobId id = new_id();
    const TimePoint waits_until = patience_of(now, deadline);
    waiting_.emplace(id, Job{&request, now, deadline, waits_until, std::move(on_decision)});
    patience_.emplace(waits_until, id);
    return id;
}

const JobQueue::Jobs::value_type* JobQueue::next(TimePoint now) const
{
    const auto found =
        std::ranges::find_if(waiting_, [now](const auto& entry) { return entry.second.waits_until > now; });
    return found == waiting_.end() ? nullptr : &*found;
}

void JobQueue::begin(JobId job)
{
    auto begun = waiting_.extract(job);
    patience_.erase({begun.mapped().waits_until, job});
    in_work_.insert(std::move(begun));
}

bool JobQueue::hand_back(JobId job, TimePoint now)
{
    auto returned = in_work_.extract(job);
    if (returned.empty())
        return false;
    Job& details = returned.mapped();
    if (++details.hand_backs == hand_backs_max) {
        details.on_decision({Verdict::unavailable, "its workers ended or were out of date again and again"});
        return false;
    }
    details.waits_until = std::max(details.waits_until, patience_of(now, details.deadline));
    patience_.emplace(details.waits_until, job);
    waiting_.insert(std::move(returned));
    return true;
}

void JobQueue::put_back(JobId job)
{
    auto returned = in_work_.extract(job);
    if (returned.empty())
        return;
    patience_.emplace(returned.mapped().waits_until, job);
    waiting_.insert(std::move(returned));
}

const JobQueue::Job* JobQueue::find_in_work(JobId job) const noexcept
{
    const auto found = in_work_.find(job);
    return found == in_work_.end() ? nullptr : &found->second;
}

bool JobQueue::abandon(JobId job)
{
    const auto waiting = waiting_.extract(job);
    if (waiting.empty())
        return in_work_.erase(job) > 0;
    patience_.erase({waiting.mapped().waits_until, job});
    return false;
}

void JobQueue::decide(JobId job, Decision decision)
{
    auto decided = in_work_.extract(job);
    if (!decided.empty())
        decided.mapped().on_decision(std::move(decision));
}

std::size_t JobQueue::decide_overdue(TimePoint now, const Decision& decision)
{
    std::size_t count = 0;
    for (; next_overdue() <= now; ++count) {
        auto job = waiting_.extract(patience_.begin()->second);
        patience_.erase(patience_.begin());
        job.mapped().on_decision(decision);
    }
    return count;
}

std::size_t JobQueue::decide_waiting(const Decision& decision)
{
    patience_.clear();
    const Jobs decided = std::exchange(waiting_, {});
    for (const auto& [id, job] : decided)
        job.on_decision(decision);
    return decided.size();
}

} // namespace postern
