// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "protocol/request.hpp"
#include "protocol/supervisor_messages.hpp"
#include "protocol/verdict.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace postern {

/// A request that a pool was given, until it is decided or abandoned.
using JobId = std::uint64_t;

/// The side of a pool that touches the world: processes and their channels. The front implements it.
class WorkerHost {
public:
    virtual ~WorkerHost() = default;

    /// Asks for a new process. WorkerPool::on_ready() or on_ended() follows, never within this call.
    [[nodiscard]] virtual WorkerId start_worker(std::size_t backend) = 0;
    /// Ends a process that will not end by itself. on_ended() follows.
    virtual void kill_worker(WorkerId worker) = 0;
    /// Sends a question to an idle worker. False when its channel is closed: on_ended() follows.
    [[nodiscard]] virtual bool ask(WorkerId worker, JobId job, Duration time_left,
                                   const Request& request) = 0;
};

/// The workers of one backend: keeps `workers` of them ready, gives each one request at a time, and replaces
/// those that end, hang or lie.
///
/// Knows neither sockets nor processes; time comes from a Clock and the world through WorkerHost, so that
/// all of it can be tested by hand. It has no deadlines of its own: who asked says abandon().
class WorkerPool {
public:
    struct Settings {
        std::size_t backend = 0; ///< index into Config::backends
        std::size_t workers = 5;
        std::size_t queue_max = 1024;
    };

    using OnDecision = std::function<void(Decision)>;

    WorkerPool(const Clock& clock, WorkerHost& host, Settings settings);
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    WorkerPool(WorkerPool&&) = default;

    /// Has `request` decided by the next worker that is free. The request must stay where it is until
    /// `on_decision` is called, which is never within this call, or abandon(). Nothing when too many
    /// requests wait already.
    [[nodiscard]] std::optional<JobId> check(const Request& request, TimePoint deadline,
                                             OnDecision on_decision);

    /// Nobody waits for this job any more: on_decision will not be called, and the worker that has it, if
    /// one has, is killed, since nothing else is known to stop it.
    void abandon(JobId job);

    void on_ready(WorkerId worker);
    void on_answer(WorkerId worker, JobId job, Decision decision);
    void on_ended(WorkerId worker);
    /// What came from the worker was no message of ours. It is killed, and what it was asked is unavailable.
    void on_nonsense(WorkerId worker);

    /// Ends what has waited, or has been starting, for too long.
    void end_overdue();
    /// Starts the workers that are missing, unless something keeps dying. Calls nobody back. Returns when to
    /// call both again.
    [[nodiscard]] TimePoint start_missing();

    /// Whether a first worker has shown that it can work, or that it cannot.
    [[nodiscard]] bool has_settled() const noexcept { return has_settled_; }

    /// Whether one was ever ready.
    [[nodiscard]] bool has_been_ready() const noexcept { return has_been_ready_; }

    [[nodiscard]] bool owns(WorkerId worker) const noexcept { return workers_.contains(worker); }

    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

private:
    enum class State : std::uint8_t { starting, idle, busy, condemned };

    struct Worker {
        State state = State::starting;
        TimePoint started;
        JobId job = 0;
    };

    struct Job {
        const Request* request = nullptr;
        TimePoint waits_until; ///< half of its time: what a worker gets has at least the other half left
        TimePoint deadline;
        OnDecision on_decision;
    };

    void end_waiting(TimePoint now);
    void end_slow_starts(TimePoint now);
    [[nodiscard]] TimePoint next_overdue() const;
    [[nodiscard]] std::map<JobId, Job>::iterator next_waiting();
    void dispatch();
    [[nodiscard]] bool give(WorkerId worker, JobId job, const Job& details);
    void condemn(WorkerId worker);
    void pause_if_early(const Worker& worker);
    void decide(JobId job, Decision decision);
    [[nodiscard]] std::size_t live_workers() const noexcept;

    const Clock& clock_;
    WorkerHost& host_;
    Settings settings_;
    std::map<WorkerId, Worker> workers_;
    std::vector<WorkerId> idle_;   ///< the last to become idle is asked first: its memory is warm
    std::map<JobId, Job> waiting_; ///< first come, first served
    std::set<std::pair<TimePoint, JobId>> patience_; ///< until when each of those waits
    std::map<JobId, Job> in_work_;
    JobId next_job_ = 1;
    TimePoint no_start_before_ = TimePoint::min();
    bool has_settled_ = false;
    bool has_been_ready_ = false;
};

} // namespace postern
