// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listeners.hpp"

#include "daemon/dovecot_session.hpp"
#include "daemon/saslauthd_session.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// Connections accepted before others get their turn.
constexpr int accepts_a_turn = 64;
/// How long nobody is accepted when nobody can be, unless somebody leaves before.
constexpr auto pause_when_full = 100ms;
/// At the end, a peer gets this long to complete a request that it has begun.
constexpr auto last_words = 500ms;

} // namespace

Listeners::Listeners(EventLoop& loop, Log& log, SecretArena& secrets, Authenticator& authenticator,
                     std::size_t sessions_max)
    : loop_{loop}
    , sessions_max_{sessions_max}
    , scratch_{secrets, {}}
    , services_{loop,          log,      secrets,
                authenticator, scratch_, [this](SessionList::iterator session) { end_session(session); }}
    , resume_timer_{loop, [this] { resume(); }}
{
}

void Listeners::add(const ListenerConfig& config, UniqueFd socket)
{
    listeners_.emplace_back(config, std::move(socket));
}

void Listeners::open()
{
    for (Listener& listener : listeners_)
        listener.watch.emplace(loop_, listener.socket.get(), EPOLLIN,
                               [this, &listener](std::uint32_t) { accept_from(listener); });
}

void Listeners::close(bool takes_waiting)
{
    is_closed_ = true;
    for (Listener& listener : listeners_) {
        for (int i = 0; takes_waiting && i < SOMAXCONN && accept_one(listener); ++i) {
        }
        listener.watch.reset();
        listener.socket.reset();
    }
    for_each_session([](Session& session) { session.finish(); });
}

void Listeners::hurry_peers()
{
    for_each_session([this](Session& session) { session.hurry(loop_.clock().now() + last_words); });
}

/// `act` may end the session.
template <typename Act>
void Listeners::for_each_session(Act act)
{
    for (auto next = sessions_.begin(); next != sessions_.end();)
        act(**next++);
}

void Listeners::accept_from(Listener& listener)
{
    for (int i = 0; i < accepts_a_turn && accept_one(listener); ++i) {
    }
}

/// False when nobody waits, or nobody can be served now.
bool Listeners::accept_one(Listener& listener)
{
    const bool is_full = sessions_.size() >= sessions_max_;
    const auto idle = is_full ? longest_idle(listener) : sessions_.end();
    if (is_full && idle == sessions_.end()) {
        pause();
        return false;
    }
    UniqueFd socket{::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket.is_open())
        return cannot_accept(listener, errno);
    if (is_full)
        displace(idle);
    sessions_.push_back(make_session(listener.config, std::move(socket)));
    sessions_.back()->begin(std::prev(sessions_.end()));
    return true;
}

std::unique_ptr<Session> Listeners::make_session(const ListenerConfig& config, UniqueFd socket) const
{
    if (config.protocol == ListenerProtocol::dovecot)
        return std::make_unique<DovecotSession>(services_, config, std::move(socket));
    return std::make_unique<SaslauthdSession>(services_, config, std::move(socket));
}

void Listeners::end_session(SessionList::iterator session)
{
    sessions_.erase(session);
    if (resume_timer_.is_scheduled())
        resume_timer_.schedule(loop_.clock().now()); // not from here: a session is still on the stack
}

/// The first to go when somebody else may have something to say: one of the listener that has the most
/// sessions, so that who floods one is in the way of no other. Never one of a listener that has fewer than
/// the newcomer's own.
SessionList::iterator Listeners::longest_idle(const Listener& newcomers)
{
    std::size_t most = sessions_of(newcomers.config);
    auto idle = longest_idle_of(newcomers.config);
    for (const Listener& listener : listeners_) {
        const std::size_t sessions = sessions_of(listener.config);
        const auto its = sessions > most ? longest_idle_of(listener.config) : sessions_.end();
        if (its == sessions_.end())
            continue;
        most = sessions;
        idle = its;
    }
    return idle;
}

SessionList::iterator Listeners::longest_idle_of(const ListenerConfig& config)
{
    return std::ranges::find_if(sessions_, [&](const auto& session) {
        return session->is_idle() && &session->listener() == &config;
    });
}

std::size_t Listeners::sessions_of(const ListenerConfig& config) const
{
    return static_cast<std::size_t>(std::ranges::count_if(
        sessions_, [&](const auto& session) { return &session->listener() == &config; }));
}

void Listeners::displace(SessionList::iterator idle)
{
    ++displaced_;
    sessions_.erase(idle);
}

/// Whether to try again at once.
bool Listeners::cannot_accept(const Listener& listener, int error)
{
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
        return false;
    const auto idle = error == EMFILE || error == ENFILE ? longest_idle(listener) : sessions_.end();
    if (idle == sessions_.end()) {
        pause();
        return false;
    }
    displace(idle); // descriptors have run out before the bound on sessions was reached
    return true;
}

/// Everybody who is here is being served: the others wait in the backlog until one of them is done, or until
/// there are descriptors again.
void Listeners::pause()
{
    for (Listener& listener : listeners_)
        listener.watch.reset();
    resume_timer_.schedule(loop_.clock().now() + pause_when_full);
}

void Listeners::resume()
{
    resume_timer_.cancel();
    if (!is_closed_)
        open();
}

} // namespace postern
