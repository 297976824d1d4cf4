// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listeners.hpp"

#include "daemon/dovecot_session.hpp"
#include "daemon/saslauthd_session.hpp"

#include <sys/socket.h>

#include <cerrno>
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

Listeners::Listeners(EventLoop& loop, Log& log, SecretArena& secrets, RandomBytes random_bytes,
                     Authenticator& authenticator, std::size_t sessions_max)
    : loop_{loop}
    , sessions_max_{sessions_max}
    , scratch_{secrets, {}}
    , random_bytes_{std::move(random_bytes)}
    , services_{loop, log, secrets, authenticator, scratch_, random_bytes_, {}, {}}
    , resume_timer_{loop, [this] { resume(); }}
{
}

void Listeners::add(const ListenerConfig& config, UniqueFd socket)
{
    Listener& listener = listeners_.emplace_back(config, std::move(socket), services_);
    listener.services.on_end = [this, &listener](SessionList::iterator session) {
        end_session(listener, session);
    };
    listener.services.on_activity = [&listener](SessionList::iterator session) {
        listener.sessions.note_activity(session);
    };
}

std::size_t Listeners::sessions() const noexcept
{
    std::size_t sessions = 0;
    for (const Listener& listener : listeners_)
        sessions += listener.sessions.size();
    return sessions;
}

/// Who has the fewest sessions gets what is free first.
void Listeners::open()
{
    listeners_.sort([](const Listener& one, const Listener& other) {
        return one.sessions.size() < other.sessions.size();
    });
    for (Listener& listener : listeners_)
        if (!listener.watch)
            listener.watch.emplace(loop_, listener.socket.get(), EPOLLIN, [this, &listener](std::uint32_t) {
                accept_from(listener, accepts_a_turn);
            });
}

void Listeners::close(bool takes_waiting)
{
    is_closed_ = true;
    for (Listener& listener : listeners_) {
        if (takes_waiting)
            accept_from(listener, SOMAXCONN);
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
    for (const Listener& listener : listeners_)
        for (Session* const session : listener.sessions.all())
            act(*session);
}

/// Who is answered at once has his answer before the next one is looked at: he is at work while that is done.
void Listeners::accept_from(Listener& listener, int most)
{
    for (int i = 0; i < most && accept_one(listener); ++i)
        services_.authenticator.let_leave();
}

/// False when nobody waits, or nobody can be served now.
bool Listeners::accept_one(Listener& listener)
{
    const bool is_full = sessions() >= sessions_max_;
    Listener* const crowded = is_full ? who_makes_room(listener) : nullptr;
    if (is_full && crowded == nullptr) {
        pause(listener);
        return false;
    }
    UniqueFd socket{::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket.is_open())
        return cannot_accept(listener, errno);
    if (crowded != nullptr)
        displace(*crowded);
    const auto session = listener.sessions.add(make_session(listener, std::move(socket)));
    (*session)->begin(session);
    return true;
}

std::unique_ptr<Session> Listeners::make_session(const Listener& listener, UniqueFd socket)
{
    if (listener.config.protocol == ListenerProtocol::dovecot)
        return std::make_unique<DovecotSession>(listener.services, listener.config, std::move(socket),
                                                ++connections_);
    return std::make_unique<SaslauthdSession>(listener.services, listener.config, std::move(socket));
}

void Listeners::end_session(Listener& listener, SessionList::iterator session)
{
    listener.sessions.erase(session);
    if (resume_timer_.is_scheduled())
        resume_timer_.schedule(loop_.clock().now()); // not from here: a session is still on the stack
}

/// The listener whose longest idle session goes when somebody else may have something to say: the one that
/// has the most sessions, so that who floods one is in the way of no other. Never one that has fewer than the
/// newcomer's own. Null when nobody is idle.
Listeners::Listener* Listeners::who_makes_room(Listener& newcomers)
{
    std::size_t most = newcomers.sessions.size();
    Listener* crowded = newcomers.sessions.has_idle() ? &newcomers : nullptr;
    for (Listener& listener : listeners_)
        if (listener.sessions.size() > most && listener.sessions.has_idle()) {
            most = listener.sessions.size();
            crowded = &listener;
        }
    return crowded;
}

void Listeners::displace(Listener& listener)
{
    ++displaced_;
    listener.sessions.erase_longest_idle();
}

/// Whether to try again at once.
bool Listeners::cannot_accept(Listener& listener, int error)
{
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
        return false;
    Listener* const crowded = error == EMFILE || error == ENFILE ? who_makes_room(listener) : nullptr;
    if (crowded == nullptr) {
        pause(listener);
        return false;
    }
    displace(*crowded); // descriptors have run out before the bound on sessions was reached
    return true;
}

/// Everybody who is here is being served: the others wait in the backlog until one of them is done, or until
/// there are descriptors again. Those of another listener may have somebody who makes room.
void Listeners::pause(Listener& listener)
{
    listener.watch.reset();
    if (!resume_timer_.is_scheduled())
        resume_timer_.schedule(loop_.clock().now() + pause_when_full);
}

void Listeners::resume()
{
    resume_timer_.cancel();
    if (!is_closed_)
        open();
}

} // namespace postern
