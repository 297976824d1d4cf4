// SPDX-License-Identifier: BSD-2-Clause
//
// To wake a worker costs more than what a quick one does for a request. Where all are busy and others wait,
// the next ones are sent to those who will be there in a moment. One that is at a request for longer than
// that has met something else, and what it has not come to goes to the others: nobody waits behind a request
// that hangs.
#include "daemon/worker_queues.hpp"

namespace postern {

namespace {

using namespace std::chrono_literals;

/// What a quick worker takes for a request, at most.
constexpr auto quick = 5ms;

bool queues_one_more(const WorkerTable::Worker& worker, const PoolConfig& config, TimePoint now)
{
    const std::uint64_t given = worker.answers + worker.queued.size() + 1;
    return worker.state == WorkerTable::State::busy && worker.queued.size() < worker_queue_max &&
           worker.last_took < quick && worker.busy_since + quick > now && !worker.prepares &&
           (config.worker_requests_max == 0 || given < config.worker_requests_max);
}

/// What a question may take of the socket. It holds 200 KB, if nobody has said otherwise.
constexpr std::size_t short_bytes = 16'384;

} // namespace

bool may_queue(const Request& request) noexcept
{
    return request.user.size() + request.password.size() + request.service.size() + request.realm.size() +
               request.client_address.size() + request.transcript.size() <=
           short_bytes;
}

std::optional<WorkerId> who_queues_one_more(const WorkerTable& workers, const PoolConfig& config,
                                            TimePoint now)
{
    std::optional<WorkerId> found;
    std::size_t fewest = worker_queue_max;
    for (const auto& [id, worker] : workers.all())
        if (worker.queued.size() < fewest && queues_one_more(worker, config, now)) {
            found = id;
            fewest = worker.queued.size();
        }
    return found;
}

TimePoint take_back_due(const WorkerTable::Worker& worker) noexcept
{
    const bool has_some = worker.state == WorkerTable::State::busy && worker.queued.size() > worker.come_to;
    return has_some ? worker.busy_since + quick : TimePoint::max();
}

} // namespace postern
