// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace postern {

/// A descriptor that a service manager has passed on, with the name that it has there.
struct PassedDescriptor {
    UniqueFd descriptor;
    std::string name;
};

/// What a service manager, systemd for example, says to a program that it starts: the variables of
/// sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), read without its library.
///
/// Nothing of it is believed yet: what a descriptor is, is for PassedSocket's checks to say.
struct ServiceEnvironment {
    std::string notify_socket;                         ///< where it wants to hear of us; empty: it does not
    std::optional<std::chrono::microseconds> watchdog; ///< how often it wants to, or ends us
    std::vector<PassedDescriptor> descriptors;         ///< in the order of their numbers
    std::vector<std::string> problems;                 ///< what makes no sense; for the log
};

/// Takes over the descriptors that were passed to this very process, and takes the variables away, so that
/// nobody whom we start believes that they are for him. To be called once, before anything opens a
/// descriptor.
[[nodiscard]] ServiceEnvironment take_service_environment();

} // namespace postern
