// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/run_directory.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postern {

namespace {

constexpr const char* pid_name = "saslauthd.pid";
constexpr const char* start_lock_name = "saslauthd.pid.lock";

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

bool is_still_at(int fd, const char* path)
{
    struct stat held {};

    struct stat named {};

    return ::fstat(fd, &held) == 0 && ::stat(path, &named) == 0 && held.st_dev == named.st_dev &&
           held.st_ino == named.st_ino;
}

/// The file of that name, locked. Its last holder may remove it between our open and our lock: then the lock
/// is on a file without a name, and the next one is tried.
UniqueFd open_locked(const char* path)
{
    for (;;) {
        UniqueFd file{check(::open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), path)};
        if (!try_lock(file.get()))
            throw AlreadyRunning{"Another instance of saslauthd is currently running"};
        if (is_still_at(file.get(), path))
            return file;
    }
}

/// In the foreground there is no pid file of ours, but there may be the one of a daemon.
void refuse_if_daemon_runs()
{
    const UniqueFd file{::open(pid_name, O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (file.is_open() && !try_lock(file.get()))
        throw AlreadyRunning{"Another instance of saslauthd is currently running"};
}

} // namespace

RunDirectory::RunDirectory(const std::string& path, bool has_pid_file)
{
    ::umask(022);
    if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST)
        throw_errno("run directory " + path);
    if (::chdir(path.c_str()) < 0)
        throw_errno("run directory " + path);
    ::umask(077);
    start_lock_ = open_locked(start_lock_name);
    try {
        if (has_pid_file)
            take_pid_file();
        else
            refuse_if_daemon_runs();
    } catch (const AlreadyRunning&) {
        ::unlink(start_lock_name); // ours: the daemon that runs has removed its own
        throw;
    }
}

/// A dead daemon's number in it would be somebody else's process.
void RunDirectory::take_pid_file()
{
    pid_file_ = open_locked(pid_name);
    check(::ftruncate(pid_file_.get(), 0), pid_name);
}

RunDirectory::~RunDirectory()
{
    if (pid_file_.is_open())
        ::unlink(pid_name);
    if (start_lock_.is_open())
        ::unlink(start_lock_name);
}

void RunDirectory::write_pid(pid_t pid)
{
    if (!pid_file_.is_open())
        return;
    const std::string text = std::to_string(pid) + '\n';
    check(::pwrite(pid_file_.get(), text.data(), text.size(), 0), pid_name);
}

void RunDirectory::remove_start_lock() noexcept
{
    if (start_lock_.is_open() && pid_file_.is_open()) {
        ::unlink(start_lock_name);
        start_lock_.reset();
    }
}

} // namespace postern
