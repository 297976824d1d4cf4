// SPDX-License-Identifier: BSD-2-Clause
#include "tools/daemon_socket.hpp"

#include "base/posix_error.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

namespace postern {

namespace {

using std::chrono::milliseconds;

/// False with ETIMEDOUT when the deadline came first.
bool wait_for(int fd, short events, Deadline deadline)
{
    while (true) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waiting{fd, events, 0};
        const int ready =
            ::poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT32_MAX)));
        if (ready > 0)
            return true;
        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

bool would_block()
{
    return errno == EAGAIN || errno == EINTR;
}

/// The kernel lets connect() wait while the daemon's queue is full, for as long as SO_SNDTIMEO says.
bool connect_within(int fd, const sockaddr_un& address, milliseconds patience)
{
    const auto seconds = std::chrono::floor<std::chrono::seconds>(patience);
    const timeval limit{seconds.count(), std::chrono::microseconds{patience - seconds}.count()};
    check(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "setsockopt");
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return true;
    if (errno == EAGAIN)
        errno = ETIMEDOUT;
    return false;
}

} // namespace

UniqueFd connect_to(const std::string& path, milliseconds patience)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return {};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    if (connect_within(socket.get(), address, patience))
        return socket;
    const int error = errno;
    socket.reset(); // close() may change errno
    errno = error;
    return {};
}

bool send_all(int fd, std::string_view bytes, Deadline deadline)
{
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (!would_block() || !wait_for(fd, POLLOUT, deadline))
            return false;
    }
    return true;
}

std::optional<std::size_t> receive_part(int fd, std::span<char> memory, Deadline deadline)
{
    while (true) {
        if (std::chrono::steady_clock::now() >= deadline) {
            errno = ETIMEDOUT;
            return std::nullopt;
        }
        const ssize_t got = ::recv(fd, memory.data(), memory.size(), MSG_DONTWAIT);
        if (got >= 0)
            return static_cast<std::size_t>(got);
        if (!would_block() || !wait_for(fd, POLLIN, deadline))
            return std::nullopt;
    }
}

bool receive_all(int fd, std::span<char> memory, Deadline deadline)
{
    while (!memory.empty()) {
        const auto got = receive_part(fd, memory, deadline);
        if (!got)
            return false;
        if (*got == 0) {
            errno = closed_early;
            return false;
        }
        memory = memory.subspan(*got);
    }
    return true;
}

} // namespace postern
