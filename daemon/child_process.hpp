// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <sys/types.h>

#include <string>
#include <vector>

namespace postern {

/// The program that roles are started from: this very binary, opened once, so that an upgrade on disk
/// changes nothing half-way. Throws std::runtime_error when others than its owner may write it.
[[nodiscard]] UniqueFd open_own_program();

/// A process started for one role. Owned by the supervisor, who reaps it.
struct ChildProcess {
    pid_t pid = -1;
    UniqueFd pidfd; ///< names the process and nobody who inherits its number
};

/// Starts `program` with `arguments` (the first is the name in ps) and `channel` as its descriptor 3.
///
/// Nothing else is inherited: standard input and output are /dev/null, and so is standard error unless
/// `keeps_stderr`; the environment is empty but for PATH and TZ. Throws std::system_error.
[[nodiscard]] ChildProcess start_role(int program, const std::vector<std::string>& arguments, int channel,
                                      bool keeps_stderr);

/// Ends it at once. It still has to be reaped.
void kill_process(const ChildProcess& process) noexcept;

/// "ended with status 1", "was killed by signal 9": what waitpid(2) said, for the log.
[[nodiscard]] std::string wait_status_text(int status);

} // namespace postern
