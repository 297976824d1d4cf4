// SPDX-License-Identifier: BSD-2-Clause
//
// The supervisor is the only process that stays root, so it does little: it waits for signals, for the end of
// its children and for messages of a few bytes from the front. It holds the listening sockets, and so a front
// that dies loses nobody: connections wait in the backlog for the next one.
//
// The front asks for workers and says which to kill, because it alone knows the deadlines. A worker's channel
// is made here; its first message is the worker's set-up, and then the front gets the other end.
#include "daemon/supervisor.hpp"

#include "backends/plugin_loader.hpp"
#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "daemon/accounts.hpp"
#include "daemon/background.hpp"
#include "daemon/child_process.hpp"
#include "daemon/listening_socket.hpp"
#include "daemon/run_directory.hpp"
#include "daemon/setup.hpp"
#include "daemon/system_call_filter.hpp"
#include "daemon/worker.hpp"
#include "protocol/supervisor_messages.hpp"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto start_max = 30s;            ///< until the first front serves, or the start has failed
constexpr auto pause_after_early_end = 1s; ///< between two fronts when one lives shorter than this
constexpr auto grace = 1s;                 ///< for what should end by itself
constexpr std::size_t workers_slack = 2;   ///< a replaced worker may not be reaped yet

/// Where this build, or this installation, keeps its plug-ins: beside the program.
std::filesystem::path plugin_directory()
{
    return std::filesystem::read_symlink("/proc/self/exe").parent_path() / POSTERN_PLUGIN_PATH;
}

LogStyle log_style(const Config& config)
{
    return {config.ident, std::string(16, ' ') + ": ", config.is_verbose};
}

DescriptorLog open_log(const Config& config)
{
    DescriptorLog log{log_style(config)};
    log.set_stream(open_error_stream()); // until the start is over, and in the foreground for good
    if (config.log != LogTarget::stderr_only)
        log.set_syslog(connect_syslog());
    return log;
}

std::vector<UniqueFd> open_plugins(const Config& config)
{
    std::vector<UniqueFd> plugins;
    for (const BackendConfig& backend : config.backends)
        plugins.push_back(open_plugin(plugin_directory() / plugin_file_name(backend.type->name)));
    return plugins;
}

std::chrono::milliseconds longest_deadline(const Config& config)
{
    return std::ranges::max_element(config.listeners, {}, &ListenerConfig::deadline)->deadline;
}

class Supervisor {
public:
    explicit Supervisor(Config config);

    int run();

private:
    struct Front {
        ChildProcess process;
        MessageSocket channel;
        TimePoint started;
        std::optional<FdWatch> watch{};
    };

    struct Worker {
        ChildProcess process;
        WorkerId id = 0;
        std::size_t backend = 0;
        bool is_condemned = false;            ///< killed because the front said so
        bool is_orphan = false;               ///< its front is gone
        TimePoint ends_by = TimePoint::max(); ///< killed then: it has no use any more
    };

    void start_front();
    void send_front_setup(MessageSocket& channel);

    /// Roles may write to the terminal in the foreground, and while the caller waits for the start.
    [[nodiscard]] bool shows_stderr() const { return config_.stays_in_foreground || !is_ready_; }

    void on_front();
    void take(const FrontMessage& message);
    void tell_front(const SupervisorMessage& message, int descriptor = -1);
    void become_ready();

    void start_worker(const StartWorker& order);
    [[nodiscard]] ChildProcess start_worker_process(std::size_t backend, MessageSocket& front_end);
    [[nodiscard]] Worker* find_worker(WorkerId id);
    void kill_worker(WorkerId id);
    void release_worker(WorkerId id);
    [[nodiscard]] std::size_t live_workers(std::size_t backend) const;

    void on_signals();
    void reap();
    void on_front_ended(int status);
    void on_worker_ended(const Worker& worker, int status);
    void connect_front_to_syslog();

    void finish(Duration patience);
    void kill_overdue();
    void kill_all();
    void fail_start(const std::string& problem);

    Config config_;
    DescriptorLog log_;
    UniqueFd program_;
    std::vector<UniqueFd> plugins_; ///< one for each backend
    Accounts accounts_;
    RunDirectory run_directory_;
    Background background_;
    std::vector<ListeningSocket> listeners_;
    SystemClock clock_;
    EventLoop loop_;
    UniqueFd signals_;
    FdWatch signals_watch_;
    Timer front_timer_;   ///< kills a front that is of no use any more, or starts the next one
    Timer overdue_timer_; ///< kills workers that should have ended by themselves
    Timer syslog_timer_;  ///< looks for a syslog daemon again
    Timer end_timer_;     ///< ends a start, or a stop, that takes too long
    std::optional<Front> front_;
    std::map<pid_t, Worker> workers_;
    bool is_ready_ = false;
    bool is_finishing_ = false;
    int exit_status_ = EXIT_SUCCESS;
};

Supervisor::Supervisor(Config config)
    : config_{std::move(config)}
    , log_{open_log(config_)}
    , program_{open_own_program()}
    , plugins_{open_plugins(config_)}
    , accounts_{config_.user, log_}
    , run_directory_{config_.run_directory, !config_.stays_in_foreground}
    , background_{config_.stays_in_foreground}
    , loop_{clock_}
    , signals_{open_signal_fd({SIGTERM, SIGINT, SIGHUP, SIGCHLD})}
    , signals_watch_{loop_, signals_.get(), EPOLLIN, [this](std::uint32_t) { on_signals(); }}
    , front_timer_{loop_, [this] { front_ ? kill_process(front_->process) : start_front(); }}
    , overdue_timer_{loop_, [this] { kill_overdue(); }}
    , syslog_timer_{loop_, [this] { connect_front_to_syslog(); }}
    , end_timer_{loop_,
                 [this] { is_finishing_ ? kill_all() : fail_start("the backends did not become ready"); }}
{
    log_.on_syslog_lost([this] { log_.set_syslog(connect_syslog()); });
    for (const ListenerConfig& listener : config_.listeners)
        listeners_.emplace_back(listener.socket);
}

int Supervisor::run()
{
    log_.info("master pid is: " + std::to_string(::getpid()));
    for (const std::string& note : config_.notes)
        log_.warning(note);
    end_timer_.schedule(clock_.now() + start_max);
    start_front();
    loop_.run();
    log_.info("master exited: " + std::to_string(::getpid()));
    return exit_status_;
}

void Supervisor::start_front()
try {
    auto [ours, theirs] = make_message_sockets();
    ours.set_non_blocking();
    send_front_setup(ours);
    ChildProcess process = start_role(program_.get(), {"posternd", "front"}, theirs.fd(), shows_stderr());
    Front& front = front_.emplace();
    front.process = std::move(process);
    front.channel = std::move(ours);
    front.started = clock_.now();
    front.watch.emplace(loop_, front.channel.fd(), EPOLLIN, [this](std::uint32_t) { on_front(); });

} catch (const std::system_error& error) { // no process or descriptor to be had now
    log_.error(std::string{"the front could not be started: "} + error.what());
    front_timer_.schedule(clock_.now() + pause_after_early_end);
}

void Supervisor::send_front_setup(MessageSocket& channel)
{
    FrontSetup setup;
    setup.account = accounts_.front();
    setup.drops_privileges = accounts_.drops_privileges();
    setup.log_style = log_style(config_);
    setup.workers = config_.workers;
    setup.queue_max = config_.queue_max;
    setup.delayed_max = config_.delayed_max;
    setup.sessions_max = config_.sessions_max;
    setup.listeners = config_.listeners;
    setup.route = config_.route;
    for (const BackendConfig& backend : config_.backends)
        setup.backends.push_back(backend.name);
    std::vector<int> descriptors;
    for (const ListeningSocket& listener : listeners_)
        descriptors.push_back(listener.fd());
    setup.uses_syslog = config_.log != LogTarget::stderr_only;
    const UniqueFd syslog = setup.uses_syslog ? connect_syslog() : UniqueFd{};
    setup.has_syslog = syslog.is_open();
    if (setup.has_syslog)
        descriptors.push_back(syslog.get());
    setup.has_stream = config_.log != LogTarget::syslog;
    setup.lets_go_of_stderr = !config_.stays_in_foreground;
    const UniqueFd stream = setup.has_stream ? open_error_stream() : UniqueFd{};
    if (setup.has_stream)
        descriptors.push_back(stream.get());
    send_setup(channel, setup, descriptors);
}

void Supervisor::on_front()
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    for (;;) {
        const MessageSocket::Incoming incoming = front_->channel.receive(buffer);
        if (incoming.state == MessageSocket::Received::nothing)
            return;
        const auto message = parse_front_message(incoming.bytes);
        if (incoming.state != MessageSocket::Received::message || !message) {
            front_->watch.reset();
            return front_timer_.schedule(clock_.now() + grace); // ended, ending, or not ours any more
        }
        take(*message);
    }
}

void Supervisor::take(const FrontMessage& message)
{
    if (const auto* order = std::get_if<StartWorker>(&message))
        start_worker(*order);
    else if (const auto* kill = std::get_if<KillWorker>(&message))
        kill_worker(kill->worker);
    else if (const auto* release = std::get_if<ReleaseWorker>(&message))
        release_worker(release->worker);
    else if (const auto* call = std::get_if<RefusedCall>(&message))
        log_.error("the front was ended: its filter refused the system call " +
                   system_call_name(call->number));
    else if (std::holds_alternative<NeedSyslog>(message))
        connect_front_to_syslog();
    else
        become_ready();
}

/// A front that does not read any more cannot serve either.
void Supervisor::tell_front(const SupervisorMessage& message, int descriptor)
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    const std::span<const int> descriptors{&descriptor, descriptor >= 0 ? 1U : 0U};
    if (front_ && !front_->channel.send(write_supervisor_message(buffer, message), descriptors))
        kill_process(front_->process);
}

void Supervisor::become_ready()
{
    if (std::exchange(is_ready_, true))
        return;
    end_timer_.cancel();
    for (const ListenerConfig& listener : config_.listeners)
        log_.info("listening on socket: " + listener.socket);
    run_directory_.write_pid(::getpid());
    run_directory_.remove_start_lock();
    if (config_.log == LogTarget::syslog)
        log_.set_stream({});
    background_.report_ready();
}

void Supervisor::start_worker(const StartWorker& order)
try {
    if (is_finishing_ || order.backend >= config_.backends.size() ||
        live_workers(order.backend) >= config_.workers * workers_slack)
        return tell_front(WorkerEnded{order.worker});
    MessageSocket front_end;
    Worker worker{start_worker_process(order.backend, front_end), order.worker, order.backend};
    const pid_t pid = worker.process.pid;
    workers_.emplace(pid, std::move(worker));
    tell_front(WorkerStarted{order.worker}, front_end.fd());

} catch (const std::system_error& error) { // no process or descriptor to be had now
    log_.error(std::string{"a worker could not be started: "} + error.what());
    tell_front(WorkerEnded{order.worker});
}

/// The set-up goes in before the front gets its end, so a worker's first message is always ours.
ChildProcess Supervisor::start_worker_process(std::size_t backend, MessageSocket& front_end)
{
    const BackendConfig& config = config_.backends[backend];
    auto [ours, theirs] = make_message_sockets();
    WorkerSetup setup;
    setup.account = accounts_.worker(*config.type);
    setup.drops_privileges = accounts_.drops_privileges();
    setup.lets_go_of_stderr = !config_.stays_in_foreground;
    setup.backend = config.name;
    setup.type = config.type->name;
    setup.options = config.options;
    setup.field_bytes_max =
        std::ranges::max_element(config_.listeners, {}, &ListenerConfig::field_bytes_max)->field_bytes_max;
    const int plugin = plugins_[backend].get();
    send_setup(ours, setup, {&plugin, 1});
    front_end = std::move(ours);
    return start_role(program_.get(), {"posternd", "worker", config.name}, theirs.fd(), shows_stderr());
}

/// Null when it has ended meanwhile.
Supervisor::Worker* Supervisor::find_worker(WorkerId id)
{
    const auto worker = std::ranges::find_if(
        workers_, [id](const auto& entry) { return entry.second.id == id && !entry.second.is_orphan; });
    return worker == workers_.end() ? nullptr : &worker->second;
}

void Supervisor::kill_worker(WorkerId id)
{
    if (Worker* const worker = find_worker(id)) {
        worker->is_condemned = true;
        kill_process(worker->process);
    }
}

void Supervisor::release_worker(WorkerId id)
{
    if (Worker* const worker = find_worker(id)) {
        worker->ends_by = clock_.now() + grace;
        kill_overdue();
    }
}

std::size_t Supervisor::live_workers(std::size_t backend) const
{
    return static_cast<std::size_t>(std::ranges::count_if(workers_, [backend](const auto& entry) {
        const Worker& worker = entry.second;
        return worker.backend == backend && !worker.is_condemned && worker.ends_by == TimePoint::max();
    }));
}

void Supervisor::on_signals()
{
    while (const int signal = next_signal(signals_.get())) {
        if (signal == SIGCHLD)
            reap();
        else if (signal == SIGHUP)
            log_.warning("SIGHUP: reading the configuration again is not available in this version");
        else if (is_finishing_)
            kill_all(); // asked twice: whoever asks has no time
        else
            finish(longest_deadline(config_) + grace);
    }
}

/// As process 1 of a container, also what others have left behind.
void Supervisor::reap()
{
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (front_ && front_->process.pid == pid)
            on_front_ended(status);
        else if (const auto worker = workers_.extract(pid); !worker.empty())
            on_worker_ended(worker.mapped(), status);
    }
    if (is_finishing_ && !front_ && workers_.empty())
        loop_.stop();
}

void Supervisor::on_front_ended(int status)
{
    if (front_->watch)
        on_front(); // its last words
    const bool was_early = clock_.now() - front_->started < pause_after_early_end;
    const std::string name = "front " + std::to_string(front_->process.pid);
    front_.reset();
    for (auto& [pid, worker] : workers_) {
        worker.is_orphan = true;
        worker.ends_by = clock_.now() + longest_deadline(config_) + grace;
    }
    if (is_finishing_)
        return end_timer_.schedule(clock_.now() + grace);
    log_.error(name + ' ' + wait_status_text(status));
    if (!is_ready_)
        return fail_start("the front ended before it could serve");
    kill_overdue();
    front_timer_.schedule(clock_.now() + (was_early ? pause_after_early_end : 0s));
}

void Supervisor::on_worker_ended(const Worker& worker, int status)
{
    if (!worker.is_orphan)
        tell_front(WorkerEnded{worker.id});
    if (is_finishing_ || (worker.is_orphan && status == 0))
        return;
    const std::string& backend = config_.backends[worker.backend].name;
    const std::string name = "worker " + std::to_string(worker.process.pid) + " (" + backend + ") ";
    if (worker.is_condemned && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        log_.warning(name + "was killed: it was past its deadline, or gave an answer that is none");
    else
        log_.warning(name + wait_status_text(status));
    if (!is_ready_ && WIFEXITED(status) && WEXITSTATUS(status) == worker_cannot_work)
        fail_start("backend " + backend + " cannot work");
}

void Supervisor::connect_front_to_syslog()
{
    const UniqueFd socket = connect_syslog();
    if (socket.is_open())
        tell_front(SyslogSocket{}, socket.get());
    else
        syslog_timer_.schedule(clock_.now() + grace);
}

/// No new connection is made from here on; the front serves those that are there and ends.
void Supervisor::finish(Duration patience)
{
    is_finishing_ = true;
    listeners_.clear();
    front_timer_.cancel();
    end_timer_.schedule(clock_.now() + patience);
    tell_front(Finish{});
    reap();
}

/// The front may still have to log why.
void Supervisor::fail_start(const std::string& problem)
{
    if (is_finishing_)
        return;
    log_.error("cannot start: " + problem);
    exit_status_ = EXIT_FAILURE;
    finish(grace);
}

void Supervisor::kill_overdue()
{
    TimePoint next = TimePoint::max();
    for (auto& [pid, worker] : workers_)
        if (worker.ends_by <= clock_.now())
            kill_process(worker.process);
        else
            next = std::min(next, worker.ends_by);
    overdue_timer_.schedule(next);
}

void Supervisor::kill_all()
{
    if (front_)
        kill_process(front_->process);
    for (auto& [pid, worker] : workers_)
        kill_process(worker.process);
}

} // namespace

int run_supervisor(Config config)
{
    ::signal(SIGPIPE, SIG_IGN);
    ::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0U); // whatever the caller forgot to close
    return Supervisor{std::move(config)}.run();
}

} // namespace postern
