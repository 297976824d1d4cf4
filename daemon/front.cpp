// SPDX-License-Identifier: BSD-2-Clause
//
// One thread, one event loop, no locks. The member list of Front, in order, is its architecture: what it is
// told, what it talks through, who decides, who is being served.
#include "daemon/front.hpp"

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_channel.hpp"
#include "base/posix_error.hpp"
#include "base/secret.hpp"
#include "base/version.hpp"
#include "daemon/authenticator.hpp"
#include "daemon/control_listener.hpp"
#include "daemon/sandbox.hpp"
#include "daemon/saslauthd_session.hpp"
#include "daemon/setup.hpp"
#include "daemon/system_call_filter.hpp"
#include "daemon/workforce.hpp"
#include "protocol/supervisor_messages.hpp"
#include "protocol/worker_messages.hpp"

#include <sodium.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <list>
#include <map>
#include <optional>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// Descriptors that are no sessions: standard streams, channel, epoll, timer, log, listeners, and room to
/// accept the connection that makes another one end.
constexpr std::uint32_t descriptors_reserved = 64;
/// Connections accepted before others get their turn.
constexpr int accepts_a_turn = 64;
/// How long nobody is accepted when nobody can be, unless somebody leaves before.
constexpr auto pause_when_full = 100ms;
/// At the end, a peer gets this long to complete a request that it has begun.
constexpr auto last_words = 500ms;

/// Those that were replaced hold their channel for a moment longer.
std::uint64_t workers_possible(const FrontSetup& setup)
{
    std::uint64_t workers = 0;
    for (const PoolSetup& pool : setup.pools)
        workers += std::uint64_t{pool.config.workers_max} + pool.config.workers;
    return workers;
}

std::vector<std::string> names_of(const std::vector<PoolSetup>& pools)
{
    std::vector<std::string> names;
    for (const PoolSetup& pool : pools)
        names.push_back(pool.backend);
    return names;
}

std::uint32_t sessions_possible(const FrontSetup& setup)
{
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    const std::uint64_t taken = descriptors_reserved + setup.listeners.size() +
                                ControlListener::sessions_max + workers_possible(setup);
    const std::uint64_t possible = limit.rlim_cur > taken + 16 ? limit.rlim_cur - taken : 16;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(setup.sessions_max, possible));
}

std::size_t slot_bytes(const FrontSetup& setup)
{
    std::size_t bytes = 0;
    for (const ListenerConfig& listener : setup.listeners)
        bytes = std::max({bytes, saslauthd::request_bytes_max(listener.field_bytes_max),
                          worker_message_bytes_max(listener.field_bytes_max)});
    return bytes;
}

/// What the log is written to comes behind the listening sockets and the control socket.
DescriptorLog open_log(const FrontSetup& setup, std::vector<UniqueFd>& descriptors)
{
    DescriptorLog log{setup.log_style};
    std::size_t next = setup.listeners.size() + 1;
    if (setup.uses_syslog)
        log.set_syslog(setup.has_syslog ? std::move(descriptors.at(next++)) : UniqueFd{});
    if (setup.has_stream)
        log.set_stream(std::move(descriptors.at(next)));
    return log;
}

class Front final : private ControlHost {
public:
    Front(MessageSocket channel, FrontSetup setup, std::vector<UniqueFd> descriptors, DescriptorLog& log);

    void run();

private:
    struct Listener {
        Listener(const ListenerConfig& listener_config, UniqueFd listening_socket)
            : config{listener_config}, socket{std::move(listening_socket)}
        {
        }

        const ListenerConfig& config;
        UniqueFd socket;
        std::optional<FdWatch> watch{};
    };

    void listen();
    void accept_from(Listener& listener);
    bool accept_one(Listener& listener);
    void end_session(SessionList::iterator session);
    [[nodiscard]] SessionList::iterator longest_idle();
    void displace(SessionList::iterator idle);
    [[nodiscard]] bool cannot_accept(int error);
    void pause_listening();
    void resume_listening();

    void on_supervisor();
    void take(const WorkerStarted& started, UniqueFd descriptor);
    void take(const WorkerEnded& ended, UniqueFd);
    void take(const SyslogSocket&, UniqueFd descriptor);
    void take(const Ping&, UniqueFd);
    void take(const Open&, UniqueFd);
    void take(const Finish& finish, UniqueFd);
    void take(const ReloadEnded& ended, UniqueFd);
    void tell_supervisor(const FrontMessage& message);
    void lose_supervisor();
    void finish_serving(bool is_stop);
    void close(Listener& listener);
    void hurry_peers();

    void end_turn();
    void open_when_ready();
    void serve_on_alone();

    [[nodiscard]] StatusReport status() const override;
    [[nodiscard]] std::vector<BackendStatus> status_of_backends() const;
    [[nodiscard]] std::variant<ReloadId, std::string> reload(OnReloadEnd on_end) override;
    void forget_reload(ReloadId reload) noexcept override { reloads_.erase(reload); }
    void finish() override { is_asked_to_finish_ = true; }
    void finish_unless_supervised();

    FrontSetup setup_;
    SystemClock clock_;
    DescriptorLog& log_;
    std::size_t sessions_max_;
    SecretArena secrets_;
    Secret scratch_;
    EventLoop loop_;
    std::optional<MessageChannel> supervisor_; ///< none: it is gone
    Timer wake_up_;
    Timer resume_timer_; ///< scheduled while listening is paused
    std::list<Listener> listeners_;
    Workforce workforce_;
    Authenticator authenticator_;
    SessionServices services_;
    SessionList sessions_; ///< in the order of their arrival
    std::uint64_t sessions_displaced_ = 0;
    std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
    std::map<ReloadId, OnReloadEnd> reloads_; ///< asked of the supervisor
    ReloadId next_reload_ = 1;
    ControlListener control_;
    bool is_asked_to_finish_ = false;
    bool is_alone_ = false;
    bool is_listening_ = false;
    bool is_ready_ = false;
    bool is_finishing_ = false;
    bool has_told_of_unlocked_memory_ = false;
};

Front::Front(MessageSocket channel, FrontSetup setup, std::vector<UniqueFd> descriptors, DescriptorLog& log)
    : setup_{std::move(setup)}
    , log_{log}
    , sessions_max_{sessions_possible(setup_)}
    , secrets_{slot_bytes(setup_), 2 * sessions_max_ + 16}
    // a session holds a buffer or a request, seldom both
    , scratch_{secrets_, {}}
    , loop_{clock_}
    , wake_up_{loop_, [] {}} // what is due is found at the end of the turn
    , resume_timer_{loop_, [this] { resume_listening(); }}
    , workforce_{loop_,
                 log_,
                 secrets_,
                 randombytes_uniform,
                 [this](const FrontMessage& message) { tell_supervisor(message); },
                 setup_.pools}
    , authenticator_{clock_,
                     log_,
                     randombytes_uniform,
                     workforce_.pools(),
                     {setup_.routes, names_of(setup_.pools), setup_.delayed_max, setup_.success_level}}
    , services_{loop_,          log_,     secrets_,
                authenticator_, scratch_, [this](SessionList::iterator session) { end_session(session); }}
    , control_{loop_, log_, *this, std::move(descriptors.at(setup_.listeners.size()))}
{
    supervisor_.emplace(loop_, std::move(channel), [this] { on_supervisor(); });
    log_.on_syslog_lost([this] { tell_supervisor(NeedSyslog{}); });
    for (std::size_t i = 0; i < setup_.listeners.size(); ++i)
        listeners_.emplace_back(setup_.listeners[i], std::move(descriptors.at(i)));
    loop_.at_turn_end([this] { end_turn(); });
    if (!setup_.waits_to_open)
        control_.open();
}

void Front::run()
{
    loop_.run();
}

/// What is due in all parts, once a turn; then sleep until the next thing is.
void Front::end_turn()
{
    if (is_alone_ && supervisor_)
        serve_on_alone();
    workforce_.end_overdue();                                 // what ends there leaves at once,
    const TimePoint next_login = authenticator_.tick();       // and what is given up here costs a worker,
    const TimePoint next_worker = workforce_.start_missing(); // who is replaced
    wake_up_.schedule(std::min(next_login, next_worker));
    if (!secrets_.is_locked() && !std::exchange(has_told_of_unlocked_memory_, true))
        log_.warning("not all memory with passwords could be locked: they may reach swap space");
    if (!is_finishing_)
        open_when_ready();
    if (is_asked_to_finish_)
        finish_unless_supervised();
    if (is_finishing_ && sessions_.empty() && reloads_.empty())
        loop_.stop();
}

/// A backend that does not come up keeps nobody waiting whom another one can serve; but the daemon has only
/// started when all have.
void Front::open_when_ready()
{
    if (!is_listening_ && !setup_.waits_to_open && workforce_.has_settled()) {
        is_listening_ = true;
        listen();
    }
    if (!is_ready_ && workforce_.has_been_ready()) {
        is_ready_ = true;
        tell_supervisor(FrontReady{});
    }
}

/// Its supervisor was killed. The sockets are still there, and so are the workers: nobody who logs in need
/// notice, until another daemon takes over, or the last worker has ended.
void Front::serve_on_alone()
{
    supervisor_.reset();
    workforce_.on_supervisor_lost();
    if (is_finishing_)
        return;
    if (setup_.waits_to_open) // another front serves, with a configuration that is known to work
        return finish_serving(true);
    log_.error("the supervisor is gone: this front serves on with the workers that it has");
    for (const auto& [id, on_end] : std::exchange(reloads_, {}))
        on_end("the supervisor is gone");
}

/// Asked by a daemon that takes over from a supervisor that is dead; which may be known only now.
void Front::finish_unless_supervised()
{
    is_asked_to_finish_ = false;
    on_supervisor();
    if (is_alone_ || !supervisor_)
        finish_serving(false);
    else
        log_.warning("the front was asked to finish, but has a supervisor: it serves on");
}

// --- the control socket ------------------------------------------------------------------------------------

StatusReport Front::status() const
{
    StatusReport report;
    report.version = version;
    report.supervisor = supervisor_ && !is_alone_ ? setup_.supervisor : 0;
    report.front = static_cast<std::uint32_t>(::getpid());
    report.since = std::chrono::system_clock::to_time_t(since_);
    report.is_finishing = is_finishing_;
    report.logins = authenticator_.counts().verdicts;
    report.sessions = sessions_.size();
    report.sessions_max = sessions_max_;
    report.sessions_displaced = sessions_displaced_;
    report.delayed = authenticator_.delayed();
    report.delayed_max = setup_.delayed_max;
    report.left_early = authenticator_.counts().left_early;
    report.log_lines_dropped = log_.dropped_in_all();
    for (const ListenerConfig& listener : setup_.listeners)
        report.listeners.push_back({listener.name, listener.socket, setup_.routes[listener.route].name});
    report.backends = status_of_backends();
    return report;
}

std::vector<BackendStatus> Front::status_of_backends() const
{
    std::vector<BackendStatus> all;
    for (std::size_t i = 0; i < setup_.pools.size(); ++i) {
        const WorkerPool& pool = workforce_.pools()[i];
        BackendStatus backend;
        backend.name = setup_.pools[i].backend;
        backend.type = setup_.pools[i].type;
        backend.workers_ready = pool.config().workers;
        backend.workers_max = pool.config().workers_max;
        backend.workers = workforce_.status_of(pool);
        backend.waiting = pool.waiting();
        backend.queue_max = pool.config().queue_max;
        backend.declined = pool.counts().declined;
        backend.outwaited = pool.counts().outwaited;
        backend.workers_started = pool.counts().workers_started;
        backend.workers_lost = pool.counts().workers_lost;
        backend.decisions = authenticator_.counts().decisions[i];
        backend.servers = workforce_.status_of(pool.servers());
        all.push_back(std::move(backend));
    }
    return all;
}

std::variant<ControlHost::ReloadId, std::string> Front::reload(OnReloadEnd on_end)
{
    if (!supervisor_ || is_alone_)
        return "the supervisor is gone: start the daemon again, and it takes over";
    const ReloadId id = next_reload_++;
    reloads_.emplace(id, std::move(on_end));
    tell_supervisor(Reload{id});
    return id;
}

void Front::take(const ReloadEnded& ended, UniqueFd)
{
    auto reload = reloads_.extract(ended.request);
    if (!reload.empty())
        reload.mapped()(ended.problem);
}

// -----------------------------------------------------------------------------------------------------------

void Front::listen()
{
    for (Listener& listener : listeners_)
        listener.watch.emplace(loop_, listener.socket.get(), EPOLLIN,
                               [this, &listener](std::uint32_t) { accept_from(listener); });
}

void Front::accept_from(Listener& listener)
{
    for (int i = 0; i < accepts_a_turn && accept_one(listener); ++i) {
    }
}

/// False when nobody waits, or nobody can be served now.
bool Front::accept_one(Listener& listener)
{
    const bool is_full = sessions_.size() >= sessions_max_;
    const auto idle = is_full ? longest_idle() : sessions_.end();
    if (is_full && idle == sessions_.end()) {
        pause_listening();
        return false;
    }
    UniqueFd socket{::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket.is_open())
        return cannot_accept(errno);
    if (is_full)
        displace(idle);
    sessions_.emplace_back(services_, listener.config, std::move(socket));
    sessions_.back().begin(std::prev(sessions_.end()));
    return true;
}

void Front::end_session(SessionList::iterator session)
{
    sessions_.erase(session);
    if (resume_timer_.is_scheduled())
        resume_timer_.schedule(clock_.now()); // not from here: a session is still on the stack
}

/// The first to go when somebody else may have something to say.
SessionList::iterator Front::longest_idle()
{
    return std::ranges::find_if(sessions_, &SaslauthdSession::is_idle);
}

void Front::displace(SessionList::iterator idle)
{
    ++sessions_displaced_;
    sessions_.erase(idle);
}

/// Whether to try again at once.
bool Front::cannot_accept(int error)
{
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
        return false;
    const auto idle = error == EMFILE || error == ENFILE ? longest_idle() : sessions_.end();
    if (idle == sessions_.end()) {
        pause_listening();
        return false;
    }
    displace(idle); // descriptors have run out before the bound on sessions was reached
    return true;
}

/// Everybody who is here is being served: the others wait in the backlog until one of them is done, or until
/// there are descriptors again.
void Front::pause_listening()
{
    for (Listener& listener : listeners_)
        listener.watch.reset();
    resume_timer_.schedule(clock_.now() + pause_when_full);
}

void Front::resume_listening()
{
    resume_timer_.cancel();
    if (!is_finishing_)
        listen();
}

void Front::on_supervisor()
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    while (!is_alone_) {
        MessageSocket::Incoming incoming = supervisor_->receive_with_descriptors(buffer);
        if (incoming.state == MessageSocket::Received::nothing)
            return;
        const auto message = parse_supervisor_message(incoming.bytes);
        if (incoming.state != MessageSocket::Received::message || !message)
            return lose_supervisor();
        UniqueFd descriptor =
            incoming.descriptors.empty() ? UniqueFd{} : std::move(incoming.descriptors.front());
        std::visit([&](const auto& known) { take(known, std::move(descriptor)); }, *message);
    }
}

void Front::take(const WorkerStarted& started, UniqueFd descriptor)
{
    workforce_.on_started(started, MessageSocket{std::move(descriptor)});
}

void Front::take(const WorkerEnded& ended, UniqueFd)
{
    workforce_.on_ended(ended.worker);
}

void Front::take(const SyslogSocket&, UniqueFd descriptor)
{
    log_.set_syslog(std::move(descriptor));
}

void Front::take(const Ping&, UniqueFd)
{
    tell_supervisor(Pong{});
}

void Front::take(const Open&, UniqueFd)
{
    setup_.waits_to_open = false;
    control_.open();
}

void Front::take(const Finish& finish, UniqueFd)
{
    finish_serving(finish.is_stop);
}

/// A supervisor that does not read is gone, or hopeless.
void Front::tell_supervisor(const FrontMessage& message)
{
    std::array<char, front_message_bytes_max> buffer{};
    if (supervisor_ && !supervisor_->send(write_front_message(buffer, message)))
        lose_supervisor();
}

void Front::lose_supervisor()
{
    is_alone_ = true; // the channel itself is closed at the end of the turn: this may be a call from it
}

/// Everybody who has connected is still served; nobody new is.
void Front::finish_serving(bool is_stop)
{
    if (!std::exchange(is_finishing_, true)) {
        for (Listener& listener : listeners_)
            close(listener);
        control_.close();
        tell_supervisor(Finishing{});
    }
    if (is_stop)
        hurry_peers();
}

/// A front that never opened leaves its peers to the one that did.
void Front::close(Listener& listener)
{
    for (int i = 0; !setup_.waits_to_open && i < SOMAXCONN && accept_one(listener); ++i) {
    }
    listener.watch.reset();
    listener.socket.reset();
}

void Front::hurry_peers()
{
    for (SaslauthdSession& session : sessions_)
        if (session.is_idle())
            session.hurry(clock_.now() + last_words);
}

} // namespace

int run_front(MessageSocket channel)
{
    auto [setup, descriptors] = receive_front_setup(channel);
    DescriptorLog log = open_log(setup, descriptors);
    const bool lets_go_of_stderr = setup.lets_go_of_stderr;
    try {
        ::tzset(); // while its file can be opened
        enter_front_sandbox(setup.account, setup.drops_privileges);
        Front front{std::move(channel), std::move(setup), std::move(descriptors), log};
        if (lets_go_of_stderr)
            let_go_of_stderr();
        load_system_call_filter();
        front.run();
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        log.error(std::string{"front: "} + error.what());
        if (lets_go_of_stderr)
            std::cerr << "front: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}

} // namespace postern
