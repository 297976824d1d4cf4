// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/status.hpp"

#include <cstdint>
#include <string>

namespace postern {

/// The same with texts that cannot steer a terminal: the front that told it has read what strangers sent, and
/// the terminal is root's.
[[nodiscard]] StatusReport harmless(StatusReport report);

/// A status for a terminal of 80 columns, which only names longer than usual exceed. `now` is in seconds
/// since 1970; times are shown in the caller's time zone.
[[nodiscard]] std::string status_text(const StatusReport& report, std::int64_t now);

/// How many logins a second there were between two looks at the same front.
[[nodiscard]] std::string rates_text(const StatusReport& before, const StatusReport& after, double seconds);

/// "2026-11-22 01:40:00", in the caller's time zone.
[[nodiscard]] std::string local_time(std::int64_t seconds);

} // namespace postern
