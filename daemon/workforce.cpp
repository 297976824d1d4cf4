// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/workforce.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <system_error>
#include <utility>

namespace postern {

namespace {

std::string worker_state_text(WorkerTable::State state)
{
    switch (state) {
    case WorkerTable::State::starting: return "starting";
    case WorkerTable::State::preparing: return "preparing";
    case WorkerTable::State::idle: return "idle";
    case WorkerTable::State::busy: return "busy";
    case WorkerTable::State::probing: return "probing";
    case WorkerTable::State::condemned: return "condemned";
    }
    return "invalid";
}

std::chrono::milliseconds in_milliseconds(Duration time)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(time);
}

std::string server_state_text(const ServerHealth::Server& server, bool is_probed)
{
    if (!server.is_down)
        return server.is_in_doubt ? "in doubt" : "up";
    return is_probed ? "probing" : "down";
}

ServerStatus status_of(const ServerHealth::Server& server, bool is_probed, TimePoint now)
{
    ServerStatus status;
    status.name = server.name;
    status.state = server_state_text(server, is_probed);
    status.failures = server.failures;
    status.problem = server.problem;
    if (!server.is_down)
        return status;
    const auto since = std::chrono::system_clock::now() - (now - server.down_since);
    status.down_since = std::chrono::system_clock::to_time_t(since);
    if (!is_probed && server.probe_at > now)
        status.next_probe_ms = static_cast<std::uint64_t>(in_milliseconds(server.probe_at - now).count());
    return status;
}

} // namespace

Workforce::Workforce(EventLoop& loop, Log& log, SecretArena& secrets, const Randomness& randomness, Tell tell,
                     const std::vector<PoolSetup>& backends)
    : loop_{loop}, log_{log}, tell_{std::move(tell)}, buffer_{secrets, {}}, backends_{backends}
{
    WorkerHost& host = *this;
    pools_.reserve(backends.size());
    for (const PoolSetup& backend : backends) {
        servers_.emplace_back(loop_.clock(), log_, randomness, backend.backend, backend.servers);
        pools_.emplace_back(loop_.clock(), host, pools_.size(), backend.config, servers_.back());
    }
}

std::vector<BackendStatus> Workforce::status() const
{
    std::vector<BackendStatus> all;
    for (std::size_t i = 0; i < pools_.size(); ++i) {
        const WorkerPool& pool = pools_[i];
        BackendStatus backend;
        backend.name = backends_[i].backend;
        backend.type = backends_[i].type;
        backend.workers_ready = pool.config().workers;
        backend.workers_max = pool.config().workers_max;
        backend.workers = status_of(pool);
        backend.waiting = pool.waiting();
        backend.queue_max = pool.config().queue_max;
        backend.declined = pool.counts().declined;
        backend.outwaited = pool.counts().outwaited;
        backend.workers_started = pool.counts().workers_started;
        backend.workers_lost = pool.counts().workers_lost;
        backend.servers = status_of(pool.servers());
        backend.waiting_longest = pool.counts().waiting_longest;
        backend.waits = durations_of(pool.counts().waits);
        all.push_back(std::move(backend));
    }
    return all;
}

/// Those that live.
std::vector<WorkerStatus> Workforce::status_of(const WorkerPool& pool) const
{
    std::vector<WorkerStatus> all;
    for (const auto& [id, worker] : pool.workers())
        if (const auto found = workers_.find(id); found != workers_.end())
            all.push_back({found->second.pid, worker_state_text(worker.state), worker.answers});
    return all;
}

std::vector<ServerStatus> Workforce::status_of(const ServerHealth& servers) const
{
    std::vector<ServerStatus> all;
    for (std::size_t i = 0; i < servers.servers().size(); ++i)
        all.push_back(postern::status_of(servers.servers()[i], servers.is_probed(i), loop_.clock().now()));
    return all;
}

bool Workforce::has_settled() const noexcept
{
    return std::ranges::all_of(pools_, &WorkerPool::has_settled);
}

bool Workforce::has_been_ready() const noexcept
{
    return std::ranges::all_of(pools_, &WorkerPool::has_been_ready);
}

void Workforce::end_overdue()
{
    forget_forsaken();
    for (WorkerPool& pool : pools_)
        pool.end_overdue();
}

TimePoint Workforce::start_missing()
{
    TimePoint next = TimePoint::max();
    for (WorkerPool& pool : pools_)
        next = std::min(next, pool.start_missing());
    return next;
}

void Workforce::on_started(const WorkerStarted& started, MessageSocket channel, MessageSocket tasks,
                           const UniqueFd& task_page)
{
    const WorkerId id = started.worker;
    const auto found = workers_.find(id);
    if (found == workers_.end() || !channel.is_open())
        return;
    Worker& worker = found->second;
    worker.pid = started.pid;
    worker.channel = std::move(channel);
    worker.channel.set_non_blocking();
    try {
        worker.tasks = TaskQueue{std::move(tasks), task_page.get()};
    } catch (const std::system_error& error) { // no memory
        log_.error(std::string{"a worker cannot be given anything: "} + error.what());
        tell_(ReleaseWorker{id});
        return on_ended(id);
    }
    worker.watch.emplace(loop_, worker.channel.fd(), EPOLLIN, [this, id](std::uint32_t) { on_readable(id); });
}

void Workforce::on_ended(WorkerId id)
{
    const auto found = workers_.find(id);
    if (found == workers_.end())
        return;
    const std::size_t backend = found->second.backend;
    hear_out(id);
    pools_[backend].on_ended(id);
    workers_.erase(id);
}

/// The news of a worker's end, which come another way, may overtake its last words and its last answer.
void Workforce::hear_out(WorkerId id)
{
    constexpr int messages_max = 256;
    workers_.at(id).has_ended = true;
    for (int i = 0; i < messages_max && take_message(id) == MessageSocket::Received::message; ++i) {
    }
    if (const auto found = workers_.find(id); found != workers_.end())
        report_missing_lines(found->second);
}

WorkerId Workforce::start_worker(std::size_t backend)
{
    const WorkerId id = next_worker_++;
    workers_[id].backend = backend;
    tell_(StartWorker{static_cast<std::uint16_t>(backend), id});
    return id;
}

/// Without a supervisor it lives on if it hangs, until its own timer ends it; but it is heard no more.
void Workforce::kill_worker(WorkerId worker)
{
    if (has_supervisor_)
        tell_(KillWorker{worker});
    else
        forsake(worker);
}

/// Its end will be nobody's to tell.
void Workforce::forsake(WorkerId worker)
{
    forsaken_.push_back(worker);
    if (const auto found = workers_.find(worker); found != workers_.end()) {
        found->second.watch.reset();
        found->second.channel.close();
        found->second.tasks.close();
    }
}

void Workforce::forget_forsaken()
{
    for (const WorkerId worker : std::exchange(forsaken_, {}))
        on_ended(worker);
}

/// Whom it was asked to kill may live.
void Workforce::on_supervisor_lost()
{
    has_supervisor_ = false;
    for (const WorkerPool& pool : pools_)
        for (const auto& [id, worker] : pool.workers())
            if (worker.state == WorkerTable::State::condemned)
                forsake(id);
}

/// It ends when its channel closes.
void Workforce::retire_worker(WorkerId worker)
{
    tell_(RetireWorker{worker}); // first, so that its end surprises nobody
    report_missing_lines(workers_.at(worker));
    workers_.erase(worker);
}

Workforce::Worker* Workforce::find_living(WorkerId id) noexcept
{
    const auto found = workers_.find(id);
    return found == workers_.end() || found->second.has_ended ? nullptr : &found->second;
}

bool Workforce::ask(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone,
                    const Request& request)
{
    Worker* const found = find_living(worker);
    if (found == nullptr)
        return false;
    const std::string_view question =
        write_question(buffer_.buffer(), job, in_milliseconds(time_left), left_alone.bits(), request);
    const bool is_sent = found->tasks.put(question);
    sodium_memzero(buffer_.buffer().data(), question.size());
    return is_sent;
}

bool Workforce::prepare(WorkerId worker, Duration time_left, ServerSet left_alone)
{
    Worker* const found = find_living(worker);
    if (found == nullptr)
        return false;
    std::array<char, 64> memory{};
    return found->tasks.put(write_prepare(memory, {in_milliseconds(time_left), left_alone.bits()}));
}

bool Workforce::probe(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone)
{
    Worker* const found = find_living(worker);
    if (found == nullptr)
        return false;
    std::array<char, 64> memory{};
    return found->tasks.put(write_probe(memory, {job, in_milliseconds(time_left), left_alone.bits()}));
}

std::size_t Workforce::take_back(WorkerId worker, std::size_t most)
{
    const auto found = workers_.find(worker);
    return found == workers_.end() ? 0 : found->second.tasks.take_back(most);
}

void Workforce::on_readable(WorkerId id)
{
    if (take_message(id) != MessageSocket::Received::end)
        return;
    tell_(ReleaseWorker{id}); // it may have closed its channel and live on
    on_ended(id);
}

/// Returns what there was.
MessageSocket::Received Workforce::take_message(WorkerId id)
{
    const auto found = workers_.find(id);
    if (found == workers_.end() || !found->second.channel.is_open())
        return MessageSocket::Received::nothing;
    const MessageSocket::Incoming incoming = found->second.channel.receive(buffer_.buffer());
    if (incoming.state == MessageSocket::Received::nothing || incoming.state == MessageSocket::Received::end)
        return incoming.state;
    auto message = incoming.state == MessageSocket::Received::message ? parse_worker_message(incoming.bytes)
                                                                      : std::nullopt;
    if (message)
        std::visit([this, id](auto& known) { take(id, known); }, *message);
    else
        pools_[found->second.backend].on_nonsense(id);
    return MessageSocket::Received::message;
}

void Workforce::take(WorkerId id, const WorkerReady& ready)
{
    const std::size_t backend = workers_.at(id).backend;
    if (ready.reads_any_file && told_rights_.insert(backend).second)
        log_.notice(backends_[backend].backend +
                    ": its account may not read its files: its workers run with CAP_DAC_READ_SEARCH");
    pools_[backend].on_ready(id, ready.must_prepare);
}

void Workforce::take(WorkerId id, Answer& answer)
{
    pool_of(id).on_answer(id, answer.id, std::move(answer.decision), answer.must_prepare);
}

void Workforce::take(WorkerId id, const HandBack& hand_back)
{
    pool_of(id).on_handed_back(id, hand_back.id);
}

void Workforce::take(WorkerId id, const ServerFailed& failed)
{
    pool_of(id).on_server_failed(id, failed.server, failed.problem, failed.is_certain);
}

/// A library that writes without end must not fill the log of the host. Who has asked for debug lines gets
/// all.
void Workforce::take(WorkerId id, const WorkerLogLine& line)
{
    Worker& worker = workers_.at(id);
    if (line.level != LogLevel::debug && !worker.lines.take(loop_.clock().now()))
        return;
    report_missing_lines(worker);
    constexpr std::size_t line_bytes_max = 1024;
    if (line.origin == LogOrigin::postern)
        log_.write(line.level, escape_log_value(line.text, line_bytes_max));
    else
        log_.write_foreign(line.origin, line.level, escape_log_line(line.text, line_bytes_max));
}

void Workforce::report_missing_lines(Worker& worker)
{
    if (const std::uint64_t missing = worker.lines.take_missing(); missing > 0)
        log_.warning("worker " + std::to_string(worker.pid) + " (" + backends_[worker.backend].backend +
                     ") wrote too much: " + std::to_string(missing) + " lines were dropped");
}

} // namespace postern
