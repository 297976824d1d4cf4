// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "protocol/request.hpp"
#include "protocol/verdict.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>

namespace postern {

/// A request that a pool was given, until it is decided or abandoned; or a probe.
using JobId = std::uint64_t;

/// The requests of a pool: those that wait for a worker, first come, first served, and those that a worker
/// has. Whoever asked is told by the functions named decide.
///
/// Knows no worker and no bound: WorkerPool does. The time is given to it.
class JobQueue {
public:
    using OnDecision = std::function<void(Decision)>;

    struct Job {
        const Request* request = nullptr;
        TimePoint arrived;
        TimePoint deadline;
        TimePoint waits_until; ///< half of its time: what a worker gets has at least the other half left
        OnDecision on_decision;
        int hand_backs = 0;
    };

    using Jobs = std::map<JobId, Job>;

    /// Until when a request waits that came, or came back, at `now`.
    [[nodiscard]] static TimePoint patience_of(TimePoint now, TimePoint deadline) noexcept
    {
        return now + (deadline - now) / 2;
    }

    [[nodiscard]] JobId new_id() noexcept { return next_id_++; }

    /// `request` is lent until it is decided or abandoned.
    JobId add(const Request& request, TimePoint now, TimePoint deadline, OnDecision on_decision);

    /// The one that has waited longest, and may still: what is overdue is ended in its own time. Null: none.
    [[nodiscard]] const Jobs::value_type* next(TimePoint now) const;

    /// A worker has it now.
    void begin(JobId job);
    /// Its worker was no good: it waits again, in its old place, which is the order of arrival. False when
    /// nobody waits for it any more, or it came back too often and is decided.
    [[nodiscard]] bool hand_back(JobId job, TimePoint now);
    /// Its worker had not come to it: the same, and that counts for nothing.
    void put_back(JobId job);
    /// False when it waited, and no worker has it.
    [[nodiscard]] bool abandon(JobId job);

    /// The one that a worker has. Null when it was abandoned.
    [[nodiscard]] const Job* find_in_work(JobId job) const noexcept;

    /// The one that a worker had; nothing happens when it was abandoned.
    void decide(JobId job, Decision decision);
    /// All that have waited for too long. Returns how many.
    std::size_t decide_overdue(TimePoint now, const Decision& decision);
    /// All that wait. The same.
    std::size_t decide_waiting(const Decision& decision);

    [[nodiscard]] const Jobs& waiting() const noexcept { return waiting_; }

    /// When the next one has waited for too long.
    [[nodiscard]] TimePoint next_overdue() const noexcept
    {
        return patience_.empty() ? TimePoint::max() : patience_.begin()->first;
    }

private:
    Jobs waiting_;
    std::set<std::pair<TimePoint, JobId>> patience_; ///< until when each of those waits
    Jobs in_work_;
    JobId next_id_ = 1;
};

} // namespace postern
