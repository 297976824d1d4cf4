// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/back_off.hpp"
#include "base/clock.hpp"
#include "daemon/config.hpp"
#include "daemon/server_health.hpp"
#include "protocol/request.hpp"
#include "protocol/supervisor_messages.hpp"
#include "protocol/verdict.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postern {

/// A request that a pool was given, until it is decided or abandoned.
using JobId = std::uint64_t;

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
    /// Sends a question to an idle worker. False when its channel is closed: on_ended() follows.
    [[nodiscard]] virtual bool ask(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone,
                                   const Request& request) = 0;
    /// Has an idle worker prepare for its next request. The same.
    [[nodiscard]] virtual bool prepare(WorkerId worker, Duration time_left, ServerSet left_alone) = 0;
    /// Has an idle worker find out whether the one server can be asked that is not left alone. The same.
    [[nodiscard]] virtual bool probe(WorkerId worker, JobId job, Duration time_left,
                                     ServerSet left_alone) = 0;
};

/// The workers of one backend: keeps some of them ready, starts more while requests wait and lets them go
/// when they do not, gives each one request at a time, and replaces those that end, hang, lie or have
/// answered enough. Has a server that failed somebody left alone by all, and probed by one.
///
/// Knows neither sockets nor processes; time comes from a Clock and the world through WorkerHost, so that
/// all of it can be tested by hand. It has no deadlines of its own: who asked says abandon().
class WorkerPool {
public:
    using OnDecision = std::function<void(Decision)>;

    /// A request that is not taken, and why: for the log.
    struct Declined {
        std::string reason;
    };

    enum class State : std::uint8_t {
        starting,
        preparing, ///< for its next request
        idle,
        busy, ///< with a request
        probing,
        condemned,
    };

    struct Worker {
        State state = State::starting;
        TimePoint started;
        TimePoint idle_since{};
        TimePoint busy_since{}; ///< or preparing, or probing
        TimePoint probe_ends{}; ///< when the probe has had its time
        std::uint64_t answers = 0;
        JobId job = 0;           ///< the request, or the probe
        ServerSet written_off{}; ///< by what it is at: left alone from the start, or found wanting
    };

    /// What happened to it since the start.
    struct Counts {
        std::uint64_t workers_started = 0;
        std::uint64_t workers_lost = 0; ///< ended by themselves, or had to be killed
        std::uint64_t declined = 0;     ///< requests that found the queue full, or nobody who could be asked
        std::uint64_t outwaited = 0;    ///< requests for which no worker was free in time
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

    void on_ready(WorkerId worker, bool must_prepare = false);
    /// To a request, or to a probe.
    void on_answer(WorkerId worker, JobId job, Decision decision, bool must_prepare = false);
    /// It could not ask that server.
    void on_server_failed(WorkerId worker, std::size_t server, std::string_view problem);
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

    [[nodiscard]] bool owns(WorkerId worker) const noexcept { return workers_.contains(worker); }

    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

    [[nodiscard]] const PoolConfig& config() const noexcept { return config_; }

    [[nodiscard]] const std::map<WorkerId, Worker>& workers() const noexcept { return workers_; }

    [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

    [[nodiscard]] const ServerHealth& servers() const noexcept { return servers_; }

private:
    struct Job {
        const Request* request = nullptr;
        TimePoint arrived;
        TimePoint waits_until; ///< half of its time: what a worker gets has at least the other half left
        TimePoint deadline;
        OnDecision on_decision;
        int hand_backs = 0;
    };

    using WaitingJob = std::map<JobId, Job>::iterator;

    void end_waiting(TimePoint now);
    void end_hopeless();
    void end_slow_workers(TimePoint now);
    void retire_idle(TimePoint now);
    [[nodiscard]] std::optional<Declined> reason_to_decline(TimePoint waits_until) const;
    void probe_if_due();
    [[nodiscard]] bool is_request_first();
    [[nodiscard]] bool has_one_worker() const;
    void blame_server_of(const Worker& worker);
    [[nodiscard]] bool give_probe(WorkerId worker, std::size_t server);
    void take_probe_answer(WorkerId worker, const Decision& decision, bool must_prepare);
    [[nodiscard]] std::size_t workers_wanted(TimePoint now) const;
    [[nodiscard]] std::size_t workers_of_use(TimePoint now) const;
    [[nodiscard]] std::size_t impatient_jobs(TimePoint now) const;
    [[nodiscard]] TimePoint next_event(TimePoint now) const;
    [[nodiscard]] TimePoint next_growth(TimePoint now) const;
    [[nodiscard]] WaitingJob next_waiting();
    void dispatch();
    [[nodiscard]] bool give(WorkerId worker, JobId job, const Job& details);
    void begin(Worker& worker, State state, JobId job, ServerSet written_off);
    void await_more(WorkerId worker, bool must_prepare);
    void prepare(WorkerId worker);
    void lose(WorkerId worker);
    void end_work_of(const Worker& worker, const std::string& reason);
    void condemn(WorkerId worker);
    void retire(WorkerId worker);
    void pause_if_early(const Worker& worker);
    void decide(JobId job, Decision decision);
    [[nodiscard]] std::size_t count_of(State state) const noexcept;
    [[nodiscard]] std::size_t live_workers() const noexcept;

    const Clock& clock_;
    WorkerHost& host_;
    std::size_t backend_;
    PoolConfig config_;
    ServerHealth& servers_;
    std::map<WorkerId, Worker> workers_;
    std::vector<WorkerId> idle_;   ///< the last to become idle is asked first: its memory is warm
    std::map<JobId, Job> waiting_; ///< first come, first served
    std::set<std::pair<TimePoint, JobId>> patience_; ///< until when each of those waits
    std::map<JobId, Job> in_work_;
    JobId next_job_ = 1;
    BackOff back_off_;
    Counts counts_;
    bool has_probed_last_ = false; ///< what a worker was given last was a probe
    bool has_settled_ = false;
    bool has_been_ready_ = false;
};

} // namespace postern
