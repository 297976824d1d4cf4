// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <sys/socket.h>

#include <array>
#include <vector>

namespace postern {

/// The kernel passes at most this many descriptors with one message (SCM_MAX_FD).
inline constexpr std::size_t passed_descriptors_max = 253;

/// Room for all of them, for recvmsg(2): what does not fit would be closed by the kernel, on our time.
struct alignas(cmsghdr) ControlBuffer {
    std::array<char, CMSG_SPACE(passed_descriptors_max * sizeof(int))> bytes;
};

/// Takes over what the kernel has put into this process with a message.
///
/// They are made harmless at once: closing the last reference to a TCP socket that lingers (SO_LINGER) can
/// take as long as its maker likes, so lingering is switched off.
[[nodiscard]] std::vector<UniqueFd> take_descriptors(msghdr& message);

/// Lets the kernel refuse descriptors on a UNIX socket, and on those accepted from it (SO_PASSRIGHTS, Linux
/// 6.16). Does nothing on an older kernel.
void refuse_descriptors(int socket) noexcept;

/// Whether the kernel refuses them.
[[nodiscard]] bool refuses_descriptors(int socket) noexcept;

} // namespace postern
