// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "daemon/unix_address.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <string>

namespace postern {

/// A socket of that type under that name, as a service manager makes it; it listens if it is asked to.
inline UniqueFd make_bound_socket(const std::string& path, int type = SOCK_STREAM, bool listens = true)
{
    const UnixAddress address = UnixAddress::of_path_or_abstract(path);
    UniqueFd socket{check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket")};
    check(::bind(socket.get(), address.get(), address.size()), "bind");
    if (listens)
        check(::listen(socket.get(), SOMAXCONN), "listen");
    return socket;
}

/// Takes a connection that waits there; not open when none does.
inline UniqueFd take_connection(int socket)
{
    const int flags = ::fcntl(socket, F_GETFL);
    check(::fcntl(socket, F_SETFL, flags | O_NONBLOCK), "fcntl");
    return UniqueFd{::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC)};
}

} // namespace postern
