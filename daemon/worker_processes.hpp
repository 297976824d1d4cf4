// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_socket.hpp"
#include "daemon/accounts.hpp"
#include "daemon/child_process.hpp"
#include "daemon/config.hpp"
#include "daemon/plugin_files.hpp"
#include "daemon/setup.hpp"
#include "protocol/supervisor_messages.hpp"

#include <sys/types.h>

#include <map>
#include <optional>
#include <vector>

namespace postern {

/// The supervisor's side of the workers: their processes. Which are needed, and what they are asked, is the
/// front's concern (Workforce); here they are started, killed and reaped.
///
/// Workers belong to the front that asked for them. When it dies they are orphans: they end by themselves,
/// or are killed when the longest request they could have is over.
class WorkerProcesses {
public:
    /// Opens the plug-ins. Throws std::system_error or BackendError when one is missing or not to be trusted.
    WorkerProcesses(EventLoop& loop, Log& log, PluginFiles& plugins, const Config& config,
                    const Accounts& accounts);

    /// Whether a front asks for more than it can have a use for.
    [[nodiscard]] bool is_full(std::size_t backend) const;

    /// What the front is given of a worker: its end of the channel, in which the set-up waits already, and
    /// the giver's side of the worker's TaskQueue.
    struct Started {
        MessageSocket channel;
        MessageSocket tasks;
        UniqueFd task_page;
        std::uint32_t pid = 0;
    };

    /// Throws std::system_error when the system refuses.
    [[nodiscard]] Started start(int program, std::size_t backend, WorkerId id, bool shows_stderr);

    void kill(WorkerId id);
    /// It has closed its channel: it is given a moment to end by itself.
    void release(WorkerId id);
    /// The same, and there is nothing to say about it.
    void retire(WorkerId id);
    /// The front that they belong to is gone.
    void orphan_all(Duration patience);
    void kill_all();

    /// What a worker that has ended means to others.
    struct Ended {
        std::optional<WorkerId> id; ///< nothing: it was an orphan
        std::size_t backend = 0;
        bool cannot_work = false; ///< and none like it ever will
    };

    /// Takes note that a process was reaped, and logs how it ended. Nothing when it was no worker.
    [[nodiscard]] std::optional<Ended> on_reaped(pid_t pid, int status, bool is_expected);

    [[nodiscard]] bool empty() const noexcept { return workers_.empty(); }

private:
    struct Worker {
        ChildProcess process;
        WorkerId id = 0;
        std::size_t backend = 0;
        bool is_condemned = false;            ///< killed because the front said so
        bool is_orphan = false;               ///< its front is gone
        bool is_retired = false;              ///< it was told to end
        TimePoint ends_by = TimePoint::max(); ///< killed then: it has no use any more
    };

    [[nodiscard]] Worker* find(WorkerId id);
    void log_end(const Worker& worker, int status);
    void kill_overdue();

    EventLoop& loop_;
    Log& log_;
    const Config& config_;
    std::vector<int> plugins_;        ///< of each backend
    std::vector<WorkerSetup> setups_; ///< of each backend, made once: looking accounts up may hang
    Timer overdue_timer_;
    std::map<pid_t, Worker> workers_;
};

} // namespace postern
