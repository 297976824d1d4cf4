// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/message_socket.hpp"

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// A MessageSocket in an event loop: neither side ever waits for the other. What does not fit the socket now
/// waits here, in its order and up to a bound, with the descriptors that go along.
class MessageChannel {
public:
    static constexpr std::size_t waiting_max = 2048;            ///< messages of a few bytes
    static constexpr std::size_t waiting_descriptors_max = 512; ///< of all of them together

    MessageChannel(EventLoop& loop, MessageSocket socket, std::function<void()> on_readable);

    /// `descriptors` are lent. False when the other side is gone, or has not read for so long that it might
    /// as well be.
    [[nodiscard]] bool send(std::string_view bytes, std::span<const int> descriptors = {});

    /// To be called from on_readable until nothing is there.
    [[nodiscard]] MessageSocket::Incoming receive(std::span<char> buffer) { return socket_.receive(buffer); }
    [[nodiscard]] MessageSocket::Incoming receive_with_descriptors(std::span<char> buffer)
    {
        return socket_.receive_with_descriptors(buffer);
    }

private:
    struct Waiting {
        std::string bytes;
        std::vector<UniqueFd> descriptors;
    };

    void flush();

    MessageSocket socket_;
    std::function<void()> on_readable_;
    std::deque<Waiting> waiting_;
    std::size_t waiting_descriptors_ = 0;
    FdWatch watch_;
};

} // namespace postern
