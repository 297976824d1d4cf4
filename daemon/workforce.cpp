// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/workforce.hpp"

#include <sodium.h>

#include <algorithm>
#include <utility>

namespace postern {

Workforce::Workforce(EventLoop& loop, Log& log, SecretArena& secrets, Tell tell, Settings settings)
    : loop_{loop}, log_{log}, tell_{std::move(tell)}, buffer_{secrets, {}}
{
    WorkerHost& host = *this;
    pools_.reserve(settings.backends);
    for (std::size_t i = 0; i < settings.backends; ++i)
        pools_.emplace_back(loop_.clock(), host,
                            WorkerPool::Settings{i, settings.workers, settings.queue_max});
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

void Workforce::on_started(WorkerId id, MessageSocket channel)
{
    const auto found = workers_.find(id);
    if (found == workers_.end() || !channel.is_open())
        return;
    Worker& worker = found->second;
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

bool Workforce::ask(WorkerId worker, JobId job, Duration time_left, const Request& request)
{
    const auto found = workers_.find(worker);
    if (found == workers_.end())
        return false;
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time_left);
    const std::string_view question = write_question(buffer_.buffer(), job, milliseconds, request);
    const bool is_sent = found->second.channel.send(question);
    sodium_memzero(buffer_.buffer().data(), question.size());
    return is_sent;
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

void Workforce::take(WorkerId id, const WorkerReady&)
{
    pool_of(id).on_ready(id);
}

void Workforce::take(WorkerId id, Answer& answer)
{
    pool_of(id).on_answer(id, answer.id, std::move(answer.decision));
}

void Workforce::take(WorkerId, const WorkerLogLine& line)
{
    log_.write(line.level, escape_log_value(line.text, 1024));
}

} // namespace postern
