// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/peer_socket.hpp"
#include "base/randomness.hpp"
#include "base/secret.hpp"
#include "daemon/authenticator.hpp"
#include "daemon/config.hpp"

#include <functional>
#include <list>
#include <memory>

namespace postern {

class Session;
using SessionList = std::list<std::unique_ptr<Session>>;

/// What the sessions of a listener share: Listeners lends it to each.
struct SessionServices {
    EventLoop& loop;
    Log& log;
    SecretArena& secrets;
    Authenticator& authenticator;
    Secret& scratch; ///< a slot to read into; nothing stays in it
    const RandomBytes& random_bytes;
    std::function<void(SessionList::iterator)> on_end; ///< destroys the session
    /// It has heard its peer, or is_idle() may have changed.
    std::function<void(SessionList::iterator)> on_activity;
};

/// One accepted connection, in the protocol of its listener. Lives in the front, where nothing of it waits,
/// and nothing of it grows without bound.
class Session {
public:
    explicit Session(const ListenerConfig& listener) : listener_{listener} {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session() = default;

    /// Takes what the peer has sent by now. May end the session, which stands at `self`, and so destroy it.
    virtual void begin(SessionList::iterator self) = 0;

    /// Whether it waits for its peer alone, and may be ended to make room for others. Never while the
    /// Authenticator, which will call it back, has a request of it.
    [[nodiscard]] virtual bool is_idle() const noexcept = 0;

    /// The daemon stops: ends one that is idle if its request is not complete by `when`. One that is complete
    /// has its full time.
    virtual void hurry(TimePoint when) = 0;

    /// Another front is there for what comes next: one that could go on for ever ends with what it has begun.
    virtual void finish() {}

    /// That it came in by.
    [[nodiscard]] const ListenerConfig& listener() const noexcept { return listener_; }

protected:
    /// Of its logins. The peer costs a system call: it is asked for where the log has a place for it.
    [[nodiscard]] LoginOrigin origin(const Log& log, const PeerSocket& socket) const noexcept
    {
        return {listener_.name, log.writes_json() ? socket.peer() : std::nullopt};
    }

private:
    const ListenerConfig& listener_;
};

} // namespace postern
