// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker_table.hpp"

#include <algorithm>
#include <utility>

namespace postern {

void WorkerTable::remove(WorkerId worker)
{
    workers_.erase(worker);
    std::erase(idle_, worker);
}

void WorkerTable::condemn(WorkerId worker)
{
    at(worker).state = State::condemned;
    std::erase(idle_, worker);
}

void WorkerTable::note_start(WorkerId worker, TimePoint now)
{
    const TimePoint started = at(worker).started;
    for (auto& [id, other] : workers_)
        if (other.state == State::starting && other.started >= started)
            other.awaited_since = now;
}

void WorkerTable::rest(WorkerId worker, TimePoint now)
{
    Worker& details = at(worker);
    if (!std::exchange(details.is_renewing, false))
        details.idle_since = now;
    details.state = State::idle;
    details.wants_to_prepare = false;
    const auto place = std::ranges::upper_bound(idle_, details.idle_since, {},
                                                [this](WorkerId idle) { return at(idle).idle_since; });
    idle_.insert(place, worker);
}

void WorkerTable::take_idle(WorkerId worker)
{
    idle_.erase(std::ranges::find(idle_, worker));
}

WorkerId WorkerTable::take_last_idle()
{
    const WorkerId worker = idle_.back();
    idle_.pop_back();
    return worker;
}

WorkerId WorkerTable::take_first_idle()
{
    const WorkerId worker = idle_.front();
    idle_.erase(idle_.begin());
    return worker;
}

void WorkerTable::begin(WorkerId worker, const Task& task, TimePoint now)
{
    Worker& details = at(worker);
    details.state = task.state;
    details.busy_since = now;
    details.busy_until = now + task.time;
    details.job = task.job;
    details.probed = task.probed;
    details.written_off = task.written_off;
    details.wants_to_prepare = false;
}

WorkerTable::Worker* WorkerTable::find(WorkerId worker) noexcept
{
    const auto found = workers_.find(worker);
    return found == workers_.end() || found->second.state == State::condemned ? nullptr : &found->second;
}

WorkerTable::Workers::const_iterator WorkerTable::find_busy_with(JobId job) const noexcept
{
    return std::ranges::find_if(workers_, [job](const auto& entry) {
        return entry.second.state == State::busy && entry.second.job == job;
    });
}

WorkerTable::Workers::const_iterator WorkerTable::find_queueing(JobId job) const noexcept
{
    return std::ranges::find_if(
        workers_, [job](const auto& entry) { return std::ranges::count(entry.second.queued, job) != 0; });
}

std::size_t WorkerTable::count_of(State state) const noexcept
{
    return static_cast<std::size_t>(
        std::ranges::count_if(workers_, [state](const auto& entry) { return entry.second.state == state; }));
}

} // namespace postern
