// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/status.hpp"
#include "tools/options.hpp"

#include <cstdint>
#include <string>

namespace postern {

/// A status for a terminal of 80 columns, which only names longer than usual exceed. `now` is in seconds
/// since 1970; times are shown in the caller's time zone.
[[nodiscard]] std::string status_text(const StatusReport& report, std::int64_t now);

/// `postern status`: what the daemon is doing, and what has become of the logins since it began to count.
int run_status(Arguments arguments);

} // namespace postern
