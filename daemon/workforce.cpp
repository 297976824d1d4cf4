// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/workforce.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace postern {

namespace {

std::string worker_state_text(WorkerPool::State state)
{
    switch (state) {
    case WorkerPool::State::starting: return "starting";
    case WorkerPool::State::preparing: return "preparing";
    case WorkerPool::State::idle: return "idle";
    case WorkerPool::State::busy: return "busy";
    case WorkerPool::State::probing: return "probing";
    case WorkerPool::State::condemned: return "condemned";
    }
    return "invalid";
}

std::chrono::milliseconds in_milliseconds(Duration time)
{
    return std::chrono::duration_cast<std::chrono::milliseconds>(time);
}

ServerStatus status_of(const ServerHealth::Server& server, bool is_probed, TimePoint now)
{
    ServerStatus status;
    status.name = server.name;
    status.state = !server.is_down ? "up" : is_probed ? "probing" : "down";
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
    : loop_{loop}, log_{log}, tell_{std::move(tell)}, buffer_{secrets, {}}
{
    WorkerHost& host = *this;
    pools_.reserve(backends.size());
    for (const PoolSetup& backend : backends) {
        servers_.emplace_back(loop_.clock(), log_, randomness, backend.backend, backend.servers);
        pools_.emplace_back(loop_.clock(), host, pools_.size(), backend.config, servers_.back());
        names_.push_back(backend.backend);
    }
}

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
        all.push_back(postern::status_of(servers.servers()[i], servers.probed() == i, loop_.clock().now()));
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

void Workforce::on_started(const WorkerStarted& started, MessageSocket channel)
{
    const WorkerId id = started.worker;
    const auto found = workers_.find(id);
    if (found == workers_.end() || !channel.is_open())
        return;
    Worker& worker = found->second;
    worker.pid = started.pid;
    worker.channel = std::move(channel);
    worker.channel.set_non_blocking();
    worker.watch.emplace(loop_, worker.channel.fd(), EPOLLIN, [this, id](std::uint32_t) { on_readable(id); });
}

void Workforce::on_ended(WorkerId id)
{
    const auto found = workers_.find(id);
    if (found == workers_.end())
        return;
    const std::size_t backend = found->second.backend;
    workers_.erase(found);
    pools_[backend].on_ended(id);
}

WorkerId Workforce::start_worker(std::size_t backend)
{
    const WorkerId id = next_worker_++;
    workers_[id].backend = backend;
    tell_(StartWorker{static_cast<std::uint16_t>(backend), id});
    return id;
}

void Workforce::kill_worker(WorkerId worker)
{
    tell_(KillWorker{worker});
}

/// It ends when its channel closes.
void Workforce::retire_worker(WorkerId worker)
{
    tell_(RetireWorker{worker}); // first, so that its end surprises nobody
    workers_.erase(worker);
}

bool Workforce::ask(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone,
                    const Request& request)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end())
        return false;
    const std::string_view question =
        write_question(buffer_.buffer(), job, in_milliseconds(time_left), left_alone.bits(), request);
    const bool is_sent = found->second.channel.send(question);
    sodium_memzero(buffer_.buffer().data(), question.size());
    return is_sent;
}

bool Workforce::prepare(WorkerId worker, Duration time_left, ServerSet left_alone)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end())
        return false;
    std::array<char, 64> memory{};
    return found->second.channel.send(write_prepare(memory, {in_milliseconds(time_left), left_alone.bits()}));
}

bool Workforce::probe(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end())
        return false;
    std::array<char, 64> memory{};
    return found->second.channel.send(
        write_probe(memory, {job, in_milliseconds(time_left), left_alone.bits()}));
}

void Workforce::on_readable(WorkerId id)
{
    const auto found = workers_.find(id);
    if (found == workers_.end())
        return;
    const MessageSocket::Incoming incoming = found->second.channel.receive(buffer_.buffer());
    if (incoming.state == MessageSocket::Received::nothing)
        return;
    if (incoming.state == MessageSocket::Received::end) {
        tell_(ReleaseWorker{id}); // it may have closed its channel and live on
        return on_ended(id);
    }
    auto message = incoming.state == MessageSocket::Received::message ? parse_worker_message(incoming.bytes)
                                                                      : std::nullopt;
    if (message)
        std::visit([this, id](auto& known) { take(id, known); }, *message);
    else
        pools_[found->second.backend].on_nonsense(id);
}

void Workforce::take(WorkerId id, const WorkerReady& ready)
{
    const std::size_t backend = workers_.at(id).backend;
    if (ready.reads_any_file && told_rights_.insert(backend).second)
        log_.notice(names_[backend] +
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
    pool_of(id).on_server_failed(id, failed.server, failed.problem);
}

void Workforce::take(WorkerId, const WorkerLogLine& line)
{
    constexpr std::size_t line_bytes_max = 1024;
    if (line.origin == LogOrigin::postern)
        log_.write(line.level, escape_log_value(line.text, line_bytes_max));
    else
        log_.write_foreign(line.origin, line.level, escape_log_line(line.text, line_bytes_max));
}

} // namespace postern
