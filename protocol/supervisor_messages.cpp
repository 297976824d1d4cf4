// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/supervisor_messages.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace postern {

namespace {

enum class Type : std::uint8_t {
    front_ready = 1,
    start_worker = 2,
    kill_worker = 3,
    release_worker = 4,
    need_syslog = 5,
    refused_call = 6,
    pong = 7,
    finishing = 8,
    reload = 9,
    retire_worker = 10,
    worker_started = 16,
    worker_ended = 17,
    syslog_socket = 18,
    finish = 19,
    ping = 20,
    open = 21,
    reload_ended = 22,
};

constexpr std::size_t problem_bytes_max = supervisor_message_bytes_max - 16;

struct MessageWriter {
    ByteWriter& writer;

    ByteWriter& type(Type type) const { return writer.u8(static_cast<std::uint8_t>(type)); }

    void operator()(const FrontReady&) const { type(Type::front_ready); }

    void operator()(const StartWorker& start) const
    {
        type(Type::start_worker).u16(start.backend).u32(start.worker);
    }

    void operator()(const KillWorker& kill) const { type(Type::kill_worker).u32(kill.worker); }

    void operator()(const ReleaseWorker& release) const { type(Type::release_worker).u32(release.worker); }

    void operator()(const RetireWorker& retire) const { type(Type::retire_worker).u32(retire.worker); }

    void operator()(const NeedSyslog&) const { type(Type::need_syslog); }

    void operator()(const RefusedCall& call) const { type(Type::refused_call).u32(call.number); }

    void operator()(const Pong&) const { type(Type::pong); }

    void operator()(const Finishing&) const { type(Type::finishing); }

    void operator()(const Reload& reload) const { type(Type::reload).u32(reload.request); }

    void operator()(const WorkerStarted& started) const
    {
        type(Type::worker_started).u32(started.worker).u32(started.pid);
    }

    void operator()(const WorkerEnded& ended) const { type(Type::worker_ended).u32(ended.worker); }

    void operator()(const SyslogSocket&) const { type(Type::syslog_socket); }

    void operator()(const Ping&) const { type(Type::ping); }

    void operator()(const Open&) const { type(Type::open); }

    void operator()(const Finish& finish) const { type(Type::finish).u8(finish.is_stop ? 1 : 0); }

    void operator()(const ReloadEnded& ended) const
    {
        type(Type::reload_ended).u32(ended.request);
        writer.counted_string(std::string_view{ended.problem}.substr(0, problem_bytes_max));
    }
};

template <typename Message>
std::string_view write(std::span<char> memory, const Message& message)
{
    ByteWriter writer{memory};
    std::visit(MessageWriter{writer}, message);
    return writer.written();
}

std::optional<FrontMessage> parse_start_worker(ByteReader& reader) noexcept
{
    const auto backend = reader.u16();
    const auto worker = reader.u32();
    if (!backend || !worker)
        return std::nullopt;
    return StartWorker{*backend, *worker};
}

std::optional<SupervisorMessage> parse_worker_started(ByteReader& reader) noexcept
{
    const auto worker = reader.u32();
    const auto pid = reader.u32();
    if (!worker || !pid)
        return std::nullopt;
    return WorkerStarted{*worker, *pid};
}

std::optional<SupervisorMessage> parse_reload_ended(ByteReader& reader)
{
    const auto request = reader.u32();
    const auto problem = reader.counted_string();
    if (!request || !problem)
        return std::nullopt;
    return ReloadEnded{*request, std::string{*problem}};
}

std::optional<SupervisorMessage> parse_finish(ByteReader& reader) noexcept
{
    const auto is_stop = reader.u8();
    if (!is_stop || *is_stop > 1)
        return std::nullopt;
    return Finish{*is_stop == 1};
}

/// A message whose one field is a 32-bit number.
template <typename Variant, typename Message>
std::optional<Variant> parse_number(ByteReader& reader) noexcept
{
    const auto number = reader.u32();
    return number ? std::optional<Variant>{Message{*number}} : std::nullopt;
}

} // namespace

std::string_view write_front_message(std::span<char> memory, const FrontMessage& message)
{
    return write(memory, message);
}

std::string_view write_supervisor_message(std::span<char> memory, const SupervisorMessage& message)
{
    return write(memory, message);
}

std::optional<FrontMessage> parse_front_message(std::string_view bytes) noexcept
{
    ByteReader reader{bytes};
    std::optional<FrontMessage> message;
    switch (static_cast<Type>(reader.u8().value_or(0))) {
    case Type::front_ready: message = FrontReady{}; break;
    case Type::start_worker: message = parse_start_worker(reader); break;
    case Type::kill_worker: message = parse_number<FrontMessage, KillWorker>(reader); break;
    case Type::release_worker: message = parse_number<FrontMessage, ReleaseWorker>(reader); break;
    case Type::retire_worker: message = parse_number<FrontMessage, RetireWorker>(reader); break;
    case Type::need_syslog: message = NeedSyslog{}; break;
    case Type::refused_call: message = parse_number<FrontMessage, RefusedCall>(reader); break;
    case Type::pong: message = Pong{}; break;
    case Type::finishing: message = Finishing{}; break;
    case Type::reload: message = parse_number<FrontMessage, Reload>(reader); break;
    case Type::worker_started:
    case Type::worker_ended:
    case Type::syslog_socket:
    case Type::ping:
    case Type::open:
    case Type::finish:
    case Type::reload_ended: break;
    }
    return reader.at_end() ? message : std::nullopt;
}

std::optional<SupervisorMessage> parse_supervisor_message(std::string_view bytes)
{
    ByteReader reader{bytes};
    std::optional<SupervisorMessage> message;
    switch (static_cast<Type>(reader.u8().value_or(0))) {
    case Type::worker_started: message = parse_worker_started(reader); break;
    case Type::worker_ended: message = parse_number<SupervisorMessage, WorkerEnded>(reader); break;
    case Type::syslog_socket: message = SyslogSocket{}; break;
    case Type::ping: message = Ping{}; break;
    case Type::open: message = Open{}; break;
    case Type::finish: message = parse_finish(reader); break;
    case Type::reload_ended: message = parse_reload_ended(reader); break;
    case Type::front_ready:
    case Type::start_worker:
    case Type::kill_worker:
    case Type::release_worker:
    case Type::retire_worker:
    case Type::need_syslog:
    case Type::refused_call:
    case Type::pong:
    case Type::finishing:
    case Type::reload: break;
    }
    return reader.at_end() ? message : std::nullopt;
}

} // namespace postern
