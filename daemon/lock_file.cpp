// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/lock_file.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace postern {

namespace {

/// Who has a lease on the file (fcntl(2), F_SETLEASE) could keep us in open(2) for 45 s, and for as long
/// again.
constexpr int open_flags = O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW;

/// A child that a killed daemon has just forked holds its locks until it executes something: a moment.
constexpr int tries_max = 20;

void wait_for_next_try()
{
    ::poll(nullptr, 0, 10);
}

bool try_lock(int fd)
{
    struct flock lock {};

    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return true;
    if (errno != EAGAIN && errno != EACCES)
        throw_errno("lock");
    return false;
}

bool try_lock_for_a_moment(int fd)
{
    for (int tries = 0; tries < tries_max; ++tries) {
        if (try_lock(fd))
            return true;
        wait_for_next_try();
    }
    return false;
}

bool is_still_at(int fd, const char* path)
{
    struct stat held {};

    struct stat named {};

    return ::fstat(fd, &held) == 0 && ::stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

} // namespace

/// Its last holder may remove it between our open and our lock: then the lock is on a file without a name,
/// and the next one is tried. In a directory of somebody else, he can go on for ever with whatever he does.
std::optional<LockFile> LockFile::take(const std::string& path, Wait wait)
{
    for (int tries = 0; tries < tries_max; ++tries) {
        UniqueFd file{::open(path.c_str(), open_flags | O_CREAT, 0600)};
        if (!file.is_open() && errno != EWOULDBLOCK)
            throw_errno(path);
        if (file.is_open() && try_lock(file.get())) {
            if (is_still_at(file.get(), path.c_str()))
                return LockFile{path, std::move(file)};
            continue;
        }
        if (wait == Wait::no)
            return std::nullopt;
        wait_for_next_try();
    }
    return std::nullopt;
}

LockFile::LockFile(std::string path, UniqueFd file) : path_{std::move(path)}, file_{std::move(file)} {}

/// The name goes first: who gets the lock then finds that it is nobody's.
LockFile::~LockFile()
{
    if (file_.is_open())
        ::unlink(path_.c_str());
}

bool LockFile::is_held(const std::string& path)
{
    const UniqueFd file{::open(path.c_str(), open_flags)};
    return file.is_open() ? !try_lock_for_a_moment(file.get()) : errno == EWOULDBLOCK;
}

} // namespace postern
