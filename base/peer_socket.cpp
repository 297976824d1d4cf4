// SPDX-License-Identifier: BSD-2-Clause
#include "base/peer_socket.hpp"

#include "base/received_descriptors.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace postern {

namespace {

PeerSocket::Incoming incoming(ssize_t got) noexcept
{
    if (got > 0)
        return {PeerSocket::Received::bytes, static_cast<std::size_t>(got)};
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return {PeerSocket::Received::nothing, 0};
    return {PeerSocket::Received::end, 0};
}

struct WithDescriptors {
    PeerSocket::Incoming incoming;
    bool has_descriptors = false;
};

/// The descriptors are closed, harmlessly.
WithDescriptors receive_with_descriptors(int socket, std::span<char> buffer)
{
    iovec data{buffer.data(), buffer.size()};
    ControlBuffer control; // not cleared: the kernel says how much of it counts
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    const auto result = incoming(::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
    return {result, result.state == PeerSocket::Received::bytes && !take_descriptors(message).empty()};
}

} // namespace

PeerSocket::PeerSocket(UniqueFd socket, bool brings_descriptors) noexcept
    : socket_{std::move(socket)}, brings_descriptors_{brings_descriptors}
{
}

/// What is unread may hold descriptors, which the kernel would close for us. Nothing comes behind the end.
PeerSocket::~PeerSocket()
{
    if (!brings_descriptors_)
        return;
    ::shutdown(fd(), SHUT_RD);
    std::array<char, 4096> unread;
    Incoming last;
    do {
        last = receive_with_descriptors(fd(), unread).incoming;
        ::explicit_bzero(unread.data(), last.size); // it may be a password
    } while (last.state == Received::bytes);
}

PeerSocket::Incoming PeerSocket::receive(std::span<char> buffer)
{
    if (!brings_descriptors_)
        return incoming(::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT));
    const WithDescriptors result = receive_with_descriptors(fd(), buffer);
    return result.has_descriptors ? Incoming{Received::end, 0} : result.incoming;
}

bool PeerSocket::send(std::string_view bytes) noexcept
{
    return ::send(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(bytes.size());
}

void PeerSocket::end_sending() noexcept
{
    ::shutdown(fd(), SHUT_WR);
}

} // namespace postern
