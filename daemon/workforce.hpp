// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_socket.hpp"
#include "base/secret.hpp"
#include "daemon/worker_pool.hpp"
#include "protocol/supervisor_messages.hpp"
#include "protocol/worker_messages.hpp"

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

namespace postern {

/// All workers of a front: their channels, and a pool for each backend that decides who does what.
///
/// This is the world that a WorkerPool asks for. It starts and kills nothing itself: it asks the supervisor,
/// through `tell`. Everything a worker says is checked; one that speaks nonsense is killed.
class Workforce final : private WorkerHost {
public:
    struct Settings {
        std::size_t backends = 0;
        std::size_t workers = 5; ///< of each backend
        std::size_t queue_max = 1024;
    };

    using Tell = std::function<void(const FrontMessage&)>;

    Workforce(EventLoop& loop, Log& log, SecretArena& secrets, Tell tell, Settings settings);

    [[nodiscard]] std::span<WorkerPool> pools() noexcept { return pools_; }

    [[nodiscard]] bool has_settled() const noexcept;    ///< every pool has
    [[nodiscard]] bool has_been_ready() const noexcept; ///< every pool was

    /// The supervisor has started a worker that was asked for; `channel` leads to it.
    void on_started(WorkerId worker, MessageSocket channel);
    /// It is gone, or could not be started.
    void on_ended(WorkerId worker);

    /// See WorkerPool; for all pools.
    void end_overdue();
    [[nodiscard]] TimePoint start_missing();

private:
    struct Worker {
        std::size_t backend = 0;
        MessageSocket channel{};
        std::optional<FdWatch> watch{};
    };

    [[nodiscard]] WorkerId start_worker(std::size_t backend) override;
    void kill_worker(WorkerId worker) override;
    [[nodiscard]] bool ask(WorkerId worker, JobId job, Duration time_left, const Request& request) override;

    void on_readable(WorkerId id);
    void take(WorkerId id, const WorkerReady&);
    void take(WorkerId id, Answer& answer);
    void take(WorkerId id, const WorkerLogLine& line);
    [[nodiscard]] WorkerPool& pool_of(WorkerId id) { return pools_[workers_.at(id).backend]; }

    EventLoop& loop_;
    Log& log_;
    Tell tell_;
    Secret buffer_; ///< for messages, some of which hold a password
    std::map<WorkerId, Worker> workers_;
    WorkerId next_worker_ = 1;
    std::vector<WorkerPool> pools_;
};

} // namespace postern
