// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/unix_address.hpp"

#include "base/posix_error.hpp"

#include <sys/time.h>

#include <cstddef>
#include <cstring>
#include <utility>

namespace postern {

UnixAddress UnixAddress::of_path(const std::string& path)
{
    UnixAddress address;
    address.address_.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.address_.sun_path) {
        errno = ENAMETOOLONG;
        throw_errno("socket " + path);
    }
    std::memcpy(address.address_.sun_path, path.c_str(), path.size() + 1);
    return address;
}

UnixAddress UnixAddress::of_path_or_abstract(const std::string& name)
{
    UnixAddress address = of_path(name);
    if (name.starts_with('@')) { // of an abstract name every byte counts, zeros too
        address.address_.sun_path[0] = '\0';
        address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    }
    return address;
}

namespace {

UniqueFd connected(UniqueFd socket, const UnixAddress& address)
{
    if (::connect(socket.get(), address.get(), address.size()) != 0) {
        const int problem = errno;
        socket.reset();
        errno = problem;
    }
    return socket;
}

} // namespace

UniqueFd connect_to(const std::string& path)
{
    const UnixAddress address = UnixAddress::of_path(path);
    UniqueFd socket{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    return connected(std::move(socket), address);
}

UniqueFd connect_patiently_to(const std::string& path, std::chrono::milliseconds patience)
{
    const UnixAddress address = UnixAddress::of_path(path);
    UniqueFd socket{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const auto seconds = std::chrono::floor<std::chrono::seconds>(patience);
    const timeval limit{seconds.count(), std::chrono::microseconds{patience - seconds}.count()};
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "setsockopt");
    return connected(std::move(socket), address);
}

SocketMaker maker_of(int connection)
{
    ucred maker{};
    socklen_t size = sizeof maker;
    check(::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &maker, &size), "SO_PEERCRED");
    return {maker.pid, maker.uid};
}

} // namespace postern
