// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "daemon/config.hpp"
#include "daemon/worker_table.hpp"

#include <cstddef>
#include <optional>

namespace postern {

/// Requests at the door of a worker, behind the one that it is at. More would gain nothing: it is asked more
/// quickly than it answers.
inline constexpr std::size_t worker_queue_max = 3;

/// Whether a request may be at a door: a long one fills the socket that it waits in, and would be in the way
/// of the next one even when it has been taken back.
[[nodiscard]] bool may_queue(const Request& request) noexcept;

/// Who of the busy workers is sent one more request, behind the one that it is at: one that comes round
/// quickly, so that it finds its next question when it has answered one and need not be woken for it. Nothing
/// where nobody is.
[[nodiscard]] std::optional<WorkerId> who_queues_one_more(const WorkerTable& workers,
                                                          const PoolConfig& config, TimePoint now);

/// When what a worker has not come to is taken back from it: somebody else is quicker. Never (max) while
/// there is nothing that could be.
[[nodiscard]] TimePoint take_back_due(const WorkerTable::Worker& worker) noexcept;

} // namespace postern
