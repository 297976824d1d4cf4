// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/lock_file.hpp"

#include <optional>
#include <stdexcept>
#include <string>

namespace postern {

/// Another daemon serves this run directory already: ours or Cyrus saslauthd.
class AlreadyRunning : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The directory that a daemon works in, with its files: NAME.pid holds the process id, and NAME.pid.lock
/// keeps a second start out while there is no pid file yet, or none at all in the foreground. With the name
/// `saslauthd` they are that program's.
///
/// Only the holder of the locks touches what is in it, so a second start never harms the first. Both locks
/// are record locks, which saslauthd takes too; ours belong to the open file and survive fork(). The files
/// are removed with the object; the directory stays, it is the admin's.
class RunDirectory {
public:
    /// Makes the directory (0755, one level) when it is missing, enters it and takes the locks.
    /// Throws AlreadyRunning, or std::system_error.
    RunDirectory(const std::string& path, const std::string& name, bool has_pid_file);
    RunDirectory(const RunDirectory&) = delete;
    RunDirectory& operator=(const RunDirectory&) = delete;

    /// Says which process to signal. Does nothing without a pid file.
    void write_pid(pid_t pid);
    /// The daemon is up, and its pid file keeps others out from now on.
    void remove_start_lock() noexcept;

private:
    void take_pid_file();

    std::string pid_name_;
    std::optional<LockFile> start_lock_;
    std::optional<LockFile> pid_file_;
};

} // namespace postern
