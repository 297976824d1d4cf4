// SPDX-License-Identifier: BSD-2-Clause
#include "base/received_descriptors.hpp"

#include <cstring>

namespace postern {

namespace {

#ifdef SO_PASSRIGHTS
constexpr int pass_rights = SO_PASSRIGHTS;
#else
constexpr int pass_rights = 83; // asm-generic/socket.h
#endif

void stop_lingering(int fd) noexcept
{
    constexpr linger off{0, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off); // fails on anything but a socket
}

} // namespace

std::vector<UniqueFd> take_descriptors(msghdr& message)
{
    std::vector<UniqueFd> descriptors;
    for (cmsghdr* control = CMSG_FIRSTHDR(&message); control != nullptr;
         control = CMSG_NXTHDR(&message, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
            stop_lingering(fd);
            descriptors.emplace_back(fd);
        }
    }
    return descriptors;
}

void refuse_descriptors(int socket) noexcept
{
    constexpr int no = 0;
    ::setsockopt(socket, SOL_SOCKET, pass_rights, &no, sizeof no);
}

bool refuses_descriptors(int socket) noexcept
{
    int passes = 1;
    socklen_t size = sizeof passes;
    return ::getsockopt(socket, SOL_SOCKET, pass_rights, &passes, &size) == 0 && passes == 0;
}

} // namespace postern
