// SPDX-License-Identifier: BSD-2-Clause
#include "backends/server_socket.hpp"

#include "backends/servers.hpp"
#include "base/posix_error.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <memory>

namespace postern {

namespace {

using std::chrono::milliseconds;

milliseconds time_until(TimePoint until) noexcept
{
    const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
    return std::clamp(left, milliseconds{0}, milliseconds{std::numeric_limits<int>::max()});
}

/// 0, or an errno.
int wait_for_connection(int fd, TimePoint until)
{
    const int ready = poll_until(fd, POLLOUT, until);
    if (ready == 0)
        return ETIMEDOUT;
    int error = errno;
    socklen_t size = sizeof error;
    if (ready > 0 && ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    return error;
}

/// 0, or an errno. A UNIX socket at which too many wait says so at once, and not when there is room again.
int connect_within(int fd, const sockaddr* address, socklen_t size, milliseconds time)
{
    constexpr int pause_ms = 5;
    const TimePoint until = std::chrono::steady_clock::now() + time;
    while (::connect(fd, address, size) != 0) {
        const int error = errno;
        if (error == EINPROGRESS || error == EINTR)
            return wait_for_connection(fd, until);
        if (error != EAGAIN || address->sa_family != AF_UNIX)
            return error;
        if (time_until(until) == milliseconds{0})
            return ETIMEDOUT;
        ::poll(nullptr, 0, pause_ms);
    }
    return 0;
}

UniqueFd open_stream(int family)
{
    return UniqueFd{::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
}

/// Firewalls forget connections on which nothing happens, and tell nobody.
void keep_alive(int fd)
{
    const auto set = [fd](int level, int option, int value) {
        ::setsockopt(fd, level, option, &value, sizeof value);
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

using Addresses = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

/// The resolver knows no deadline. Where resolv.conf leaves a name server five seconds, twice, it gets one.
void make_resolver_impatient()
{
    ::setenv("RES_OPTIONS", "timeout:1 attempts:2", 0); // NOLINT(concurrency-mt-unsafe): there is one thread
}

Addresses look_up(const std::string& host, const std::string& port)
{
    make_resolver_impatient();
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0)
        throw ConnectionError{"cannot be reached: its name could not be resolved: " +
                              (error == EAI_SYSTEM ? error_text(errno) : ::gai_strerror(error))};
    return {found, ::freeaddrinfo};
}

[[noreturn]] void throw_unconnected(int error)
{
    const std::string problem = "cannot be reached: " + error_text(error);
    if (error == ETIMEDOUT)
        throw ConnectionSilence{problem};
    throw ConnectionError{problem};
}

std::size_t number_of(const addrinfo* address)
{
    std::size_t number = 0;
    for (; address != nullptr; address = address->ai_next)
        ++number;
    return number;
}

} // namespace

UniqueFd connect_to_host(const std::string& host, const std::string& port, TimePoint until)
{
    const Addresses addresses = look_up(host, port);
    int error = ENOENT;
    for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
        UniqueFd fd = open_stream(address->ai_family);
        const milliseconds time = time_until(until);
        error = fd.is_open() ? connect_within(fd.get(), address->ai_addr, address->ai_addrlen,
                                              share_of_time(time, number_of(address->ai_next), time))
                             : errno;
        if (error == 0) {
            keep_alive(fd.get());
            return fd;
        }
    }
    throw_unconnected(error);
}

UniqueFd connect_to_path(const std::string& path, TimePoint until)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path)
        throw_unconnected(ENAMETOOLONG);
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd fd = open_stream(AF_UNIX);
    if (!fd.is_open())
        throw_unconnected(errno);
    if (const int error = connect_within(fd.get(), reinterpret_cast<const sockaddr*>(&address),
                                         sizeof address, time_until(until));
        error != 0)
        throw_unconnected(error);
    return fd;
}

int poll_until(int fd, short events, TimePoint until) noexcept
{
    pollfd watched{fd, events, 0};
    int ready = 0;
    do
        ready = ::poll(&watched, 1, static_cast<int>(time_until(until).count()));
    while (ready < 0 && errno == EINTR);
    return ready;
}

} // namespace postern
