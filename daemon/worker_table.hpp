// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/servers.hpp"
#include "base/clock.hpp"
#include "daemon/job_queue.hpp"
#include "protocol/supervisor_messages.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace postern {

/// The workers of a pool: what each is at, and since when. Those that are idle stand on a stack.
///
/// It writes down what WorkerPool has decided, and starts, asks and kills nobody.
class WorkerTable {
public:
    enum class State : std::uint8_t {
        starting,
        preparing, ///< for its next request
        idle,
        busy, ///< with a request
        probing,
        condemned, ///< killed, but not known to have ended
    };

    struct Worker {
        State state = State::starting;
        TimePoint started;
        TimePoint awaited_since; ///< its start, or when one that was started no later was ready
        TimePoint idle_since{};
        TimePoint busy_since{}; ///< or preparing, or probing
        TimePoint busy_until{}; ///< when it has had its time for that
        std::uint64_t answers = 0;
        Duration last_took = Duration::max(); ///< what its last answer took
        JobId job = 0;                        ///< the request, or the probe
        std::vector<JobId> queued{};          ///< requests that it was sent behind that one, in their order
        std::size_t come_to = 0;              ///< how many of them it is known to have for good
        bool was_held_up = false;             ///< at this one, and something was taken back
        std::size_t probed = 0;               ///< the server, while it is probing
        ServerSet written_off{};       ///< by what it is at: left alone from the start, or found wanting
        ServerSet accused{};           ///< by it, since their last probes
        int refuted = 0;               ///< how often in a row another one has found such a server well
        bool prepares = false;         ///< it wanted to when it answered last
        bool wants_to_prepare = false; ///< again, when there is time
        bool is_renewing = false;      ///< preparing, and it was idle before

        /// Whether it is at something, and may have to wait for somebody else there.
        [[nodiscard]] bool is_occupied() const noexcept
        {
            return state == State::busy || state == State::preparing || state == State::probing;
        }
    };

    /// What a worker begins.
    struct Task {
        State state = State::busy;
        Duration time{}; ///< that it has
        JobId job = 0;
        ServerSet written_off{};
        std::size_t probed = 0;
    };

    using Workers = std::map<WorkerId, Worker>;

    void add(WorkerId worker, TimePoint now) { workers_.emplace(worker, Worker{State::starting, now, now}); }
    /// It was started, and has started: those that were started with it or later may have had to wait for it.
    void note_start(WorkerId worker, TimePoint now);
    void remove(WorkerId worker);
    void condemn(WorkerId worker);

    /// Puts it on the stack; one that was renewing, where it was before.
    void rest(WorkerId worker, TimePoint now);
    /// Takes it off the stack. It must be there.
    void take_idle(WorkerId worker);
    /// Takes the one who became idle last off the stack, or first. There must be one.
    [[nodiscard]] WorkerId take_last_idle();
    [[nodiscard]] WorkerId take_first_idle();
    /// Of one that is not on the stack.
    void begin(WorkerId worker, const Task& task, TimePoint now);

    /// Null when there is none, or it is condemned: what such a one says comes too late.
    [[nodiscard]] Worker* find(WorkerId worker) noexcept;
    [[nodiscard]] Worker& at(WorkerId worker) { return workers_.at(worker); }
    [[nodiscard]] const Worker& at(WorkerId worker) const { return workers_.at(worker); }
    [[nodiscard]] Workers::const_iterator find_busy_with(JobId job) const noexcept;
    /// Which was sent that request behind another one.
    [[nodiscard]] Workers::const_iterator find_queueing(JobId job) const noexcept;

    [[nodiscard]] const Workers& all() const noexcept { return workers_; }

    /// Who became idle first stands first.
    [[nodiscard]] const std::vector<WorkerId>& idle() const noexcept { return idle_; }

    [[nodiscard]] std::size_t count_of(State state) const noexcept;
    [[nodiscard]] std::size_t live() const noexcept { return workers_.size() - count_of(State::condemned); }

private:
    Workers workers_;
    std::vector<WorkerId> idle_;
};

} // namespace postern
