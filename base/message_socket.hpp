// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

/// One end of a pair of SOCK_SEQPACKET sockets: the channel between two processes of one daemon.
///
/// Carries whole messages, each with descriptors if need be. What the bytes mean is protocol/'s concern.
class MessageSocket {
public:
    static constexpr std::size_t descriptors_max = 128; ///< in one message; the kernel's own bound is 253

    enum class Received : std::uint8_t {
        message,
        nothing, ///< non-blocking, and none is there
        end,     ///< the other side is gone
        broken,  ///< longer than the buffer, or with descriptors that are not wanted: not one of ours
    };

    struct Incoming {
        Received state = Received::nothing;
        std::string_view bytes; ///< in the buffer that was lent
        std::vector<UniqueFd> descriptors;
    };

    MessageSocket() noexcept = default;

    explicit MessageSocket(UniqueFd socket) noexcept : socket_{std::move(socket)} {}

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

    [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }

    void close() noexcept { socket_.reset(); }

    [[nodiscard]] UniqueFd release() noexcept { return std::move(socket_); }

    void set_non_blocking();

    /// False when the other side is gone or, non-blocking, does not read; nothing was sent then.
    [[nodiscard]] bool send(std::string_view bytes, std::span<const int> descriptors = {}) noexcept;

    /// The next message, its bytes in `buffer`. From a side that may be hostile: descriptors that come along
    /// are never taken, since closing one can wait for as long as its maker likes.
    [[nodiscard]] Incoming receive(std::span<char> buffer);
    /// The same from a side that is trusted, with up to descriptors_max of them.
    [[nodiscard]] Incoming receive_with_descriptors(std::span<char> buffer);

private:
    [[nodiscard]] Incoming receive(std::span<char> buffer, msghdr& header);

    UniqueFd socket_;
};

/// Two connected ends, both closed on exec. Throws std::system_error.
[[nodiscard]] std::pair<MessageSocket, MessageSocket> make_message_sockets();

} // namespace postern
