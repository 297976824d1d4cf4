// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_socket.hpp"
#include "base/randomness.hpp"
#include "base/secret.hpp"
#include "base/task_queue.hpp"
#include "daemon/line_budget.hpp"
#include "daemon/server_health.hpp"
#include "daemon/setup.hpp"
#include "daemon/worker_pool.hpp"
#include "protocol/status.hpp"
#include "protocol/supervisor_messages.hpp"
#include "protocol/worker_messages.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace postern {

/// All workers of a front: their channels, and a pool for each backend that decides who does what.
///
/// This is the world that a WorkerPool asks for. It starts and kills nothing itself: it asks the supervisor,
/// through `tell`. Everything a worker says is checked; one that speaks nonsense is killed.
class Workforce final : private WorkerHost {
public:
    using Tell = std::function<void(const FrontMessage&)>;

    /// `backends` outlives it.
    Workforce(EventLoop& loop, Log& log, SecretArena& secrets, const Randomness& randomness, Tell tell,
              const std::vector<PoolSetup>& backends);

    [[nodiscard]] std::span<WorkerPool> pools() noexcept { return pools_; }
    [[nodiscard]] std::span<const WorkerPool> pools() const noexcept { return pools_; }

    [[nodiscard]] bool has_settled() const noexcept;    ///< every pool has
    [[nodiscard]] bool has_been_ready() const noexcept; ///< every pool was

    /// The supervisor has started a worker that was asked for. `channel`, and `tasks` with their page, lead
    /// to it.
    void on_started(const WorkerStarted& started, MessageSocket channel, MessageSocket tasks,
                    const UniqueFd& task_page);
    /// It is gone, or could not be started.
    void on_ended(WorkerId worker);
    /// Nobody starts or kills workers any more: those that are there serve on.
    void on_supervisor_lost();

    /// Of each backend, all but what was decided.
    [[nodiscard]] std::vector<BackendStatus> status() const;

    /// See WorkerPool; for all pools.
    void end_overdue();
    [[nodiscard]] TimePoint start_missing();

private:
    struct Worker {
        std::size_t backend = 0;
        std::uint32_t pid = 0;
        MessageSocket channel{}; ///< for what it says
        TaskQueue tasks{};
        std::optional<FdWatch> watch{};
        bool has_ended = false; ///< but may have left something to be read
        LineBudget lines{};
    };

    [[nodiscard]] bool can_start_workers() const override { return has_supervisor_; }
    [[nodiscard]] WorkerId start_worker(std::size_t backend) override;
    void kill_worker(WorkerId worker) override;
    void retire_worker(WorkerId worker) override;
    [[nodiscard]] bool ask(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone,
                           const Request& request) override;
    [[nodiscard]] bool prepare(WorkerId worker, Duration time_left, ServerSet left_alone) override;
    [[nodiscard]] bool probe(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone) override;
    [[nodiscard]] std::size_t take_back(WorkerId worker, std::size_t most) override;

    [[nodiscard]] std::vector<WorkerStatus> status_of(const WorkerPool& pool) const;
    [[nodiscard]] std::vector<ServerStatus> status_of(const ServerHealth& servers) const;

    [[nodiscard]] Worker* find_living(WorkerId id) noexcept;
    void forsake(WorkerId id);
    void forget_forsaken();
    void on_readable(WorkerId id);
    [[nodiscard]] MessageSocket::Received take_message(WorkerId id);
    void hear_out(WorkerId id);
    void report_missing_lines(Worker& worker);
    void take(WorkerId id, const WorkerReady& ready);
    void take(WorkerId id, Answer& answer);
    void take(WorkerId id, const HandBack& hand_back);
    void take(WorkerId id, const WorkerLogLine& line);
    void take(WorkerId id, const ServerFailed& failed);
    [[nodiscard]] WorkerPool& pool_of(WorkerId id) { return pools_[workers_.at(id).backend]; }

    EventLoop& loop_;
    Log& log_;
    Tell tell_;
    Secret buffer_; ///< for messages, some of which hold a password
    std::map<WorkerId, Worker> workers_;
    WorkerId next_worker_ = 1;
    std::deque<ServerHealth> servers_; ///< of each backend; its pool refers to it
    std::vector<WorkerPool> pools_;
    const std::vector<PoolSetup>& backends_;
    std::set<std::size_t> told_rights_; ///< backends of which the log knows that their workers read any file
    std::vector<WorkerId> forsaken_;    ///< their pools do not know yet
    bool has_supervisor_ = true;
};

} // namespace postern
