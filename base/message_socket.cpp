// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_socket.hpp"

#include "base/posix_error.hpp"
#include "base/received_descriptors.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cstring>

namespace postern {

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
    iovec data{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    ControlBuffer control; // not cleared: the kernel says how much of it counts
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    ssize_t got = -1;
    do
        got = ::recvmsg(fd(), &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return {errno == EAGAIN ? Received::nothing : Received::end, {}, {}};
    std::vector<UniqueFd> descriptors = take_descriptors(header);
    if (got == 0)
        return {Received::end, {}, {}}; // no message of ours is empty
    if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || descriptors.size() > descriptors_max)
        return {Received::broken, {}, {}};
    return {Received::message, {buffer.data(), static_cast<std::size_t>(got)}, std::move(descriptors)};
}

std::pair<MessageSocket, MessageSocket> make_message_sockets()
{
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
    return {MessageSocket{UniqueFd{ends[0]}}, MessageSocket{UniqueFd{ends[1]}}};
}

} // namespace postern
