// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"
#include "daemon/job_queue.hpp"
#include "daemon/worker_table.hpp"

namespace postern {

/// How many workers a pool is worth at `now`. Knows nothing of what came of those that were started: whether
/// to wait before the next one is WorkerPool's to say.
[[nodiscard]] std::size_t workers_wanted(const WorkerTable& workers, const JobQueue& jobs,
                                         const PoolConfig& config, TimePoint now);

/// When that may be more, by the passing of time alone.
[[nodiscard]] TimePoint next_growth(const WorkerTable& workers, const JobQueue& jobs,
                                    const PoolConfig& config, TimePoint now);

} // namespace postern
