// SPDX-License-Identifier: BSD-2-Clause
//
// The supervisor is the only process that stays root, so it does little: it waits for signals, for the end of
// its children and for messages of a few bytes from the front. It holds the listening sockets, and so a front
// that dies loses nobody: connections wait in the backlog for the next one.
//
// The front asks for workers and says which to kill, because it alone knows the deadlines. A worker's channel
// is made here; its first message is the worker's set-up, and then the front gets the other end.
#include "daemon/supervisor.hpp"

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_channel.hpp"
#include "base/peer_socket.hpp"
#include "daemon/accounts.hpp"
#include "daemon/background.hpp"
#include "daemon/child_process.hpp"
#include "daemon/listening_socket.hpp"
#include "daemon/run_directory.hpp"
#include "daemon/setup.hpp"
#include "daemon/system_call_filter.hpp"
#include "daemon/worker_processes.hpp"
#include "protocol/supervisor_messages.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto start_max = 30s;            ///< until the first front serves, or the start has failed
constexpr auto pause_after_early_end = 1s; ///< between two fronts when one lives shorter than this
constexpr auto ping_interval = 1s;
constexpr int pings_unanswered_max = 5;
constexpr int messages_a_turn = 64;     ///< from the front, before signals get their turn
constexpr int last_messages_max = 1024; ///< of a front that is gone
constexpr auto grace = 1s;              ///< for what should end by itself

LogStyle log_style(const Config& config)
{
    return {config.ident, std::string(16, ' ') + ": ", config.is_verbose};
}

DescriptorLog open_log(const Config& config)
{
    DescriptorLog log{log_style(config)};
    if (config.stays_in_foreground)
        log.set_stream(open_error_stream());
    else // until the start is over, and only what whoever started it should know
        log.set_stream(open_error_stream(), LogLevel::warning);
    if (config.log != LogTarget::stderr_only)
        log.set_syslog(connect_syslog());
    return log;
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
    void take(const FrontReady&) { become_ready(); }
    void take(const StartWorker& order);
    void take(const KillWorker& order) { workers_.kill(order.worker); }
    void take(const ReleaseWorker& order) { workers_.release(order.worker); }
    void take(const NeedSyslog&) { connect_front_to_syslog(); }
    void take(const Pong&) { pings_unanswered_ = 0; }
    void take(const RefusedCall& call);
    void tell_front(const SupervisorMessage& message, int descriptor = -1);
    void become_ready();

    void on_signals();
    void reap();
    void on_front_ended(int status);
    void hear_last_words();
    void on_worker_ended(const WorkerProcesses::Ended& ended);
    void connect_front_to_syslog();

    void finish(Duration patience);
    void kill_all();
    void fail_start(const std::string& problem);

    Config config_;
    DescriptorLog log_;
    UniqueFd program_;
    Accounts accounts_;
    SystemClock clock_;
    EventLoop loop_;
    WorkerProcesses workers_;
    RunDirectory run_directory_;
    Background background_;
    std::vector<ListeningSocket> listeners_;
    UniqueFd signals_;
    FdWatch signals_watch_;
    Timer front_timer_;      ///< starts the next front after a pause
    Timer front_kill_timer_; ///< ends one that is of no use any more
    Timer ping_timer_;       ///< asks the front whether it still turns
    Timer syslog_timer_;     ///< looks for a syslog daemon again
    Timer end_timer_;        ///< ends a start, or a stop, that takes too long
    std::optional<Front> front_;
    int pings_unanswered_ = 0;
    bool is_ready_ = false;
    bool is_finishing_ = false;
    int exit_status_ = EXIT_SUCCESS;
};

Supervisor::Supervisor(Config config)
    : config_{std::move(config)}
    , log_{open_log(config_)}
    , program_{open_own_program()}
    , accounts_{config_.user, log_}
    , loop_{clock_}
    , workers_{loop_, log_, config_, accounts_}
    , run_directory_{config_.run_directory, !config_.stays_in_foreground}
    , background_{config_.stays_in_foreground}
    , signals_{open_signal_fd({SIGTERM, SIGINT, SIGHUP, SIGCHLD})}
    , signals_watch_{loop_, signals_.get(), EPOLLIN, [this](std::uint32_t) { on_signals(); }}
    , front_timer_{loop_, [this] { start_front(); }}
    , front_kill_timer_{loop_, [this] { kill_process(front_->process); }}
    , ping_timer_{loop_, [this] { ping_front(); }}
    , syslog_timer_{loop_, [this] { connect_front_to_syslog(); }}
    , end_timer_{loop_,
                 [this] { is_finishing_ ? kill_all() : fail_start("the backends did not become ready"); }}
{
    log_.on_syslog_lost([this] { log_.set_syslog(connect_syslog()); });
    for (const ListenerConfig& listener : config_.listeners)
        listeners_.emplace_back(listener.socket);
}

int Supervisor::run()
try {
    log_.info("master pid is: " + std::to_string(::getpid()));
    for (const std::string& note : config_.notes)
        log_.warning(note);
    end_timer_.schedule(clock_.now() + start_max);
    start_front();
    loop_.run();
    log_.info("master exited: " + std::to_string(::getpid()));
    return exit_status_;
} catch (const std::exception& error) {
    log_.error(std::string{"the supervisor ends: "} + error.what()); // the terminal may be gone
    throw;
}

void Supervisor::start_front()
try {
    if (is_finishing_)
        return;
    auto [ours, theirs] = make_message_sockets();
    refuse_descriptors(ours.fd()); // a front has none to give
    send_front_setup(ours);
    Front& front = front_.emplace(
        start_role(program_.get(), {"posternd", "front"}, theirs.fd(), shows_stderr()), clock_.now());
    front.channel.emplace(loop_, std::move(ours), [this] { on_front(); });
    pings_unanswered_ = 0;
    ping_timer_.schedule(clock_.now() + ping_interval);
} catch (const std::system_error& error) { // no process or descriptor to be had now
    log_.error(std::string{"the front could not be started: "} + error.what());
    if (front_)
        return close_front();
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

/// A few at a time: a front that strangers have taken over must not keep us from our signals.
void Supervisor::on_front()
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    for (int i = 0; i < messages_a_turn && front_->channel; ++i) {
        const MessageSocket::Incoming incoming = front_->channel->receive(buffer);
        if (incoming.state == MessageSocket::Received::nothing)
            return;
        const auto message = parse_front_message(incoming.bytes);
        if (incoming.state != MessageSocket::Received::message || !message)
            return close_front();
        std::visit([this](const auto& known) { take(known); }, *message);
    }
}

/// It has ended, is about to, or is not ours any more.
void Supervisor::close_front()
{
    front_->channel.reset();
    front_kill_timer_.schedule(clock_.now() + grace);
}

/// A front that is stopped, or hangs in a system call, serves nobody, and nobody else would notice.
void Supervisor::ping_front()
{
    if (!front_ || !front_->channel)
        return;
    if (++pings_unanswered_ > pings_unanswered_max) {
        log_.error("the front does not answer, and is killed");
        return kill_process(front_->process);
    }
    tell_front(Ping{});
    ping_timer_.schedule(clock_.now() + ping_interval);
}

void Supervisor::take(const StartWorker& order)
try {
    if (is_finishing_ || order.backend >= config_.backends.size() || workers_.is_full(order.backend))
        return tell_front(WorkerEnded{order.worker});
    const MessageSocket channel = workers_.start(program_.get(), order.backend, order.worker, shows_stderr());
    tell_front(WorkerStarted{order.worker}, channel.fd());
} catch (const std::system_error& error) { // no process or descriptor to be had now
    log_.error(std::string{"a worker could not be started: "} + error.what());
    tell_front(WorkerEnded{order.worker});
}

/// Its last words: the process has ended, or is about to.
void Supervisor::take(const RefusedCall& call)
{
    log_.error("the front was ended: its filter refused the system call " + system_call_name(call.number));
    close_front();
}

/// A front that does not read any more cannot serve either.
void Supervisor::tell_front(const SupervisorMessage& message, int descriptor)
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    if (front_ && front_->channel &&
        !front_->channel->send(write_supervisor_message(buffer, message), descriptor))
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
        else if (const auto ended = workers_.on_reaped(pid, status, is_finishing_))
            on_worker_ended(*ended);
    }
    if (is_finishing_ && !front_ && workers_.empty())
        loop_.stop();
}

void Supervisor::on_front_ended(int status)
{
    hear_last_words();
    const bool was_early = clock_.now() - front_->started < pause_after_early_end;
    const std::string name = "front " + std::to_string(front_->process.pid);
    front_kill_timer_.cancel();
    front_.reset();
    workers_.orphan_all(longest_deadline(config_) + grace);
    if (is_finishing_)
        return end_timer_.schedule(clock_.now() + grace);
    log_.error(name + ' ' + wait_status_text(status));
    if (!is_ready_)
        return fail_start("the front ended before it could serve");
    front_timer_.schedule(clock_.now() + (was_early ? pause_after_early_end : 0s));
}

/// What a front that is gone had asked for does not matter any more, but why it is gone does.
void Supervisor::hear_last_words()
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    for (int i = 0; i < last_messages_max && front_->channel; ++i) {
        const MessageSocket::Incoming incoming = front_->channel->receive(buffer);
        if (incoming.state != MessageSocket::Received::message)
            return;
        const auto message = parse_front_message(incoming.bytes);
        if (const auto* call = message ? std::get_if<RefusedCall>(&*message) : nullptr)
            take(*call);
    }
}

void Supervisor::on_worker_ended(const WorkerProcesses::Ended& ended)
{
    if (ended.id)
        tell_front(WorkerEnded{*ended.id});
    if (!is_ready_ && ended.cannot_work)
        fail_start("backend " + config_.backends[ended.backend].name + " cannot work");
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

void Supervisor::kill_all()
{
    if (front_)
        kill_process(front_->process);
    workers_.kill_all();
}

} // namespace

int run_supervisor(Config config)
{
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL); // a caller may have ignored it, and then no child could be reaped
    tidy_descriptors();
    return Supervisor{std::move(config)}.run();
}

} // namespace postern
