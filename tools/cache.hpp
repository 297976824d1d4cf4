// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/status.hpp"
#include "tools/options.hpp"

#include <string>

namespace postern {

/// A cache for a terminal of 80 columns.
[[nodiscard]] std::string cache_text(const CacheStatus& cache);

/// `postern cache`: what the daemon remembers of logins; `postern cache flush`: has it forget some.
int run_cache(Arguments arguments);

} // namespace postern
