// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/run_directory.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

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

/// The file of that name, locked. Its last holder may remove it between our open and our lock: then the lock
/// is on a file without a name, and the next one is tried.
UniqueFd open_locked(const std::string& path)
{
    for (;;) {
        UniqueFd file{
            check(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), path.c_str())};
        if (!try_lock_for_a_moment(file.get()))
            throw AlreadyRunning{"Another instance of saslauthd is currently running"};
        if (is_still_at(file.get(), path.c_str()))
            return file;
    }
}

void refuse_if_locked(const std::string& path)
{
    const UniqueFd file{::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (file.is_open() && !try_lock_for_a_moment(file.get()))
        throw AlreadyRunning{"Another instance of saslauthd is currently running"};
}

/// In the foreground there is no pid file of ours, but there may be the one of a daemon; and one that was
/// started the other way has files of another name.
void refuse_if_another_runs(const std::string& own_pid_name, bool has_pid_file)
{
    for (const std::string pid_name : {"saslauthd.pid", "posternd.pid"}) {
        const bool is_own = pid_name == own_pid_name;
        if (!is_own || !has_pid_file)
            refuse_if_locked(pid_name);
        if (!is_own)
            refuse_if_locked(pid_name + ".lock");
    }
}

} // namespace

RunDirectory::RunDirectory(const std::string& path, const std::string& name, bool has_pid_file)
    : pid_name_{name + ".pid"}, start_lock_name_{pid_name_ + ".lock"}
{
    ::umask(022);
    if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST)
        throw_errno("run directory " + path);
    if (::chdir(path.c_str()) < 0)
        throw_errno("run directory " + path);
    ::umask(077);
    start_lock_ = open_locked(start_lock_name_);
    try {
        refuse_if_another_runs(pid_name_, has_pid_file);
        if (has_pid_file)
            take_pid_file();
    } catch (const AlreadyRunning&) {
        ::unlink(start_lock_name_.c_str()); // ours: the daemon that runs has removed its own
        throw;
    }
}

/// A dead daemon's number in it would be somebody else's process.
void RunDirectory::take_pid_file()
{
    pid_file_ = open_locked(pid_name_);
    check(::ftruncate(pid_file_.get(), 0), pid_name_.c_str());
}

RunDirectory::~RunDirectory()
{
    if (pid_file_.is_open())
        ::unlink(pid_name_.c_str());
    if (start_lock_.is_open())
        ::unlink(start_lock_name_.c_str());
}

void RunDirectory::write_pid(pid_t pid)
{
    if (!pid_file_.is_open())
        return;
    const std::string text = std::to_string(pid) + '\n';
    check(::pwrite(pid_file_.get(), text.data(), text.size(), 0), pid_name_.c_str());
}

void RunDirectory::remove_start_lock() noexcept
{
    if (start_lock_.is_open() && pid_file_.is_open()) {
        ::unlink(start_lock_name_.c_str());
        start_lock_.reset();
    }
}

} // namespace postern
