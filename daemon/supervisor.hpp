// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"

#include <functional>
#include <string>

namespace postern {

/// Reads the configuration again, as it was read at the start. Throws ConfigError.
using ReadConfig = std::function<Config()>;

/// The supervisor: opens and keeps the sockets, starts the front and the workers, replaces them when they
/// end, kills those that hang, puts a new configuration into force, and tidies up. Reads nothing that a
/// stranger wrote.
///
/// Goes into the background when the sockets are served, unless the configuration says otherwise. Returns
/// the exit status: 0 after SIGTERM or SIGINT. Throws ConfigError, AlreadyRunning or another
/// std::exception when it cannot start.
[[nodiscard]] int run_supervisor(const ReadConfig& read_config);

} // namespace postern
