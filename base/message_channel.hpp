// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/message_socket.hpp"

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace postern {

/// A MessageSocket in an event loop: neither side ever waits for the other. What does not fit the socket now
/// waits here, in its order and up to a bound, with the descriptor that goes along.
class MessageChannel {
public:
    static constexpr std::size_t waiting_max = 2048;            ///< messages of a few bytes
    static constexpr std::size_t waiting_descriptors_max = 256; ///< of them with a descriptor

    MessageChannel(EventLoop& loop, MessageSocket socket, std::function<void()> on_readable);

    /// `descriptor` is lent, and none when negative. False when the other side is gone, or has not read for
    /// so long that it might as well be.
    [[nodiscard]] bool send(std::string_view bytes, int descriptor = -1);

    /// To be called from on_readable until nothing is there.
    [[nodiscard]] MessageSocket::Incoming receive(std::span<char> buffer) { return socket_.receive(buffer); }
    [[nodiscard]] MessageSocket::Incoming receive_with_descriptors(std::span<char> buffer)
    {
        return socket_.receive_with_descriptors(buffer);
    }

private:
    struct Waiting {
        std::string bytes;
        UniqueFd descriptor;
    };

    [[nodiscard]] bool send_now(std::string_view bytes, int descriptor) noexcept;
    void flush();

    MessageSocket socket_;
    std::function<void()> on_readable_;
    std::deque<Waiting> waiting_;
    std::size_t waiting_descriptors_ = 0;
    FdWatch watch_;
};

} // namespace postern
