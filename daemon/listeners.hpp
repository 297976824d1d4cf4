// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "daemon/listener_sessions.hpp"
#include "daemon/session.hpp"

#include <cstdint>
#include <list>
#include <optional>
#include <utility>

namespace postern {

/// The front's side of the sockets that logins come in by: accepts whoever connects, and holds the sessions.
/// When there are as many as there may be, the one that has been idle for longest makes room; when none is
/// idle, others wait in the backlog.
///
/// Knows of no protocol but which kind of session speaks it.
class Listeners {
public:
    /// The secrets must have a slot for it besides those of the sessions.
    Listeners(EventLoop& loop, Log& log, SecretArena& secrets, RandomBytes random_bytes,
              Authenticator& authenticator, std::size_t sessions_max);
    Listeners(const Listeners&) = delete;
    Listeners& operator=(const Listeners&) = delete;

    /// `config` outlives it. Before open().
    void add(const ListenerConfig& config, UniqueFd socket);

    /// Once, and from then on.
    void open();
    /// From now on nobody is accepted. `takes_waiting`: but whoever has connected already is, as far as there
    /// is room.
    void close(bool takes_waiting);
    /// Peers that have not sent a whole request have little time left.
    void hurry_peers();

    [[nodiscard]] std::size_t sessions() const noexcept;

    /// Sessions that made room for others.
    [[nodiscard]] std::uint64_t displaced() const noexcept { return displaced_; }

private:
    struct Listener {
        Listener(const ListenerConfig& listener_config, UniqueFd listening_socket,
                 const SessionServices& session_services)
            : config{listener_config}, socket{std::move(listening_socket)}, services{session_services}
        {
        }

        const ListenerConfig& config;
        UniqueFd socket;
        SessionServices services;
        ListenerSessions sessions{};
        std::optional<FdWatch> watch{};
    };

    void accept_from(Listener& listener, int most);
    [[nodiscard]] bool accept_one(Listener& listener);
    void end_session(Listener& listener, SessionList::iterator session);
    [[nodiscard]] std::unique_ptr<Session> make_session(const Listener& listener, UniqueFd socket);
    template <typename Act>
    void for_each_session(Act act);
    [[nodiscard]] Listener* who_makes_room(Listener& newcomers);
    void displace(Listener& listener);
    [[nodiscard]] bool cannot_accept(Listener& listener, int error);
    void pause(Listener& listener);
    void resume();

    EventLoop& loop_;
    std::size_t sessions_max_;
    Secret scratch_;
    RandomBytes random_bytes_;
    SessionServices services_; ///< but what is each listener's own
    Timer resume_timer_;       ///< scheduled while a listener accepts nobody
    std::list<Listener> listeners_;
    std::uint64_t displaced_ = 0;
    std::uint32_t connections_ = 0; ///< that have had a number
    bool is_closed_ = false;
};

} // namespace postern
