// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "daemon/service_environment.hpp"

#include <span>

namespace postern {

/// Leaves this process three standard streams and no other descriptor but those that were passed on purpose,
/// whatever its caller left open or closed: a socket of ours on descriptor 2 would get what a library prints.
/// Throws std::system_error.
void tidy_descriptors(std::span<const PassedDescriptor> passed);

/// The way into the background: the process that was called waits until the daemon is ready, and exits with
/// the status that it is told, so that an init system never takes a failed start for a good one.
///
/// In the foreground there is nobody to tell, and this does nothing.
class Background {
public:
    /// Forks unless `stays_in_foreground`. Returns in the daemon only: the caller's process exits in here.
    explicit Background(bool stays_in_foreground);
    Background(const Background&) = delete;
    Background& operator=(const Background&) = delete;

    /// The daemon serves. Lets the caller's process exit with 0, and lets go of its terminal.
    void report_ready();

private:
    UniqueFd report_;
};

} // namespace postern
