// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/run_directory.hpp"

#include "base/posix_error.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace postern {

namespace {

constexpr const char* another_runs = "Another instance of saslauthd is currently running";

LockFile take_lock(const std::string& path)
{
    auto lock = LockFile::take(path);
    if (!lock)
        throw AlreadyRunning{another_runs};
    return std::move(*lock);
}

void refuse_if_locked(const std::string& path)
{
    if (LockFile::is_held(path))
        throw AlreadyRunning{another_runs};
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
    : pid_name_{name + ".pid"}
{
    ::umask(022);
    if (::mkdir(path.c_str(), 0755) < 0 && errno != EEXIST)
        throw_errno("run directory " + path);
    if (::chdir(path.c_str()) < 0)
        throw_errno("run directory " + path);
    ::umask(077);
    start_lock_.emplace(take_lock(pid_name_ + ".lock"));
    refuse_if_another_runs(pid_name_, has_pid_file);
    if (has_pid_file)
        take_pid_file();
}

/// A dead daemon's number in it would be somebody else's process.
void RunDirectory::take_pid_file()
{
    pid_file_.emplace(take_lock(pid_name_));
    check(::ftruncate(pid_file_->fd(), 0), pid_name_.c_str());
}

void RunDirectory::write_pid(pid_t pid)
{
    if (!pid_file_)
        return;
    const std::string text = std::to_string(pid) + '\n';
    check(::pwrite(pid_file_->fd(), text.data(), text.size(), 0), pid_name_.c_str());
}

void RunDirectory::remove_start_lock() noexcept
{
    if (pid_file_)
        start_lock_.reset();
}

} // namespace postern
