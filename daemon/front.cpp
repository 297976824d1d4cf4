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
#include "daemon/authenticator.hpp"
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

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <list>
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

std::uint32_t sessions_possible(const FrontSetup& setup)
{
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    const std::uint64_t taken = descriptors_reserved + setup.workers * setup.backends.size() * 2;
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

/// What the log is written to comes behind the listening sockets.
DescriptorLog open_log(const FrontSetup& setup, std::vector<UniqueFd>& descriptors)
{
    DescriptorLog log{setup.log_style};
    std::size_t next = setup.listeners.size();
    if (setup.uses_syslog)
        log.set_syslog(setup.has_syslog ? std::move(descriptors.at(next++)) : UniqueFd{});
    if (setup.has_stream)
        log.set_stream(std::move(descriptors.at(next)));
    return log;
}

class Front {
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
    [[nodiscard]] bool cannot_accept(int error);
    void pause_listening();
    void resume_listening();

    void on_supervisor();
    void take(const WorkerStarted& started, UniqueFd descriptor);
    void take(const WorkerEnded& ended, UniqueFd);
    void take(const SyslogSocket&, UniqueFd descriptor);
    void take(const Ping&, UniqueFd);
    void take(const Finish&, UniqueFd);
    void tell_supervisor(const FrontMessage& message);
    void lose_supervisor();
    void finish();

    void end_turn();
    void open_when_ready();

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
                 [this](const FrontMessage& message) { tell_supervisor(message); },
                 {setup_.backends.size(), setup_.workers, setup_.queue_max}}
    , authenticator_{clock_,
                     log_,
                     [](std::uint32_t bound) { return randombytes_uniform(bound); },
                     workforce_.pools(),
                     {setup_.route, setup_.backends, setup_.delayed_max}}
    , services_{loop_,          log_,     secrets_,
                authenticator_, scratch_, [this](SessionList::iterator session) { end_session(session); }}
{
    supervisor_.emplace(loop_, std::move(channel), [this] { on_supervisor(); });
    log_.on_syslog_lost([this] { tell_supervisor(NeedSyslog{}); });
    for (std::size_t i = 0; i < setup_.listeners.size(); ++i)
        listeners_.emplace_back(setup_.listeners[i], std::move(descriptors.at(i)));
    loop_.at_turn_end([this] { end_turn(); });
}

void Front::run()
{
    loop_.run();
}

/// What is due in all parts, once a turn; then sleep until the next thing is.
void Front::end_turn()
{
    if (is_alone_ && supervisor_) {
        supervisor_.reset();
        finish();
    }
    workforce_.end_overdue();                                 // what ends there leaves at once,
    const TimePoint next_login = authenticator_.tick();       // and what is given up here costs a worker,
    const TimePoint next_worker = workforce_.start_missing(); // who is replaced
    wake_up_.schedule(std::min(next_login, next_worker));
    if (!secrets_.is_locked() && !std::exchange(has_told_of_unlocked_memory_, true))
        log_.warning("not all memory with passwords could be locked: they may reach swap space");
    if (!is_finishing_)
        open_when_ready();
    if (is_finishing_ && sessions_.empty())
        loop_.stop();
}

/// A backend that does not come up keeps nobody waiting whom another one can serve; but the daemon has only
/// started when all have.
void Front::open_when_ready()
{
    if (!is_listening_ && workforce_.has_settled()) {
        is_listening_ = true;
        listen();
    }
    if (is_listening_ && !is_ready_ && workforce_.has_been_ready()) {
        is_ready_ = true;
        tell_supervisor(FrontReady{});
    }
}

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
        sessions_.erase(idle);
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
    sessions_.erase(idle); // descriptors have run out before the bound on sessions was reached
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
    workforce_.on_started(started.worker, MessageSocket{std::move(descriptor)});
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

void Front::take(const Finish&, UniqueFd)
{
    finish();
}

/// A supervisor that does not read is gone, or hopeless: the front would be of no use without one.
void Front::tell_supervisor(const FrontMessage& message)
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    if (supervisor_ && !supervisor_->send(write_front_message(buffer, message)))
        lose_supervisor();
}

void Front::lose_supervisor()
{
    is_alone_ = true; // the channel itself is closed at the end of the turn: this may be a call from it
}

/// Everybody who has connected is still served; nobody new is.
void Front::finish()
{
    if (std::exchange(is_finishing_, true))
        return;
    for (Listener& listener : listeners_) {
        for (int i = 0; i < SOMAXCONN && accept_one(listener); ++i) {
        }
        listener.watch.reset();
        listener.socket.reset();
    }
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
