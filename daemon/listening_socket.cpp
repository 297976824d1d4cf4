// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listening_socket.hpp"

#include "base/peer_socket.hpp"
#include "base/posix_error.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace postern {

namespace {

sockaddr_un socket_address(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        throw_errno("socket " + path);
    }
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

} // namespace

ListeningSocket::ListeningSocket(std::string path)
    : path_{std::move(path)}
    , socket_{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")}
{
    const sockaddr_un address = socket_address(path_);
    if (::unlink(path_.c_str()) < 0 && errno != ENOENT)
        throw_errno("socket " + path_);
    const mode_t before = ::umask(0); // so that it never has another mode than 0777
    const int bound = ::bind(fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    ::umask(before);
    if (bound < 0)
        throw_errno("socket " + path_);
    refuse_descriptors(fd()); // nobody who connects has a reason to send one
    check(::listen(fd(), SOMAXCONN), "listen");
}

ListeningSocket::~ListeningSocket()
{
    if (socket_.is_open())
        ::unlink(path_.c_str());
}

} // namespace postern
