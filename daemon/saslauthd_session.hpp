// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/peer_socket.hpp"
#include "base/secret.hpp"
#include "daemon/authenticator.hpp"
#include "daemon/config.hpp"
#include "protocol/saslauthd.hpp"

#include <functional>
#include <list>
#include <optional>

namespace postern {

class SaslauthdSession;
using SessionList = std::list<SaslauthdSession>;

/// What sessions share: the front lends it to each.
struct SessionServices {
    EventLoop& loop;
    Log& log;
    SecretArena& secrets;
    Authenticator& authenticator;
    Secret& scratch;                                   ///< a slot to read into; nothing stays in it
    std::function<void(SessionList::iterator)> on_end; ///< destroys the session
};

/// One accepted connection that speaks the saslauthd protocol: reads one request, has it authenticated,
/// replies, ends.
///
/// Reads as soon as it begins, and holds no buffer and no entry in epoll unless its peer makes it wait. It
/// ends at its deadline, whatever its peer does: says nothing, says half, or never stops.
class SaslauthdSession {
public:
    SaslauthdSession(const SessionServices& services, const ListenerConfig& listener, UniqueFd socket);

    /// Takes what the peer has sent by now. May end the session, which stands at `self`, and so destroy it.
    void begin(SessionList::iterator self);

    /// Whether it waits for its peer, and may be ended to make room for others.
    [[nodiscard]] bool is_idle() const noexcept { return state_ != State::authenticating; }

    /// Ends it if its request is not complete by `when`. One that is complete has its full time.
    void hurry(TimePoint when);

private:
    enum class State : std::uint8_t { reading, authenticating, draining };

    void serve();
    void fail(const std::exception& error);
    void read();
    void take(std::string_view bytes);
    void use(const saslauthd::Fields& fields);
    void refuse(const saslauthd::Refused& refused);
    void keep(std::string_view bytes);
    void wait_for_peer();
    void finish(Verdict verdict, bool drains);
    void finish(std::string_view reply_bytes, bool drains);
    void drain();
    void on_deadline();
    void end();

    const SessionServices& services_;
    const ListenerConfig& listener_;
    PeerSocket socket_;
    SessionList::iterator self_;
    TimePoint deadline_;    ///< for the whole of it
    TimePoint waits_until_; ///< for its peer
    State state_ = State::reading;
    bool drains_ = false;          ///< the peer sent more than was taken: closing now could cost it the reply
    Secret received_;              ///< an incomplete request
    std::optional<FdWatch> watch_; ///< only while waiting for the peer
    Timer timer_;
};

} // namespace postern
