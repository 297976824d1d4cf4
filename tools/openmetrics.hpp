// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/status.hpp"

#include <string>

namespace postern {

/// A status as the text of OpenMetrics 1.0, which Prometheus and others read. It is valid whatever the report
/// holds: names are escaped, and of two that would be one metric the first counts.
[[nodiscard]] std::string openmetrics_text(const StatusReport& report);

} // namespace postern
