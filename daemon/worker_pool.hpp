// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/back_off.hpp"
#include "base/clock.hpp"
#include "base/latency_histogram.hpp"
#include "daemon/config.hpp"
#include "daemon/job_queue.hpp"
#include "daemon/server_health.hpp"
#include "daemon/worker_table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

/// The side of a pool that touches the world: processes and their channels. The front implements it.
class WorkerHost {
public:
    virtual ~WorkerHost() = default;

    /// Whether there is anybody who starts processes.
    [[nodiscard]] virtual bool can_start_workers() const = 0;
    /// Asks for a new process. WorkerPool::on_ready() or on_ended() follows, never within this call.
    [[nodiscard]] virtual WorkerId start_worker(std::size_t backend) = 0;
    /// Ends a process that will not end by itself. on_ended() follows.
    virtual void kill_worker(WorkerId worker) = 0;
    /// Lets a process go that has nothing to do, and ends by itself. The pool hears no more of it.
    virtual void retire_worker(WorkerId worker) = 0;
    /// Sends a question to a worker, which comes to it when it has answered what it was sent before. False
    /// when its channel is closed: on_ended() follows.
    [[nodiscard]] virtual bool ask(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone,
                                   const Request& request) = 0;
    /// Takes back the last questions that the worker has not come to, `most` at most. How many those are.
    [[nodiscard]] virtual std::size_t take_back(WorkerId worker, std::size_t most) = 0;
    /// Has an idle worker prepare for its next request. False as above.
    [[nodiscard]] virtual bool prepare(WorkerId worker, Duration time_left, ServerSet left_alone) = 0;
    /// Has an idle worker find out whether the one server can be asked that is not left alone. The same.
    [[nodiscard]] virtual bool probe(WorkerId worker, JobId job, Duration time_left,
                                     ServerSet left_alone) = 0;
};

/// The workers of one backend: keeps some of them ready, starts more while requests wait and lets them go
/// when they do not, and replaces those that end, hang, lie or have answered enough. Each has one request at
/// a time; quick ones have the next ones waiting at their door, from where they are taken back when something
/// holds them up. Has a server that failed somebody left alone by all, and probed by one.
///
/// Knows neither sockets nor processes; time comes from a Clock and the world through WorkerHost, so that
/// all of it can be tested by hand. It has no deadlines of its own: who asked says abandon().
class WorkerPool {
public:
    using OnDecision = JobQueue::OnDecision;

    /// A request that is not taken, and why: for the log.
    struct Declined {
        std::string reason;
    };

    /// What happened to it since the start.
    struct Counts {
        std::uint64_t workers_started = 0;
        std::uint64_t workers_lost = 0;  ///< ended by themselves, or had to be killed
        std::uint64_t declined = 0;      ///< requests that found the queue full, or nobody who could be asked
        std::uint64_t outwaited = 0;     ///< requests for which no worker was free in time
        std::size_t waiting_longest = 0; ///< the most that ever waited
        LatencyHistogram waits;          ///< from the request to the first worker that got it
    };

    /// `backend` is an index into Config::backends; `servers` are its own.
    WorkerPool(const Clock& clock, WorkerHost& host, std::size_t backend, const PoolConfig& config,
               ServerHealth& servers);
    WorkerPool(const WorkerPool&) = delete;
    WorkerPool& operator=(const WorkerPool&) = delete;
    WorkerPool(WorkerPool&&) = default;

    /// Has `request` decided by the next worker that is free. The request must stay where it is until
    /// `on_decision` is called, which is never within this call, or abandon(). Declines it when too many wait
    /// already, when no worker will come in time, or when all servers are down.
    [[nodiscard]] std::variant<JobId, Declined> check(const Request& request, TimePoint deadline,
                                                      OnDecision on_decision);

    /// Nobody waits for this job any more: on_decision will not be called, and the worker that has it, if
    /// one has, is killed, since nothing else is known to stop it. The server that it must have been asking
    /// counts as failed, if it was asking for a while.
    void abandon(JobId job);

    /// It is loaded, or has prepared; or, while it is idle, it wants to prepare again.
    void on_ready(WorkerId worker, bool must_prepare = false);
    /// To a request, or to a probe.
    void on_answer(WorkerId worker, JobId job, Decision decision, bool must_prepare = false);
    /// It could not ask that server; or asked it in vain, and it may be well all the same.
    void on_server_failed(WorkerId worker, std::size_t server, std::string_view problem,
                          bool is_certain = true);
    /// It is out of date: it goes, and what it was asked goes to another one.
    void on_handed_back(WorkerId worker, JobId job);
    void on_ended(WorkerId worker);
    /// What came from the worker was no message of ours. It is killed, and what it was asked is unavailable.
    void on_nonsense(WorkerId worker);

    /// Ends what takes too long, or has been idle for too long, and begins the probes that are due.
    void end_overdue();
    /// Starts the workers that are missing, unless something keeps dying. Calls nobody back. Returns when to
    /// call both again.
    [[nodiscard]] TimePoint start_missing();

    /// Whether a first worker has shown that it can work, or that it cannot.
    [[nodiscard]] bool has_settled() const noexcept { return has_settled_; }

    /// Whether one was ever ready.
    [[nodiscard]] bool has_been_ready() const noexcept { return has_been_ready_; }

    [[nodiscard]] bool owns(WorkerId worker) const noexcept { return workers_.all().contains(worker); }

    [[nodiscard]] std::size_t waiting() const noexcept { return jobs_.waiting().size(); }

    [[nodiscard]] const PoolConfig& config() const noexcept { return config_; }

    [[nodiscard]] const WorkerTable::Workers& workers() const noexcept { return workers_.all(); }

    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

    [[nodiscard]] const ServerHealth& servers() const noexcept { return servers_; }

private:
    using State = WorkerTable::State;
    using Worker = WorkerTable::Worker;

    // requests
    [[nodiscard]] std::optional<Declined> reason_to_decline(TimePoint waits_until) const;
    void dispatch();
    void give_waiting();
    [[nodiscard]] bool give(WorkerId worker, JobId job, const JobQueue::Job& details);
    void note_wait(const JobQueue::Job& details, TimePoint now);

    // those at a worker's door
    [[nodiscard]] bool queue(JobId job, const JobQueue::Job& details);
    void begin_queued(WorkerId worker);
    void take_back(WorkerId worker);
    void take_back_from_slow(TimePoint now);

    // what a worker does next
    [[nodiscard]] bool has_answered_enough(const Worker& worker) const;
    void await_more(WorkerId worker, bool must_prepare);
    void prepare(WorkerId worker);
    void renew_one();
    [[nodiscard]] bool is_heard_out(WorkerId worker, Worker& details, bool must_prepare);

    // the end of a worker
    void end_slow_workers(TimePoint now);
    void end_work_of(const Worker& worker, const std::string& reason);
    void lose(WorkerId worker);
    void condemn(WorkerId worker);
    void retire(WorkerId worker);
    void retire_idle(TimePoint now);
    void pause_if_early(const Worker& worker);
    [[nodiscard]] TimePoint idle_end() const;
    [[nodiscard]] TimePoint next_event(TimePoint now) const;

    // servers (worker_pool_servers.cpp)
    void on_hang(const Worker& worker);
    void blame_server_of(const Worker& worker);
    void end_hopeless();
    void probe_if_due();
    [[nodiscard]] bool is_request_first() const;
    [[nodiscard]] bool has_one_worker() const;
    [[nodiscard]] bool give_probe(WorkerId worker, std::size_t server);
    void take_probe_answer(WorkerId worker, const Decision& decision, bool must_prepare);
    void judge_accusers(std::size_t server, WorkerId prober, bool is_well);

    const Clock& clock_;
    WorkerHost& host_;
    std::size_t backend_;
    PoolConfig config_;
    ServerHealth& servers_;
    WorkerTable workers_;
    JobQueue jobs_;
    BackOff back_off_;
    Counts counts_;
    TimePoint prepares_from_ = TimePoint::min(); ///< after one that hung, for a while nobody does
    bool has_probed_last_ = false;               ///< what a worker was given last was a probe
    bool has_settled_ = false;
    bool has_been_ready_ = false;
};

} // namespace postern
