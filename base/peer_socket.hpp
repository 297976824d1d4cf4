// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace postern {

/// The process that connected, as the kernel knows it.
struct PeerIdentity {
    std::uint32_t uid = 0;
    std::uint32_t pid = 0; ///< 0: it is none of ours to see
};

/// A connected stream socket whose other end belongs to somebody we do not trust. No call on it ever waits.
///
/// Descriptors that a peer sends along are never taken: the kernel refuses them (refuse_descriptors()), or an
/// older one drops them. Taking them, even to close them, would be worse: closing a file of a FUSE file
/// system waits for its maker, and not even SIGKILL ends that.
class PeerSocket {
public:
    enum class Received : std::uint8_t {
        bytes,
        nothing, ///< none are there now
        end,     ///< the peer sends no more, or is gone
    };

    struct Incoming {
        Received state = Received::nothing;
        std::size_t size = 0;
    };

    explicit PeerSocket(UniqueFd socket) noexcept : socket_{std::move(socket)} {}

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

    /// Who connected (SO_PEERCRED), also when it is gone. Nothing when the kernel does not tell.
    [[nodiscard]] std::optional<PeerIdentity> peer() const noexcept;

    [[nodiscard]] Incoming receive(std::span<char> buffer) noexcept;
    /// False when not all of `bytes` went out at once.
    [[nodiscard]] bool send(std::string_view bytes) noexcept;
    /// How many of `bytes` went out at once; nothing when the peer is gone.
    [[nodiscard]] std::optional<std::size_t> send_part(std::string_view bytes) noexcept;
    /// The peer reads the end of the stream; we may still receive.
    void end_sending() noexcept;
    /// Whoever sends us something from now on is told that nobody takes it. What was sent before can still be
    /// received, and then the end.
    void end_receiving() noexcept;

private:
    UniqueFd socket_;
};

/// Lets the kernel refuse descriptors on a UNIX socket, and on those accepted from it (SO_PASSRIGHTS, Linux
/// 6.16). Does nothing on an older kernel.
void refuse_descriptors(int socket) noexcept;

} // namespace postern
