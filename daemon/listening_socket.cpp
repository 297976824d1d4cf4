// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listening_socket.hpp"

#include "base/peer_socket.hpp"
#include "base/posix_error.hpp"
#include "daemon/passed_socket.hpp"
#include "daemon/unix_address.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace postern {

namespace {

/// Names that are tried beside a path, until one is free.
constexpr int names_max = 1000;

/// Whether somebody serves it. One who cannot be reached for other reasons may be somebody all the same.
bool is_served(const std::string& path)
{
    return connect_to(path).is_open() || (errno != ECONNREFUSED && errno != ENOENT);
}

/// Throws unless nothing is there, or a socket; returns whether it is one.
bool is_socket(const std::string& path)
{
    struct stat status {};

    if (::lstat(path.c_str(), &status) < 0) {
        if (errno == ENOENT)
            return false;
        throw_errno("socket " + path);
    }
    if (!S_ISSOCK(status.st_mode)) {
        errno = ENOTSOCK;
        throw_errno("what stands at " + path);
    }
    return true;
}

void refuse_served(const std::string& path)
{
    if (is_socket(path) && is_served(path))
        throw SocketInUse{EADDRINUSE, std::system_category(), "socket " + path};
}

/// Under a mode that lets nobody in, until it has the right one. False when there is something already.
bool bind_closed(int socket, const std::string& name)
{
    const UnixAddress address = UnixAddress::of_path(name);
    const mode_t before = ::umask(0777);
    const int bound = ::bind(socket, address.get(), address.size());
    const int problem = errno;
    ::umask(before);
    errno = problem;
    if (bound < 0 && problem != EADDRINUSE)
        throw_errno("socket " + name);
    return bound == 0;
}

/// In the same directory, and hardly ever longer.
std::string bind_beside(int socket, const std::string& path)
{
    const std::string directory = path.substr(0, path.rfind('/') + 1);
    for (int i = 0; i < names_max; ++i) {
        std::string name = directory + '.' + std::to_string(i);
        if (is_socket(name) && !is_served(name))
            ::unlink(name.c_str()); // of a start that never got so far
        if (bind_closed(socket, name))
            return name;
    }
    errno = EADDRINUSE;
    throw_errno("a socket beside " + path);
}

std::string bind_at(int socket, const std::string& path)
{
    if (::unlink(path.c_str()) < 0 && errno != ENOENT)
        throw_errno("socket " + path);
    if (!bind_closed(socket, path))
        throw_errno("socket " + path);
    return path;
}

} // namespace

ListeningSocket::ListeningSocket(std::string path, const SocketRights& rights, Placement placement)
    : path_{std::move(path)}
    , socket_{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")}
{
    if (placement == Placement::beside_ours)
        static_cast<void>(is_socket(path_));
    else
        refuse_served(path_);
    static_cast<void>(UnixAddress::of_path(path_)); // beside it, a longer one would not be noticed
    name_ = placement == Placement::at_path ? bind_at(fd(), path_) : bind_beside(fd(), path_);
    try {
        refuse_descriptors(fd()); // nobody who connects has a reason to send one
        check(::listen(fd(), SOMAXCONN), "listen");
        const UniqueFd file{::open(name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
        check(::fstat(file.get(), &bound_), "fstat");
        set_rights(rights);
    } catch (...) {
        ::unlink(name_.c_str());
        throw;
    }
}

ListeningSocket::ListeningSocket(std::string path, UniqueFd socket, Keeper keeper)
    : path_{std::move(path)}, name_{path_}, socket_{std::move(socket)}, keeper_{keeper}, keeps_name_{true}
{
    check_serves(fd(), path_);
    check(::fcntl(fd(), F_SETFL, O_NONBLOCK), "fcntl"); // whoever made it may wait for connections
    refuse_descriptors(fd());
    check(::listen(fd(), SOMAXCONN), "listen");
    const UniqueFd file{::open(name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
    check(::fstat(file.get(), &bound_), "fstat");
    mode_ = bound_.st_mode & 0777U;
    bound_.st_uid =
        ::geteuid(); // as we would have made it: what it has now may be from another configuration
    bound_.st_gid = ::getegid();
}

ListeningSocket::~ListeningSocket()
{
    if (keeps_name_ || keeper_ == Keeper::service_manager)
        return;
    const UniqueFd file{::open(name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};

    struct stat status {};

    if (file.is_open() && ::fstat(file.get(), &status) == 0 && status.st_ino == bound_.st_ino)
        ::unlink(name_.c_str());
}

void ListeningSocket::take_place()
{
    if (name_ == path_)
        return;
    static_cast<void>(is_socket(path_));
    if (::rename(name_.c_str(), path_.c_str()) < 0)
        throw_errno("socket " + path_);
    name_ = path_;
}

/// Of whatever is there now, nothing is changed but our own socket.
UniqueFd ListeningSocket::open_file() const
{
    UniqueFd file{::open(name_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};

    struct stat status {};

    if (!file.is_open() || ::fstat(file.get(), &status) < 0)
        throw_errno("socket " + path_);
    if (!S_ISSOCK(status.st_mode) || status.st_ino != bound_.st_ino) {
        errno = ESTALE;
        throw_errno("socket " + path_);
    }
    return file;
}

/// On the way from one mode to the other nobody gets in who may not under both.
void ListeningSocket::set_rights(const SocketRights& rights)
{
    if (keeper_ == Keeper::service_manager)
        return;
    const UniqueFd file = open_file();
    const std::string same_file = "/proc/self/fd/" + std::to_string(file.get());
    const mode_t mode = rights.mode & 0777U;
    if (::chmod(same_file.c_str(), mode_ & mode) < 0)
        throw_errno("socket " + path_ + ": its mode");
    mode_ &= mode;
    if (::fchownat(file.get(), "", rights.owner.value_or(bound_.st_uid), rights.group.value_or(bound_.st_gid),
                   AT_EMPTY_PATH) < 0)
        throw_errno("socket " + path_ + ": its owner and group");
    if (::chmod(same_file.c_str(), mode) < 0)
        throw_errno("socket " + path_ + ": its mode");
    mode_ = mode;
}

} // namespace postern
