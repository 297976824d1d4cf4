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
#include <chrono>
#include <cstdio>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// Names that are tried beside a path, until one is free: all listeners of a configuration may be about to
/// take places in one directory, beside what an earlier start has left there.
constexpr int names_max = 256;

/// How long one who has to tell who he is may be too busy to be connected to.
constexpr auto patience_with_predecessor = 1s;

bool is_same_file(const struct stat& one, const struct stat& other)
{
    return one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

/// Whatever stands there. While it is held its number is given to no other file.
UniqueFd open_file_at(const std::string& path)
{
    return UniqueFd{::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
}

/// Whether that still stands there; `file` not open: whether nothing does.
bool is_still_at(const UniqueFd& file, const std::string& path)
{
    struct stat held {};

    struct stat named {};

    const bool is_there = ::lstat(path.c_str(), &named) == 0;
    if (!file.is_open() || !is_there)
        return !file.is_open() && !is_there;
    return ::fstat(file.get(), &held) == 0 && is_same_file(held, named);
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

[[noreturn]] void throw_in_use(const std::string& path, const std::string& why)
{
    throw SocketInUse{EADDRINUSE, std::system_category(), "socket " + path + " (" + why + ')'};
}

/// Unless `predecessor` does. One who cannot be reached may be somebody all the same.
void refuse_served(const std::string& path, const std::optional<SocketMaker>& predecessor)
{
    if (!is_socket(path))
        return;
    const UniqueFd connection =
        predecessor ? connect_patiently_to(path, patience_with_predecessor) : connect_to(path);
    if (!connection.is_open()) {
        if (errno != ECONNREFUSED && errno != ENOENT)
            throw_in_use(path, "nobody can tell who serves it: " + error_text(errno));
        return;
    }
    const SocketMaker maker = maker_of(connection.get());
    if (maker.pid == 0 || maker != predecessor)
        throw_in_use(path, "somebody else serves it: process " + std::to_string(maker.pid) + " of user " +
                               std::to_string(maker.user) + " has made it listen");
}

/// From before we look who serves a path until we do: in between, another daemon would find nobody there.
/// Nothing when it is another daemon that does.
std::optional<LockFile> take_place_lock(const std::string& path, LockFile::Wait wait)
{
    const std::size_t name = path.rfind('/') + 1;
    return LockFile::take(path.substr(0, name) + '.' + path.substr(name) + ".postern-lock", wait);
}

LockFile lock_place(const std::string& path)
{
    auto lock = take_place_lock(path, LockFile::Wait::for_a_moment);
    if (!lock)
        throw_in_use(path, "another daemon is about to serve it");
    return std::move(*lock);
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

bool is_dead(const std::string& name)
{
    struct stat status {};

    return ::lstat(name.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) && !connect_to(name).is_open() &&
           errno == ECONNREFUSED;
}

struct Beside {
    std::string name;
    LockFile lock; ///< of that name, until the socket listens
};

/// In the same directory, and hardly ever longer.
Beside bind_beside(int socket, const std::string& path)
{
    const std::string directory = path.substr(0, path.rfind('/') + 1);
    for (int i = 0; i < names_max; ++i) {
        std::string name = directory + '.' + std::to_string(i);
        auto lock = take_place_lock(name, LockFile::Wait::no); // there are others
        if (!lock)
            continue;
        if (is_dead(name))
            ::unlink(name.c_str()); // of a start that never got so far
        if (bind_closed(socket, name))
            return {std::move(name), std::move(*lock)};
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

ListeningSocket::ListeningSocket(std::string path, const SocketRights& rights, Placement placement,
                                 const std::optional<SocketMaker>& predecessor)
    : path_{std::move(path)}
    , socket_{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")}
{
    static_cast<void>(UnixAddress::of_path(path_)); // beside it, a longer one would not be noticed
    lock_.emplace(lock_place(path_));
    if (placement == Placement::beside)
        predecessor_ = predecessor;
    found_ = open_file_at(path_);
    refuse_served(path_, predecessor_);
    std::optional<Beside> beside;
    if (placement == Placement::beside)
        beside.emplace(bind_beside(fd(), path_));
    name_ = beside ? beside->name : bind_at(fd(), path_);
    try {
        refuse_descriptors(fd()); // nobody who connects has a reason to send one
        check(::listen(fd(), SOMAXCONN), "listen");
        const UniqueFd file{open_file_at(name_)};
        check(::fstat(file.get(), &bound_), "fstat");
        set_rights(rights);
    } catch (...) {
        ::unlink(name_.c_str());
        throw;
    }
    if (!beside) {
        found_.reset();
        lock_.reset();
    }
}

ListeningSocket::ListeningSocket(std::string path, UniqueFd socket, Keeper keeper)
    : path_{std::move(path)}, name_{path_}, socket_{std::move(socket)}, keeper_{keeper}, keeps_name_{true}
{
    check_serves(fd(), path_);
    check(::fcntl(fd(), F_SETFL, O_NONBLOCK), "fcntl"); // whoever made it may wait for connections
    refuse_descriptors(fd());
    check(::listen(fd(), SOMAXCONN), "listen");
    const UniqueFd file{open_file_at(name_)};
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
    const UniqueFd file{open_file_at(name_)};

    struct stat status {};

    if (file.is_open() && ::fstat(file.get(), &status) == 0 && is_same_file(status, bound_))
        ::unlink(name_.c_str());
}

bool ListeningSocket::is_at(const std::string& path) const noexcept
{
    struct stat status {};

    return ::lstat(path.c_str(), &status) == 0 && is_same_file(status, bound_);
}

void ListeningSocket::take_place()
{
    if (name_ == path_)
        return;
    if (!is_still_at(found_, path_))
        refuse_served(path_, predecessor_);
    if (::rename(name_.c_str(), path_.c_str()) < 0)
        throw_errno("socket " + path_);
    name_ = path_;
    found_.reset();
    lock_.reset();
}

/// Of whatever is there now, nothing is changed but our own socket.
UniqueFd ListeningSocket::open_file() const
{
    UniqueFd file{open_file_at(name_)};

    struct stat status {};

    if (!file.is_open() || ::fstat(file.get(), &status) < 0)
        throw_errno("socket " + path_);
    if (!S_ISSOCK(status.st_mode) || !is_same_file(status, bound_)) {
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
