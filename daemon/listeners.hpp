// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
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
    Listeners(EventLoop& loop, Log& log, SecretArena& secrets, Authenticator& authenticator,
              std::size_t sessions_max);
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

    [[nodiscard]] std::size_t sessions() const noexcept { return sessions_.size(); }

    /// Sessions that made room for others.
    [[nodiscard]] std::uint64_t displaced() const noexcept { return displaced_; }

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

    void accept_from(Listener& listener);
    [[nodiscard]] bool accept_one(Listener& listener);
    void end_session(SessionList::iterator session);
    [[nodiscard]] std::unique_ptr<Session> make_session(const ListenerConfig& config, UniqueFd socket) const;
    template <typename Act>
    void for_each_session(Act act);
    [[nodiscard]] SessionList::iterator longest_idle(const Listener& newcomers);
    [[nodiscard]] SessionList::iterator longest_idle_of(const ListenerConfig& config);
    [[nodiscard]] std::size_t sessions_of(const ListenerConfig& config) const;
    void displace(SessionList::iterator idle);
    [[nodiscard]] bool cannot_accept(const Listener& listener, int error);
    void pause();
    void resume();

    EventLoop& loop_;
    std::size_t sessions_max_;
    Secret scratch_;
    SessionServices services_;
    Timer resume_timer_; ///< scheduled while nobody is accepted
    std::list<Listener> listeners_;
    SessionList sessions_; ///< in the order of their arrival
    std::uint64_t displaced_ = 0;
    bool is_closed_ = false;
};

} // namespace postern
