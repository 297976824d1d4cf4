// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/setup.hpp"

#include <span>
#include <string>

namespace postern {

/// What each role does to itself before it reads a byte or loads a library: first lines of run_front() and
/// run_worker(). Throws std::system_error when a step fails, and then the role must end: half a sandbox is
/// none.
///
/// `drops_privileges` is false when the daemon was not started as root. Then a role keeps the caller's
/// account, and does the rest all the same.

/// The front: the unprivileged account, no capabilities ever again, an empty directory that is already
/// removed as its root, as many descriptors as the hard limit allows, no core file, closed to debuggers of
/// the same account.
void enter_front_sandbox(const Account& account, bool drops_privileges);

/// A worker: the account that its backend type needs, no capabilities unless that is root, no new privileges,
/// no core file. It may read files and open connections: that is what backends do.
///
/// One capability is kept, CAP_DAC_READ_SEARCH, when one of the `files` that its backend is to read is closed
/// to that account: a set-up of saslauthd's, which read it as root, goes on working. True when it was.
[[nodiscard]] bool enter_worker_sandbox(const Account& account, bool drops_privileges,
                                        std::span<const std::string> files);

/// Standard error goes where standard input comes from: /dev/null. For roles in the background.
void let_go_of_stderr();

} // namespace postern
