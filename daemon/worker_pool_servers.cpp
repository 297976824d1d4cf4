// SPDX-License-Identifier: BSD-2-Clause
//
// What a pool does about servers: whom it believes, and how it finds out.
//
// A probe gets its worker before those who wait, since it decides what they wait for, and while all servers
// are down no worker is asked. Probes go round, so that none is always made by the same worker, which may be
// the one that is sick. A request that hangs to its deadline says nothing: if there is one server that it can
// have been asking, that one failed; of several, the first is in doubt. And a worker that alone complains of
// servers, which others then find well, is not believed for ever.
#include "daemon/worker_pool.hpp"

#include <algorithm>
#include <vector>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// What a probe may take: as much as a request, since a server that is well enough for those must come back.
/// Less where everybody waits for the one worker meanwhile.
constexpr auto probe_max = 8s;
constexpr auto probe_max_of_one_worker = 2s;

/// When, after one that hung, the next preparation begins.
constexpr auto preparation_pause = 15s;

/// Who was at it for less than that cannot blame a server: two seconds, or half of the time that he had; but
/// nothing hangs within a moment.
constexpr Duration longest_patience = 2s;
constexpr Duration shortest_patience = 250ms;

/// Whether it was at what it was at for long enough.
bool has_hung(const WorkerTable::Worker& worker, TimePoint now)
{
    const Duration half = (worker.busy_until - worker.busy_since) / 2;
    return now - worker.busy_since >= std::clamp(half, shortest_patience, longest_patience);
}

} // namespace

void WorkerPool::on_server_failed(WorkerId worker, std::size_t server, std::string_view problem,
                                  bool is_certain)
{
    Worker* const found = workers_.find(worker);
    if (found == nullptr)
        return;
    if (!found->is_occupied() || server >= servers_.servers().size())
        return on_nonsense(worker);
    found->written_off.add(server);
    if (!is_certain)
        return servers_.doubt(server, problem, found->busy_since);
    found->accused.add(server);
    if (found->state != State::probing || found->probed != server)
        servers_.failed(server, problem, found->busy_since); // a probe's answer says it again
}

/// Of a worker that is no more, and said nothing before.
void WorkerPool::on_hang(const Worker& worker)
{
    if (worker.state == State::preparing && has_hung(worker, clock_.now()))
        prepares_from_ = clock_.now() + preparation_pause;
    blame_server_of(worker);
}

void WorkerPool::blame_server_of(const Worker& worker)
{
    const auto server = servers_.first_outside(worker.written_off);
    if (!server || !has_hung(worker, clock_.now()))
        return;
    if (servers_.count_outside(worker.written_off) == 1)
        servers_.failed(*server, "it did not answer in time", worker.busy_since);
    else
        servers_.doubt(*server, "it did not answer in time", worker.busy_since);
}

/// Those who wait for servers that have all gone down meanwhile.
void WorkerPool::end_hopeless()
{
    if (servers_.are_all_down())
        counts_.declined += jobs_.decide_waiting({Verdict::unavailable, servers_.outage()});
}

void WorkerPool::probe_if_due()
{
    while (!workers_.idle().empty()) {
        const auto server = servers_.probe_due();
        if (!server || is_request_first())
            return;
        if (give_probe(workers_.take_first_idle(), *server))
            servers_.on_probe_started(*server);
    }
}

/// One worker would come to nothing else where probes take longer than the pauses between them.
bool WorkerPool::is_request_first() const
{
    return has_probed_last_ && has_one_worker() && !servers_.are_all_down() &&
           jobs_.next(clock_.now()) != nullptr;
}

/// And will not get another.
bool WorkerPool::has_one_worker() const
{
    return workers_.live() == 1 && (config_.workers_max == 1 || !host_.can_start_workers());
}

bool WorkerPool::give_probe(WorkerId worker, std::size_t server)
{
    const JobId job = jobs_.new_id();
    const ServerSet others = servers_.all_but(server);
    const Duration time = has_one_worker() ? probe_max_of_one_worker : probe_max;
    const bool is_there = host_.probe(worker, job, time, others);
    has_probed_last_ = true;
    if (is_there)
        workers_.begin(worker, {State::probing, time, job, others, server}, clock_.now());
    else
        lose(worker);
    return is_there;
}

void WorkerPool::take_probe_answer(WorkerId worker, const Decision& decision, bool must_prepare)
{
    const bool is_good = decision.verdict == Verdict::accepted;
    if (!is_good && decision.verdict != Verdict::unavailable)
        return on_nonsense(worker);
    back_off_.on_success();
    const std::size_t server = workers_.at(worker).probed;
    servers_.on_probe_ended(server, is_good ? std::nullopt : std::optional{decision.reason});
    judge_accusers(server, worker, is_good);
    await_more(worker, must_prepare);
    dispatch();
}

/// Of those that complained. What two have found is no mistake of one.
void WorkerPool::judge_accusers(std::size_t server, WorkerId prober, bool is_well)
{
    std::vector<WorkerId> accusers;
    for (const auto& [id, worker] : workers_.all())
        if (worker.accused.has(server))
            accusers.push_back(id);
    for (const WorkerId accuser : accusers) {
        Worker& worker = workers_.at(accuser);
        worker.accused.remove(server);
        if (!is_well || accusers.size() > 1)
            worker.refuted = 0;
        else if (accuser != prober)
            ++worker.refuted;
    }
}

} // namespace postern
