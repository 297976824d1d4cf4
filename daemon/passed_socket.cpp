// SPDX-License-Identifier: BSD-2-Clause
//
// A socket knows the path that it was bound to, and nothing of what stands there now: it may have been
// replaced, and the inode of the file is not the one that fstat(2) of the socket shows. Asking the kernel for
// that file takes CAP_NET_ADMIN or the right network namespace (SIOCUNIXFILE, sock_diag(7)). So it is tried:
// somebody connects to the path, and the socket shows whether it was there, by an edge of epoll, which tells
// of a new connection even where others wait already.
#include "daemon/passed_socket.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "daemon/unix_address.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace postern {

namespace {

constexpr std::size_t stored_name_bytes_max = 255; ///< FDNAME_MAX
constexpr std::string_view hex_digits = "0123456789abcdef";

bool may_stand_in_name(char c)
{
    return c > ' ' && c < '\x7f' && c != ':' && c != '%';
}

int option_of(int socket, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(socket, SOL_SOCKET, option, &value, &size) < 0)
        throw UnfitSocket{"it is no socket"};
    return value;
}

/// Whether a connection came in since the last time.
bool has_edge(int epoll)
{
    epoll_event event{};
    return ::epoll_wait(epoll, &event, 1, 0) == 1;
}

bool has_waiting(int socket)
{
    pollfd readable{socket, POLLIN, 0};
    return ::poll(&readable, 1, 0) == 1 && (readable.revents & POLLIN) != 0;
}

bool is_reached_at(int socket, const std::string& path)
{
    const UniqueFd epoll{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")};
    epoll_event event{};
    event.events = EPOLLIN | EPOLLET;
    check(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket, &event), "epoll_ctl");
    static_cast<void>(has_edge(epoll.get())); // who waited before
    if (connect_to(path).is_open())
        return has_edge(epoll.get());
    if (errno == EAGAIN) // somebody's backlog is full: ours, unless two are at once
        return has_waiting(socket);
    throw UnfitSocket{"nobody gets to " + path + ": " + error_text(errno)};
}

} // namespace

std::string stored_name(const std::string& path)
{
    std::string name;
    for (const char c : path)
        if (may_stand_in_name(c))
            name += c;
        else
            name += {'%', hex_digits[static_cast<unsigned char>(c) >> 4U],
                     hex_digits[static_cast<unsigned char>(c) & 15U]};
    return name.size() <= stored_name_bytes_max ? name : std::string{};
}

std::optional<std::string> path_in_stored_name(const std::string& name)
{
    if (!name.starts_with('/'))
        return std::nullopt;
    std::string path;
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (name[i] != '%') {
            path += name[i];
            continue;
        }
        const std::size_t high = i + 2 < name.size() ? hex_digits.find(name[i + 1]) : std::string_view::npos;
        const std::size_t low = i + 2 < name.size() ? hex_digits.find(name[i + 2]) : std::string_view::npos;
        if (high == std::string_view::npos || low == std::string_view::npos)
            return std::nullopt;
        path += static_cast<char>(high << 4U | low);
        i += 2;
    }
    return path;
}

std::optional<std::string> bound_path(int descriptor)
{
    sockaddr_un address{};
    socklen_t size = sizeof address;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) < 0 ||
        address.sun_family != AF_UNIX)
        return std::nullopt;
    const std::size_t offset = offsetof(sockaddr_un, sun_path);
    if (size <= offset || address.sun_path[0] == '\0') // without a name, or with an abstract one
        return std::nullopt;
    const std::string_view bytes{address.sun_path,
                                 std::min<std::size_t>(size - offset, sizeof address.sun_path)};
    return std::string{bytes.substr(0, bytes.find('\0'))};
}

void check_serves(int descriptor, const std::string& path)
{
    if (option_of(descriptor, SO_DOMAIN) != AF_UNIX)
        throw UnfitSocket{"it is no UNIX socket"};
    if (option_of(descriptor, SO_TYPE) != SOCK_STREAM)
        throw UnfitSocket{"it is no stream socket"};
    if (option_of(descriptor, SO_ACCEPTCONN) == 0)
        throw UnfitSocket{"it does not listen"};
    if (!is_reached_at(descriptor, path))
        throw UnfitSocket{"who connects to " + path + " gets to another socket"};
}

} // namespace postern
