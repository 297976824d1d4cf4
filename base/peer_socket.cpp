// SPDX-License-Identifier: BSD-2-Clause
#include "base/peer_socket.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace postern {

namespace {

#ifdef SO_PASSRIGHTS
constexpr int pass_rights = SO_PASSRIGHTS;
#else
constexpr int pass_rights = 83; // asm-generic/socket.h
#endif

} // namespace

std::optional<PeerIdentity> PeerSocket::peer() const noexcept
{
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return std::nullopt;
    return PeerIdentity{credentials.uid, static_cast<std::uint32_t>(credentials.pid)};
}

PeerSocket::Incoming PeerSocket::receive(std::span<char> buffer) noexcept
{
    const ssize_t got = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got > 0)
        return {Received::bytes, static_cast<std::size_t>(got)};
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return {Received::nothing, 0};
    return {Received::end, 0};
}

bool PeerSocket::send(std::string_view bytes) noexcept
{
    return send_part(bytes) == bytes.size();
}

std::optional<std::size_t> PeerSocket::send_part(std::string_view bytes) noexcept
{
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return static_cast<std::size_t>(sent);
    return errno == EAGAIN || errno == EINTR ? std::optional<std::size_t>{0} : std::nullopt;
}

void PeerSocket::end_sending() noexcept
{
    ::shutdown(fd(), SHUT_WR);
}

void PeerSocket::end_receiving() noexcept
{
    ::shutdown(fd(), SHUT_RD);
}

void refuse_descriptors(int socket) noexcept
{
    constexpr int no = 0;
    ::setsockopt(socket, SOL_SOCKET, pass_rights, &no, sizeof no);
}

} // namespace postern
