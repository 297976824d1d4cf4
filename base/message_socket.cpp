// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_socket.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cstring>

namespace postern {

namespace {

struct alignas(cmsghdr) ControlBuffer {
    std::array<char, CMSG_SPACE(MessageSocket::descriptors_max * sizeof(int))> bytes;
};

/// Takes over what the kernel has put into this process, whatever the message turns out to be.
std::vector<UniqueFd> take_descriptors(msghdr& header)
{
    std::vector<UniqueFd> descriptors;
    for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr;
         control = CMSG_NXTHDR(&header, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(control) + i * sizeof fd, sizeof fd);
            descriptors.emplace_back(fd);
        }
    }
    return descriptors;
}

} // namespace

void MessageSocket::set_non_blocking()
{
    check(::fcntl(fd(), F_SETFL, O_NONBLOCK), "fcntl");
}

bool MessageSocket::send(std::string_view bytes, std::span<const int> descriptors) noexcept
{
    assert(descriptors.size() <= descriptors_max);
    iovec data{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    ControlBuffer control;
    if (!descriptors.empty()) {
        header.msg_control = control.bytes.data();
        header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
        cmsghdr* const rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(descriptors.size_bytes());
        std::memcpy(CMSG_DATA(rights), descriptors.data(), descriptors.size_bytes());
    }
    ssize_t sent = -1;
    do
        sent = ::sendmsg(fd(), &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0;
}

MessageSocket::Incoming MessageSocket::receive(std::span<char> buffer)
{
    msghdr header{};
    return receive(buffer, header);
}

MessageSocket::Incoming MessageSocket::receive_with_descriptors(std::span<char> buffer)
{
    ControlBuffer control; // not cleared: the kernel says how much of it counts
    msghdr header{};
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    Incoming incoming = receive(buffer, header);
    std::vector<UniqueFd> descriptors = take_descriptors(header);
    if (incoming.state == Received::message)
        incoming.descriptors = std::move(descriptors);
    return incoming;
}

MessageSocket::Incoming MessageSocket::receive(std::span<char> buffer, msghdr& header)
{
    iovec data{buffer.data(), buffer.size()};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    const std::size_t control_size = header.msg_controllen;
    ssize_t got = -1;
    // A side that ended with messages unread resets the channel; what it had said before is there all the
    // same.
    for (int tries = 0; got < 0 && tries < 2; ++tries) {
        header.msg_controllen = control_size;
        do
            got = ::recvmsg(fd(), &header, MSG_CMSG_CLOEXEC);
        while (got < 0 && errno == EINTR);
        if (got < 0 && errno != ECONNRESET)
            break;
    }
    if (got < 0) {
        header.msg_controllen = 0;
        return {errno == EAGAIN ? Received::nothing : Received::end, {}, {}};
    }
    if (got == 0)
        return {Received::end, {}, {}}; // no message of ours is empty
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        return {Received::broken, {}, {}};
    return {Received::message, {buffer.data(), static_cast<std::size_t>(got)}, {}};
}

std::pair<MessageSocket, MessageSocket> make_message_sockets()
{
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    return {MessageSocket{UniqueFd{ends[0]}}, MessageSocket{UniqueFd{ends[1]}}};
}

} // namespace postern
