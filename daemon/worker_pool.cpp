// SPDX-License-Identifier: BSD-2-Clause
//
// A pool grows while requests wait (pool_growth.cpp), and shrinks from the other end: idle workers stand on a
// stack, the one on top is asked next, since its memory is warm, and those at the bottom, which nobody has
// needed for a while, are let go.
//
// A worker that dies young, or never becomes ready, makes the pool wait before it starts the next one, longer
// each time, until one has given an answer. While nobody is there and nobody will be in time, requests are
// declined at once: an outage that is told late helps nobody.
//
// What is prepared saves a request its time, and that is all: after a preparation that hung, workers are
// asked without one, since else a server that hangs there alone would leave nobody to be asked. A worker that
// wants to prepare again while it is idle says so first, and nobody asks it meanwhile; one at a time, so that
// there are others.
#include "daemon/worker_pool.hpp"

#include "daemon/pool_growth.hpp"
#include "daemon/task_times.hpp"
#include "daemon/worker_queues.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A worker that ends sooner than this after its start is likely to do so again.
constexpr auto early_end = 1s;

/// A worker that has not loaded its backend by then never will, unless others had to start before it.
constexpr auto start_max = 10s;

/// What a worker may take to prepare for its next request.
constexpr auto preparation_time = 5s;

/// How often in a row a worker may complain of a server that others find well.
constexpr int refuted_max = 5;

/// When a worker is beyond hope. A request has its own deadline.
TimePoint hope_ends(const WorkerTable::Worker& worker)
{
    using State = WorkerTable::State;
    switch (worker.state) {
    case State::starting: return worker.awaited_since + start_max;
    case State::preparing:
    case State::probing: return worker.busy_until + answer_grace;
    case State::idle:
    case State::busy:
    case State::condemned: break;
    }
    return TimePoint::max();
}

} // namespace

WorkerPool::WorkerPool(const Clock& clock, WorkerHost& host, std::size_t backend, const PoolConfig& config,
                       ServerHealth& servers)
    : clock_{clock}, host_{host}, backend_{backend}, config_{config}, servers_{servers}
{
}

std::variant<JobId, WorkerPool::Declined> WorkerPool::check(const Request& request, TimePoint deadline,
                                                            OnDecision on_decision)
{
    const TimePoint now = clock_.now();
    if (const auto declined = reason_to_decline(JobQueue::patience_of(now, deadline))) {
        ++counts_.declined;
        return *declined;
    }
    const JobId job = jobs_.add(request, now, deadline, std::move(on_decision));
    dispatch();
    counts_.waiting_longest = std::max(counts_.waiting_longest, waiting());
    return job;
}

std::optional<WorkerPool::Declined> WorkerPool::reason_to_decline(TimePoint waits_until) const
{
    if (waiting() >= config_.queue_max)
        return Declined{"too many requests wait for it"};
    if (servers_.are_all_down())
        return Declined{servers_.outage()};
    if (workers_.live() > 0)
        return std::nullopt;
    if (!host_.can_start_workers())
        return Declined{"its workers have ended, and there is no supervisor to start others"};
    if (back_off_.until() > waits_until)
        return Declined{"its workers keep ending"};
    return std::nullopt;
}

void WorkerPool::abandon(JobId job)
{
    if (!jobs_.abandon(job))
        return;
    if (const auto worker = workers_.find_busy_with(job); worker != workers_.all().end()) {
        condemn(worker->first);
        blame_server_of(worker->second);
    } else if (const auto queueing = workers_.find_queueing(job); queueing != workers_.all().end())
        take_back(queueing->first);
    dispatch();
}

void WorkerPool::on_ready(WorkerId worker, bool must_prepare)
{
    Worker* const found = workers_.find(worker);
    if (found == nullptr || is_heard_out(worker, *found, must_prepare))
        return;
    has_settled_ = true;
    has_been_ready_ = true;
    if (found->state == State::starting)
        workers_.note_start(worker, clock_.now());
    await_more(worker, must_prepare);
    dispatch();
}

/// What is said while nothing was to be said. That it wants to prepare may have crossed its next task: once,
/// and it says so again behind that.
bool WorkerPool::is_heard_out(WorkerId worker, Worker& details, bool must_prepare)
{
    const State state = details.state;
    if (state == State::starting || (state == State::preparing && !must_prepare))
        return false;
    if (state == State::preparing || !must_prepare || std::exchange(details.wants_to_prepare, true))
        on_nonsense(worker);
    else
        renew_one();
    return true;
}

void WorkerPool::on_answer(WorkerId worker, JobId job, Decision decision, bool must_prepare)
{
    Worker* const found = workers_.find(worker);
    if (found == nullptr)
        return; // its answer is too late: what it was asked is decided
    if (found->state == State::probing && found->job == job)
        return take_probe_answer(worker, decision, must_prepare);
    if (found->state != State::busy || found->job != job)
        return on_nonsense(worker);
    back_off_.on_success();
    ++found->answers;
    found->last_took =
        std::exchange(found->was_held_up, false) ? Duration::max() : clock_.now() - found->busy_since;
    found->prepares = must_prepare;
    if (!found->queued.empty())
        begin_queued(worker);
    else if (has_answered_enough(*found))
        retire(worker);
    else
        await_more(worker, must_prepare);
    jobs_.decide(job, std::move(decision));
    dispatch();
}

bool WorkerPool::has_answered_enough(const Worker& worker) const
{
    return config_.worker_requests_max > 0 && worker.answers >= config_.worker_requests_max &&
           host_.can_start_workers();
}

void WorkerPool::await_more(WorkerId worker, bool must_prepare)
{
    if (workers_.at(worker).refuted >= refuted_max && host_.can_start_workers())
        lose(worker);
    else if (must_prepare && prepares_from_ <= clock_.now())
        prepare(worker);
    else
        workers_.rest(worker, clock_.now());
}

void WorkerPool::prepare(WorkerId worker)
{
    const ServerSet left_alone = servers_.left_alone();
    if (host_.prepare(worker, preparation_time, left_alone))
        workers_.begin(worker, {State::preparing, preparation_time, 0, left_alone}, clock_.now());
    else
        lose(worker);
}

/// Who has been idle for longest is needed least. One that wants it in vain is asked as it is.
void WorkerPool::renew_one()
{
    const auto is_renewing = [](const auto& entry) {
        return entry.second.is_renewing && entry.second.state == State::preparing;
    };
    if (prepares_from_ > clock_.now() || std::ranges::any_of(workers_.all(), is_renewing))
        return;
    const auto next = std::ranges::find_if(
        workers_.idle(), [this](WorkerId idle) { return workers_.at(idle).wants_to_prepare; });
    if (next == workers_.idle().end())
        return;
    const WorkerId worker = *next;
    workers_.take_idle(worker);
    workers_.at(worker).is_renewing = true;
    prepare(worker);
}

void WorkerPool::on_handed_back(WorkerId worker, JobId job)
{
    const Worker* const found = workers_.find(worker);
    if (found == nullptr)
        return;
    if (found->state != State::busy || found->job != job)
        return on_nonsense(worker);
    take_back(worker);
    if (!found->queued.empty()) // it hands back the one that it is at
        return on_nonsense(worker);
    pause_if_early(*found);
    retire(worker);
    if (host_.can_start_workers())
        for (const WorkerId idle : std::vector{workers_.idle()}) // what was replaced was replaced for all
            retire(idle);
    static_cast<void>(jobs_.hand_back(job, clock_.now()));
    dispatch();
}

void WorkerPool::on_nonsense(WorkerId worker)
{
    const Worker* const found = workers_.find(worker);
    if (found == nullptr)
        return;
    const Worker liar = *found;
    pause_if_early(liar);
    condemn(worker);
    end_work_of(liar, "its worker gave an answer that is none");
    dispatch();
}

void WorkerPool::on_ended(WorkerId worker)
{
    const auto found = workers_.all().find(worker);
    if (found == workers_.all().end())
        return;
    take_back(worker);
    const Worker ended = found->second;
    const bool has_begun =
        ended.state != State::busy || !ended.queued.empty() || host_.take_back(worker, 1) == 0;
    workers_.remove(worker);
    has_settled_ = true;
    if (ended.state != State::condemned) {
        ++counts_.workers_lost;
        pause_if_early(ended);
    }
    constexpr auto reason = "its worker ended while it was asked";
    for (const JobId job : ended.queued)
        jobs_.decide(job, {Verdict::unavailable, reason});
    if (has_begun || !jobs_.hand_back(ended.job, clock_.now()))
        end_work_of(ended, reason);
    if (ended.state == State::preparing)
        on_hang(ended);
    dispatch();
}

/// What a worker was at that is no more.
void WorkerPool::end_work_of(const Worker& worker, const std::string& reason)
{
    if (worker.state == State::busy)
        jobs_.decide(worker.job, {Verdict::unavailable, reason});
    if (worker.state == State::probing)
        servers_.on_probe_ended(worker.probed, reason);
}

void WorkerPool::end_overdue()
{
    const TimePoint now = clock_.now();
    end_hopeless();
    counts_.outwaited += jobs_.decide_overdue(now, {Verdict::unavailable, "no worker was free in time"});
    end_slow_workers(now);
    take_back_from_slow(now);
    retire_idle(now);
    probe_if_due();
}

void WorkerPool::end_slow_workers(TimePoint now)
{
    for (const auto& [id, worker] : workers_.all())
        if (hope_ends(worker) <= now) {
            const Worker slow = worker;
            pause_if_early(slow);
            condemn(id);
            end_work_of(slow, "it did not answer in time");
            if (slow.state == State::preparing)
                on_hang(slow);
        }
}

void WorkerPool::retire_idle(TimePoint now)
{
    while (idle_end() <= now)
        retire(workers_.idle().front());
}

/// When there will be one more than is wanted.
TimePoint WorkerPool::idle_end() const
{
    if (!host_.can_start_workers() || workers_.idle().empty() || workers_.live() <= config_.workers)
        return TimePoint::max();
    return workers_.at(workers_.idle().front()).idle_since + config_.worker_idle;
}

/// One worker is enough to find that none can work.
TimePoint WorkerPool::start_missing()
{
    const TimePoint now = clock_.now();
    if (!host_.can_start_workers())
        return next_event(now);
    const std::size_t wanted = has_been_ready_ ? workers_wanted(workers_, jobs_, config_, now) : 1;
    if (workers_.live() < wanted && now < back_off_.until())
        return std::min(next_event(now), back_off_.until());
    while (workers_.live() < wanted) {
        workers_.add(host_.start_worker(backend_), now);
        ++counts_.workers_started;
    }
    return next_event(now);
}

TimePoint WorkerPool::next_event(TimePoint now) const
{
    if (waiting() > 0 && servers_.are_all_down())
        return now; // they are ended there, and not where the last server failed
    TimePoint next = std::min(jobs_.next_overdue(), idle_end());
    for (const auto& [id, worker] : workers_.all())
        next = std::min({next, hope_ends(worker), take_back_due(worker)});
    if (!workers_.idle().empty()) // else whoever becomes idle gets the probe that is due
        next = std::min(next, servers_.next_event());
    if (has_been_ready_ && host_.can_start_workers())
        next = std::min(next, std::max(next_growth(workers_, jobs_, config_, now), back_off_.until()));
    return next;
}

void WorkerPool::dispatch()
{
    probe_if_due();
    give_waiting();
    renew_one();
}

void WorkerPool::give_waiting()
{
    while (!servers_.are_all_down()) {
        const auto* const next = jobs_.next(clock_.now());
        if (next == nullptr)
            return;
        if (!workers_.idle().empty()) {
            if (give(workers_.take_last_idle(), next->first, next->second))
                jobs_.begin(next->first); // else the worker is gone, and the request keeps its turn
        } else if (queue(next->first, next->second))
            jobs_.begin(next->first);
        else
            return;
    }
}

bool WorkerPool::give(WorkerId worker, JobId job, const JobQueue::Job& details)
{
    const ServerSet left_alone = servers_.left_alone();
    const TimePoint now = clock_.now();
    const Duration time = details.deadline - now;
    const bool is_there = host_.ask(worker, job, time, left_alone, *details.request);
    has_probed_last_ = false;
    if (!is_there) {
        lose(worker);
        return false;
    }
    workers_.begin(worker, {State::busy, time, job, left_alone}, clock_.now());
    note_wait(details, now);
    return true;
}

void WorkerPool::note_wait(const JobQueue::Job& details, TimePoint now)
{
    if (details.hand_backs == 0)
        counts_.waits.record(now - details.arrived);
}

/// Behind what a worker is at. Not while a server is down or in doubt: whoever is idle then is wanted for it.
bool WorkerPool::queue(JobId job, const JobQueue::Job& details)
{
    const TimePoint now = clock_.now();
    if (!may_queue(*details.request) || !servers_.left_alone().is_empty() || servers_.probe_due())
        return false;
    const auto worker = who_queues_one_more(workers_, config_, now);
    if (!worker || !host_.ask(*worker, job, details.deadline - now, {}, *details.request))
        return false;
    workers_.at(*worker).queued.push_back(job);
    return true;
}

/// It has come to the next one already. What nobody waits for any more is stopped as in abandon().
void WorkerPool::begin_queued(WorkerId worker)
{
    Worker& sent = workers_.at(worker);
    const JobId job = sent.queued.front();
    sent.queued.erase(sent.queued.begin());
    sent.come_to -= std::min<std::size_t>(sent.come_to, 1);
    const JobQueue::Job* const details = jobs_.find_in_work(job);
    if (details == nullptr)
        return condemn(worker);
    const TimePoint now = clock_.now();
    workers_.begin(worker, {State::busy, details->deadline - now, job}, now);
    note_wait(*details, now);
}

/// What it has not come to. What is left of its queue it has, and the answers to those before are on their
/// way.
void WorkerPool::take_back(WorkerId worker)
{
    Worker& sent = workers_.at(worker);
    for (std::size_t count = host_.take_back(worker, sent.queued.size()); count > 0; --count) {
        jobs_.put_back(sent.queued.back());
        sent.queued.pop_back();
        sent.was_held_up = true;
        sent.last_took = Duration::max(); // until it has passed over what was taken back
    }
    sent.come_to = sent.queued.size();
}

/// And from all, when a server is to be left alone that they do not know of.
void WorkerPool::take_back_from_slow(TimePoint now)
{
    const bool is_all_well = servers_.left_alone().is_empty();
    std::vector<WorkerId> held_up;
    for (const auto& [id, worker] : workers_.all())
        if (const TimePoint due = take_back_due(worker);
            due <= now || (!is_all_well && due != TimePoint::max()))
            held_up.push_back(id);
    for (const WorkerId worker : held_up)
        take_back(worker);
    if (!held_up.empty())
        dispatch();
}

/// It was thought to be there, and is gone.
void WorkerPool::lose(WorkerId worker)
{
    pause_if_early(workers_.at(worker));
    condemn(worker);
}

void WorkerPool::condemn(WorkerId worker)
{
    take_back(worker);
    workers_.condemn(worker);
    ++counts_.workers_lost;
    host_.kill_worker(worker);
}

void WorkerPool::retire(WorkerId worker)
{
    workers_.remove(worker);
    host_.retire_worker(worker);
}

void WorkerPool::pause_if_early(const Worker& worker)
{
    const bool was_useful = worker.state != State::starting && worker.state != State::preparing;
    if (!was_useful || clock_.now() - worker.started < early_end)
        back_off_.on_failure(clock_.now());
}

} // namespace postern
