// SPDX-License-Identifier: BSD-2-Clause
//
// A pool grows when a request has waited for a moment, and as many workers as are kept have been at theirs
// for as long: a burst that they can serve costs no process, and where workers come round quickly, more of
// them would only share the same processors.
#include "daemon/pool_growth.hpp"

#include <algorithm>
#include <iterator>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A request that has waited for so long is worth another worker, and a worker that has been at one for so
/// long waits itself, for somebody else.
constexpr auto grows_after = 10ms;

/// As many as are kept, or as many again as wait already, besides those that wait. Of workers that answer
/// once, everybody needs one.
std::size_t workers_of_use(const WorkerTable& workers, const PoolConfig& config, TimePoint now)
{
    if (config.worker_requests_max == 1)
        return config.workers_max;
    const auto held_up =
        static_cast<std::size_t>(std::ranges::count_if(workers.all(), [now](const auto& entry) {
            return entry.second.is_occupied() && entry.second.busy_since + grows_after <= now;
        }));
    return held_up + std::max<std::size_t>(config.workers, held_up);
}

/// Not more than could have a worker.
std::size_t impatient_jobs(const JobQueue& jobs, const PoolConfig& config, TimePoint now)
{
    std::size_t count = 0;
    for (const auto& [id, job] : jobs.waiting()) {
        if (count == config.workers_max || job.arrived + grows_after > now)
            break;
        ++count;
    }
    return count;
}

/// Each that is being started is for one of those who wait, and so is one that was started for them and
/// prepares now: else one of them would start as many as can prepare at a time.
std::size_t workers_to_come(const WorkerTable& workers, const JobQueue& jobs)
{
    if (jobs.waiting().empty())
        return 0;
    const TimePoint first = jobs.waiting().begin()->second.arrived;
    return static_cast<std::size_t>(std::ranges::count_if(workers.all(), [first](const auto& entry) {
        const WorkerTable::Worker& worker = entry.second;
        return worker.state == WorkerTable::State::starting ||
               (worker.state == WorkerTable::State::preparing && worker.started > first);
    }));
}

} // namespace

std::size_t workers_wanted(const WorkerTable& workers, const JobQueue& jobs, const PoolConfig& config,
                           TimePoint now)
{
    const std::size_t impatient = impatient_jobs(jobs, config, now);
    const std::size_t to_come = workers_to_come(workers, jobs);
    const std::size_t more = impatient > to_come ? impatient - to_come : 0;
    return std::max<std::size_t>(config.workers,
                                 std::min({workers.live() + more, workers_of_use(workers, config, now),
                                           std::size_t{config.workers_max}}));
}

/// When one more of those who wait is worth a worker, or one more worker waits itself.
TimePoint next_growth(const WorkerTable& workers, const JobQueue& jobs, const PoolConfig& config,
                      TimePoint now)
{
    const JobQueue::Jobs& waiting = jobs.waiting();
    TimePoint next = TimePoint::max();
    if (waiting.empty() || workers.live() >= config.workers_max)
        return next;
    const auto consider = [&next, now](TimePoint since) {
        if (since + grows_after > now)
            next = std::min(next, since + grows_after);
    };
    if (const std::size_t impatient = impatient_jobs(jobs, config, now); impatient < waiting.size())
        consider(std::next(waiting.begin(), static_cast<std::ptrdiff_t>(impatient))->second.arrived);
    for (const auto& [id, worker] : workers.all())
        if (worker.is_occupied())
            consider(worker.busy_since);
    return next;
}

} // namespace postern
