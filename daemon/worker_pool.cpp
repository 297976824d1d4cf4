// SPDX-License-Identifier: BSD-2-Clause
//
// A pool grows when a request has waited for a moment, and as many workers as are kept have been at theirs
// for as long: a burst that they can serve costs no process, and where workers come round quickly, more of
// them would only share the same processors. It shrinks from the other end: idle workers stand on a stack,
// the one on top is asked next, and those at the bottom, which nobody has needed for a while, are let go.
//
// A worker that dies young, or never becomes ready, makes the pool wait before it starts the next one, longer
// each time, until one has given an answer. While nobody is there and nobody will be in time, requests are
// declined at once: an outage that is told late helps nobody.
//
// The same holds for servers: a probe gets its worker before those who wait, since it decides what they wait
// for, and while all servers are down no worker is asked. Probes go round, so that none is always made by the
// same worker, which may be the one that is sick. A request that hangs to its deadline says nothing: if there
// is one server that it can have been asking, that one failed; of several, the first is in doubt.
#include "daemon/worker_pool.hpp"

#include <algorithm>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A worker that ends sooner than this after its start is likely to do so again.
constexpr auto early_end = 1s;

/// A worker that has not loaded its backend by then never will.
constexpr auto start_max = 10s;

/// A request that has waited for so long is worth another worker, and a worker that has been at one for so
/// long waits itself, for somebody else.
constexpr auto grows_after = 10ms;

/// What a probe may take: as much as a request, since a server that is well enough for those must come back.
/// Less where everybody waits for the one worker meanwhile. And what a worker may take to say so.
constexpr auto probe_max = 8s;
constexpr auto probe_max_of_one_worker = 2s;
constexpr auto probe_grace = 1s;

/// Who has had less time for his request than that cannot blame a server.
constexpr auto shortest_hang = 2s;

/// What a worker may take to prepare for its next request; and when it has not, and will not.
constexpr auto preparation_time = 5s;
constexpr auto preparation_max = 10s;

/// Workers that are out of date again and again are not the cure.
constexpr int hand_backs_max = 3;

/// Whether it is at something, and may have to wait for somebody else there.
bool is_occupied(const WorkerPool::Worker& worker)
{
    using State = WorkerPool::State;
    return worker.state == State::busy || worker.state == State::preparing || worker.state == State::probing;
}

/// When a worker is beyond hope. A request has its own deadline.
TimePoint hope_ends(const WorkerPool::Worker& worker)
{
    switch (worker.state) {
    case WorkerPool::State::starting: return worker.started + start_max;
    case WorkerPool::State::preparing: return worker.busy_since + preparation_max;
    case WorkerPool::State::probing: return worker.probe_ends + probe_grace;
    case WorkerPool::State::idle:
    case WorkerPool::State::busy:
    case WorkerPool::State::condemned: break;
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
    const TimePoint waits_until = now + (deadline - now) / 2;
    if (const auto declined = reason_to_decline(waits_until)) {
        ++counts_.declined;
        return *declined;
    }
    const JobId job = next_job_++;
    waiting_.emplace(job, Job{&request, now, waits_until, deadline, std::move(on_decision)});
    patience_.emplace(waits_until, job);
    dispatch();
    return job;
}

std::optional<WorkerPool::Declined> WorkerPool::reason_to_decline(TimePoint waits_until) const
{
    if (waiting_.size() >= config_.queue_max)
        return Declined{"too many requests wait for it"};
    if (servers_.are_all_down())
        return Declined{servers_.outage()};
    if (live_workers() > 0)
        return std::nullopt;
    if (!host_.can_start_workers())
        return Declined{"its workers have ended, and there is no supervisor to start others"};
    if (back_off_.until() > waits_until)
        return Declined{"its workers keep ending"};
    return std::nullopt;
}

void WorkerPool::abandon(JobId job)
{
    if (const auto waiting = waiting_.extract(job); !waiting.empty()) {
        patience_.erase({waiting.mapped().waits_until, job});
        return;
    }
    in_work_.erase(job);
    const auto worker = std::ranges::find_if(workers_, [job](const auto& entry) {
        return entry.second.state == State::busy && entry.second.job == job;
    });
    if (worker == workers_.end())
        return;
    condemn(worker->first);
    blame_server_of(worker->second);
}

/// Of a worker that hung.
void WorkerPool::blame_server_of(const Worker& worker)
{
    const auto server = servers_.first_outside(worker.written_off);
    if (!server || worker.busy_since + shortest_hang > clock_.now())
        return;
    if (servers_.count_outside(worker.written_off) == 1)
        servers_.failed(*server, "it did not answer in time", worker.busy_since);
    else
        servers_.doubt(*server, "it did not answer in time", worker.busy_since);
}

void WorkerPool::on_ready(WorkerId worker, bool must_prepare)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    const State state = found->second.state;
    if (state != State::starting && (state != State::preparing || must_prepare))
        return on_nonsense(worker);
    has_settled_ = true;
    has_been_ready_ = true;
    await_more(worker, must_prepare);
    dispatch();
}

void WorkerPool::on_answer(WorkerId worker, JobId job, Decision decision, bool must_prepare)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return; // its answer is too late: what it was asked is decided
    if (found->second.state == State::probing && found->second.job == job)
        return take_probe_answer(worker, decision, must_prepare);
    if (found->second.state != State::busy || found->second.job != job)
        return on_nonsense(worker);
    back_off_.on_success();
    ++found->second.answers;
    const bool was_last = config_.worker_requests_max > 0 &&
                          found->second.answers >= config_.worker_requests_max && host_.can_start_workers();
    if (was_last)
        retire(worker);
    else
        await_more(worker, must_prepare);
    decide(job, std::move(decision));
    dispatch();
}

void WorkerPool::take_probe_answer(WorkerId worker, const Decision& decision, bool must_prepare)
{
    const bool is_good = decision.verdict == Verdict::accepted;
    if (!is_good && decision.verdict != Verdict::unavailable)
        return on_nonsense(worker);
    back_off_.on_success();
    servers_.on_probe_ended(is_good ? std::nullopt : std::optional{decision.reason});
    await_more(worker, must_prepare);
    dispatch();
}

void WorkerPool::await_more(WorkerId worker, bool must_prepare)
{
    if (must_prepare)
        return prepare(worker);
    Worker& details = workers_.at(worker);
    details.state = State::idle;
    details.idle_since = clock_.now();
    idle_.push_back(worker);
}

void WorkerPool::prepare(WorkerId worker)
{
    const ServerSet left_alone = servers_.left_alone();
    if (host_.prepare(worker, preparation_time, left_alone))
        begin(workers_.at(worker), State::preparing, 0, left_alone);
    else
        lose(worker);
}

/// An idle one looked after its connections, for nobody.
void WorkerPool::on_server_failed(WorkerId worker, std::size_t server, std::string_view problem)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    if (found->second.state == State::starting || server >= servers_.servers().size())
        return on_nonsense(worker);
    found->second.written_off.add(server);
    if (found->second.state == State::idle)
        servers_.doubt(server, problem);
    else if (found->second.state != State::probing || servers_.probed() != server)
        servers_.failed(server, problem, found->second.busy_since); // a probe's answer says it again
}

/// The request keeps its place in the queue, which is the order of arrival.
void WorkerPool::on_handed_back(WorkerId worker, JobId job)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    if (found->second.state != State::busy || found->second.job != job)
        return on_nonsense(worker);
    pause_if_early(found->second);
    retire(worker);
    if (host_.can_start_workers())
        for (const WorkerId idle : std::vector{idle_}) // what was replaced was replaced for all of them
            retire(idle);
    auto returned = in_work_.extract(job);
    if (returned.empty())
        return;
    Job& details = returned.mapped();
    if (++details.hand_backs == hand_backs_max)
        return details.on_decision({Verdict::unavailable, "its workers are out of date again and again"});
    const TimePoint now = clock_.now();
    details.waits_until = std::max(details.waits_until, now + (details.deadline - now) / 2);
    patience_.emplace(details.waits_until, job);
    waiting_.insert(std::move(returned));
    dispatch();
}

void WorkerPool::on_nonsense(WorkerId worker)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end() || found->second.state == State::condemned)
        return;
    const Worker liar = found->second;
    pause_if_early(liar);
    condemn(worker);
    end_work_of(liar, "its worker gave an answer that is none");
}

void WorkerPool::on_ended(WorkerId worker)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end())
        return;
    const Worker ended = found->second;
    workers_.erase(found);
    std::erase(idle_, worker);
    has_settled_ = true;
    if (ended.state != State::condemned) {
        ++counts_.workers_lost;
        pause_if_early(ended);
    }
    end_work_of(ended, "its worker ended while it was asked");
}

/// What a worker was at that is no more.
void WorkerPool::end_work_of(const Worker& worker, const std::string& reason)
{
    if (worker.state == State::busy)
        decide(worker.job, {Verdict::unavailable, reason});
    if (worker.state == State::probing)
        servers_.on_probe_ended(reason);
}

void WorkerPool::end_overdue()
{
    const TimePoint now = clock_.now();
    end_hopeless();
    end_waiting(now);
    end_slow_workers(now);
    retire_idle(now);
    probe_if_due();
}

/// Those who wait for servers that have all gone down meanwhile.
void WorkerPool::end_hopeless()
{
    if (!servers_.are_all_down())
        return;
    patience_.clear();
    for (auto& [id, job] : std::exchange(waiting_, {})) {
        ++counts_.declined;
        job.on_decision({Verdict::unavailable, servers_.outage()});
    }
}

/// Under a load that the workers cannot bear, each request would reach one just before its deadline, and
/// cost that worker its life for nothing. Those that would come too late make room for those that would not.
void WorkerPool::end_waiting(TimePoint now)
{
    while (!patience_.empty() && patience_.begin()->first <= now) {
        auto job = waiting_.extract(patience_.begin()->second);
        patience_.erase(patience_.begin());
        ++counts_.outwaited;
        job.mapped().on_decision({Verdict::unavailable, "no worker was free in time"});
    }
}

void WorkerPool::end_slow_workers(TimePoint now)
{
    for (const auto& [id, worker] : workers_)
        if (hope_ends(worker) <= now) {
            const Worker slow = worker;
            pause_if_early(slow);
            condemn(id);
            end_work_of(slow, "it did not answer in time");
            if (slow.state == State::preparing)
                blame_server_of(slow);
        }
}

void WorkerPool::retire_idle(TimePoint now)
{
    while (host_.can_start_workers() && !idle_.empty() && live_workers() > config_.workers &&
           workers_.at(idle_.front()).idle_since + config_.worker_idle <= now)
        retire(idle_.front());
}

TimePoint WorkerPool::start_missing()
{
    const TimePoint now = clock_.now();
    if (!host_.can_start_workers())
        return next_event(now);
    const std::size_t wanted = workers_wanted(now);
    if (live_workers() < wanted && now < back_off_.until())
        return std::min(next_event(now), back_off_.until());
    while (live_workers() < wanted) {
        workers_.emplace(host_.start_worker(backend_), Worker{State::starting, now});
        ++counts_.workers_started;
    }
    return next_event(now);
}

/// One is enough to find that none can work. Each that is being started is for one of those who wait.
std::size_t WorkerPool::workers_wanted(TimePoint now) const
{
    if (!has_been_ready_)
        return 1;
    const std::size_t impatient = impatient_jobs(now);
    const std::size_t starting = count_of(State::starting);
    const std::size_t more = impatient > starting ? impatient - starting : 0;
    return std::max<std::size_t>(config_.workers, std::min({live_workers() + more, workers_of_use(now),
                                                            std::size_t{config_.workers_max}}));
}

/// As many as are kept, or as many again as wait already, besides those that wait. Of workers that answer
/// once, everybody needs one.
std::size_t WorkerPool::workers_of_use(TimePoint now) const
{
    if (config_.worker_requests_max == 1)
        return config_.workers_max;
    const auto held_up = static_cast<std::size_t>(std::ranges::count_if(workers_, [now](const auto& entry) {
        return is_occupied(entry.second) && entry.second.busy_since + grows_after <= now;
    }));
    return held_up + std::max<std::size_t>(config_.workers, held_up);
}

std::size_t WorkerPool::impatient_jobs(TimePoint now) const
{
    std::size_t count = 0;
    for (auto job = waiting_.begin(); job != waiting_.end() && count < config_.workers_max; ++job, ++count)
        if (job->second.arrived + grows_after > now)
            break;
    return count;
}

TimePoint WorkerPool::next_event(TimePoint now) const
{
    if (!waiting_.empty() && servers_.are_all_down())
        return now; // they are ended there, and not where the last server failed
    TimePoint next = patience_.empty() ? TimePoint::max() : patience_.begin()->first;
    for (const auto& [id, worker] : workers_)
        next = std::min(next, hope_ends(worker));
    if (!idle_.empty()) // else whoever becomes idle gets the probe that is due
        next = std::min(next, servers_.next_event());
    if (host_.can_start_workers() && !idle_.empty() && live_workers() > config_.workers)
        next = std::min(next, workers_.at(idle_.front()).idle_since + config_.worker_idle);
    return std::min(next, next_growth(now));
}

/// When one more of those who wait is worth a worker, or one more worker waits itself.
TimePoint WorkerPool::next_growth(TimePoint now) const
{
    if (waiting_.empty() || !has_been_ready_ || !host_.can_start_workers() ||
        live_workers() >= config_.workers_max)
        return TimePoint::max();
    TimePoint next = TimePoint::max();
    const auto consider = [&next, now](TimePoint since) {
        if (since + grows_after > now)
            next = std::min(next, since + grows_after);
    };
    if (const std::size_t impatient = impatient_jobs(now); impatient < waiting_.size())
        consider(std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(impatient))->second.arrived);
    for (const auto& [id, worker] : workers_)
        if (is_occupied(worker))
            consider(worker.busy_since);
    return next == TimePoint::max() ? next : std::max(next, back_off_.until());
}

/// The one that has waited longest, and may still: what is overdue is ended in its own time.
WorkerPool::WaitingJob WorkerPool::next_waiting()
{
    const TimePoint now = clock_.now();
    return std::ranges::find_if(waiting_,
                                [now](const auto& entry) { return entry.second.waits_until > now; });
}

void WorkerPool::dispatch()
{
    probe_if_due();
    while (!idle_.empty() && !servers_.are_all_down()) {
        const auto next = next_waiting();
        if (next == waiting_.end())
            return;
        const WorkerId worker = idle_.back();
        idle_.pop_back();
        if (!give(worker, next->first, next->second))
            continue; // the worker is gone; the request keeps its turn
        patience_.erase({next->second.waits_until, next->first});
        in_work_.insert(waiting_.extract(next));
    }
}

bool WorkerPool::give(WorkerId worker, JobId job, const Job& details)
{
    const ServerSet left_alone = servers_.left_alone();
    const bool is_there =
        host_.ask(worker, job, details.deadline - clock_.now(), left_alone, *details.request);
    has_probed_last_ = false;
    if (is_there)
        begin(workers_.at(worker), State::busy, job, left_alone);
    else
        lose(worker);
    return is_there;
}

void WorkerPool::probe_if_due()
{
    while (!idle_.empty()) {
        const auto server = servers_.probe_due();
        if (!server || is_request_first())
            return;
        const WorkerId worker = idle_.front();
        idle_.erase(idle_.begin());
        if (give_probe(worker, *server))
            servers_.on_probe_started(*server);
    }
}

bool WorkerPool::give_probe(WorkerId worker, std::size_t server)
{
    const JobId job = next_job_++;
    const ServerSet others = servers_.all_but(server);
    const Duration time = has_one_worker() ? probe_max_of_one_worker : probe_max;
    const bool is_there = host_.probe(worker, job, time, others);
    has_probed_last_ = true;
    if (is_there) {
        begin(workers_.at(worker), State::probing, job, others);
        workers_.at(worker).probe_ends = clock_.now() + time;
    } else {
        lose(worker);
    }
    return is_there;
}

/// One worker would come to nothing else where probes take longer than the pauses between them.
bool WorkerPool::is_request_first()
{
    return has_probed_last_ && has_one_worker() && !servers_.are_all_down() &&
           next_waiting() != waiting_.end();
}

/// And will not get another.
bool WorkerPool::has_one_worker() const
{
    return live_workers() == 1 && (config_.workers_max == 1 || !host_.can_start_workers());
}

void WorkerPool::begin(Worker& worker, State state, JobId job, ServerSet written_off)
{
    worker.state = state;
    worker.busy_since = clock_.now();
    worker.job = job;
    worker.written_off = written_off;
}

/// It was thought to be there, and is gone.
void WorkerPool::lose(WorkerId worker)
{
    pause_if_early(workers_.at(worker));
    condemn(worker);
}

void WorkerPool::condemn(WorkerId worker)
{
    workers_.at(worker).state = State::condemned;
    ++counts_.workers_lost;
    std::erase(idle_, worker);
    host_.kill_worker(worker);
}

void WorkerPool::retire(WorkerId worker)
{
    workers_.erase(worker);
    std::erase(idle_, worker);
    host_.retire_worker(worker);
}

void WorkerPool::pause_if_early(const Worker& worker)
{
    const bool was_useful = worker.state != State::starting && worker.state != State::preparing;
    if (!was_useful || clock_.now() - worker.started < early_end)
        back_off_.on_failure(clock_.now());
}

void WorkerPool::decide(JobId job, Decision decision)
{
    auto decided = in_work_.extract(job);
    if (!decided.empty())
        decided.mapped().on_decision(std::move(decision));
}

std::size_t WorkerPool::count_of(State state) const noexcept
{
    return static_cast<std::size_t>(
        std::ranges::count_if(workers_, [state](const auto& entry) { return entry.second.state == state; }));
}

std::size_t WorkerPool::live_workers() const noexcept
{
    return workers_.size() - count_of(State::condemned);
}

} // namespace postern
