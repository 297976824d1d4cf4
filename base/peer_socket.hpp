// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace postern {

/// A connected, non-blocking stream socket whose other end belongs to somebody we do not trust.
///
/// No call on it ever waits, and neither does its end: descriptors that a peer sends along, which could make
/// closing them take as long as the peer likes, are refused by the kernel where it can, and taken and made
/// harmless where it cannot.
class PeerSocket {
public:
    enum class Received : std::uint8_t {
        bytes,
        nothing, ///< none are there now
        end,     ///< the peer sends no more, is gone, or has sent descriptors
    };

    struct Incoming {
        Received state = Received::nothing;
        std::size_t size = 0;
    };

    /// `brings_descriptors`: the kernel does not refuse them (refuses_descriptors()).
    PeerSocket(UniqueFd socket, bool brings_descriptors) noexcept;
    PeerSocket(const PeerSocket&) = delete;
    PeerSocket& operator=(const PeerSocket&) = delete;
    ~PeerSocket();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

    [[nodiscard]] Incoming receive(std::span<char> buffer);
    /// False when not all of `bytes` went out at once.
    [[nodiscard]] bool send(std::string_view bytes) noexcept;
    /// The peer reads the end of the stream; we may still receive.
    void end_sending() noexcept;

private:
    UniqueFd socket_;
    bool brings_descriptors_;
};

} // namespace postern
