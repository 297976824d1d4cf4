// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/peer_socket.hpp"
#include "daemon/config.hpp"
#include "daemon/session.hpp"
#include "protocol/saslauthd.hpp"

#include <optional>

namespace postern {

/// One accepted connection that speaks the saslauthd protocol: reads one request, has it authenticated,
/// replies, ends.
///
/// Reads as soon as it begins, and holds no buffer and no entry in epoll unless its peer makes it wait. It
/// ends at its deadline, whatever its peer does: says nothing, says half, or never stops.
class SaslauthdSession final : public Session {
public:
    SaslauthdSession(const SessionServices& services, const ListenerConfig& listener, UniqueFd socket);

    void begin(SessionList::iterator self) override;
    [[nodiscard]] bool is_idle() const noexcept override { return state_ != State::authenticating; }
    void hurry(TimePoint when) override;

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
    void answer(const Outcome& outcome, bool drains);
    void answer(std::string_view reply_bytes, bool drains);
    void drain();
    void on_deadline();
    void end();

    const SessionServices& services_;
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
