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

/// A child that a killed daemon has just forked holds its locks until it executes something: a moment.
bool try_lock_for_a_moment(int fd)
{
    constexpr int tries_max = 20;
    for (int tries = 0; tries < tries_max; ++tries) {
        if (try_lock(fd))
            return true;
        ::poll(nullptr, 0, 10);
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
/// and the next one is tried.
std::optional<LockFile> LockFile::take(const std::string& path)
{
    constexpr int rounds_max = 20; // in a directory of somebody else, who can go on for ever
    for (int round = 0; round < rounds_max; ++round) {
        UniqueFd file{
            check(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), path.c_str())};
        if (!try_lock_for_a_moment(file.get()))
            return std::nullopt;
        if (is_still_at(file.get(), path.c_str()))
            return LockFile{path, std::move(file)};
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
    const UniqueFd file{::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    return file.is_open() && !try_lock_for_a_moment(file.get());
}

} // namespace postern
