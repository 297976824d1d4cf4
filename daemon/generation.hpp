// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/back_off.hpp"
#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_channel.hpp"
#include "daemon/accounts.hpp"
#include "daemon/challenge_key_file.hpp"
#include "daemon/child_process.hpp"
#include "daemon/config.hpp"
#include "daemon/listening_socket.hpp"
#include "daemon/plugin_files.hpp"
#include "daemon/worker_processes.hpp"
#include "protocol/supervisor_messages.hpp"

#include <sys/types.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postern {

class Generation;

/// Whom a generation reports to: the supervisor. It may not destroy the generation from within these.
class GenerationOwner {
public:
    virtual ~GenerationOwner() = default;

    /// Every backend has had a worker that can work.
    virtual void on_ready(Generation& generation) = 0;
    /// It will never be ready.
    virtual void on_start_failed(Generation& generation, const std::string& problem) = 0;
    /// It accepts nothing more: what connects now, connects to another one.
    virtual void on_finishing(Generation& generation) = 0;
    /// Its front has shown that it turns.
    virtual void on_front_answered(Generation& generation) = 0;
    /// The admin has asked its front for a reload.
    virtual void on_reload_wanted(Generation& generation, std::uint32_t request) = 0;
};

/// One configuration at work: its front, the front's workers, and what the supervisor does for them. It
/// starts them, replaces them when they end, kills those that hang, and gives them what they have no right to
/// open.
///
/// A reload makes a new generation beside the old one, which finishes what it has begun; the two share
/// nothing but the listening sockets.
class Generation {
public:
    /// What all generations share; lent.
    struct Services {
        EventLoop& loop;
        Log& log;
        int program; ///< that roles are started from
        PluginFiles& plugins;
        HeldChallengeKey& challenge_key;
    };

    /// In the order of Config::listeners, and lent until finish(); `control` is that of the daemon.
    struct Sockets {
        std::vector<const ListeningSocket*> listeners;
        const ListeningSocket* control;
    };

    /// A front `waits_to_open` when another generation serves the sockets until open(). Throws
    /// std::system_error, BackendError or ConfigError.
    Generation(const Services& services, GenerationOwner& owner, Config config, Sockets sockets,
               bool waits_to_open);
    Generation(const Generation&) = delete;
    Generation& operator=(const Generation&) = delete;
    /// Leaves no process behind.
    ~Generation() { kill_all(); }

    [[nodiscard]] const Config& config() const noexcept { return config_; }

    /// No process of it is left, and none will be started.
    [[nodiscard]] bool is_over() const noexcept { return is_finishing_ && !front_ && workers_.empty(); }

    void start();
    /// Lets the front accept connections.
    void open();
    /// Accepts no new connection, serves those that are there, ends; after `patience` whatever is left is
    /// killed. When the daemon `is_stopping`, peers that are slow to ask are not waited for.
    void finish(Duration patience, bool is_stopping);
    void kill_all();
    void tell_reload_ended(std::uint32_t request, const std::string& problem);

    /// Takes what the front has said by now: it may have retired a worker whose end is news already.
    void hear_front() { on_front(); }
    /// Whether the process that was reaped belonged to it.
    bool on_reaped(pid_t pid, int status);

private:
    struct Front {
        Front(ChildProcess&& child, TimePoint now) : process{std::move(child)}, started{now} {}
        ChildProcess process;
        TimePoint started;
        std::optional<MessageChannel> channel{}; ///< none: it has been closed, and the process is to end
    };

    void start_front();
    void send_front_setup(MessageSocket& channel);

    /// Roles may write to the terminal in the foreground, and while the caller waits for the start.
    [[nodiscard]] bool shows_stderr() const { return config_.stays_in_foreground || !is_ready_; }

    void on_front();
    void close_front();
    void ping_front();
    void take(const FrontReady&);
    void take(const StartWorker& order);
    void take(const KillWorker& order) { workers_.kill(order.worker); }
    void take(const ReleaseWorker& order) { workers_.release(order.worker); }
    void take(const RetireWorker& order) { workers_.retire(order.worker); }
    void take(const NeedSyslog&) { connect_front_to_syslog(); }
    void take(const Pong&);
    void take(const RefusedCall& call);
    void take(const Finishing&);
    void take(const Reload& reload) { owner_.on_reload_wanted(*this, reload.request); }
    void tell_front(const SupervisorMessage& message, std::span<const int> descriptors = {});

    void on_front_ended(int status);
    void hear_last_words();
    void on_worker_ended(const WorkerProcesses::Ended& ended);
    void connect_front_to_syslog();

    Services services_;
    EventLoop& loop_;
    Log& log_;
    GenerationOwner& owner_;
    Config config_;
    Sockets sockets_;
    Accounts accounts_;
    ChallengeKey challenge_key_;
    WorkerProcesses workers_;
    Timer front_timer_;      ///< starts the next front after a pause
    Timer front_kill_timer_; ///< ends one that is of no use any more
    Timer ping_timer_;       ///< asks the front whether it still turns
    Timer syslog_timer_;     ///< looks for a syslog daemon again
    Timer end_timer_;        ///< ends a finish that takes too long
    std::optional<Front> front_;
    BackOff front_back_off_;
    int pings_unanswered_ = 0;
    bool waits_to_open_;
    bool is_ready_ = false;
    bool is_finishing_ = false;
    bool has_told_finishing_ = false;
};

/// The longest that a request of that configuration can take.
[[nodiscard]] std::chrono::milliseconds longest_deadline(const Config& config);

/// How its lines in the log begin.
[[nodiscard]] LogStyle log_style(const Config& config);

} // namespace postern
