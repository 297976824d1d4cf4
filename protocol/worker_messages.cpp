// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/worker_messages.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace postern {

namespace {

enum class Type : std::uint8_t { question = 1, ready = 2, answer = 3, log_line = 4 };

constexpr std::size_t text_bytes_max = 1024;

struct MessageWriter {
    ByteWriter& writer;

    void operator()(const WorkerReady&) const { writer.u8(static_cast<std::uint8_t>(Type::ready)); }

    void operator()(const Answer& answer) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::answer)).u64(answer.id);
        writer.u8(static_cast<std::uint8_t>(answer.decision.verdict));
        writer.counted_string(std::string_view{answer.decision.reason}.substr(0, text_bytes_max));
    }

    void operator()(const WorkerLogLine& line) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::log_line)).u8(static_cast<std::uint8_t>(line.level));
        writer.counted_string(std::string_view{line.text}.substr(0, text_bytes_max));
    }
};

std::optional<WorkerMessage> parse_answer(ByteReader& reader)
{
    const auto id = reader.u64();
    const auto verdict = verdict_from(reader.u8().value_or(0));
    const auto reason = reader.counted_string();
    if (!id || !verdict || !reason)
        return std::nullopt;
    return Answer{*id, {*verdict, std::string{*reason}}};
}

bool is_log_level(std::uint8_t number)
{
    switch (static_cast<LogLevel>(number)) {
    case LogLevel::error:
    case LogLevel::warning:
    case LogLevel::info:
    case LogLevel::debug: return true;
    }
    return false;
}

std::optional<WorkerMessage> parse_log_line(ByteReader& reader)
{
    const auto level = reader.u8();
    const auto text = reader.counted_string();
    if (!level || !is_log_level(*level) || !text)
        return std::nullopt;
    return WorkerLogLine{static_cast<LogLevel>(*level), std::string{*text}};
}

} // namespace

std::string_view write_question(std::span<char> memory, std::uint64_t id, std::chrono::milliseconds time_left,
                                const Request& request)
{
    ByteWriter writer{memory};
    writer.u8(static_cast<std::uint8_t>(Type::question)).u64(id);
    writer.u32(static_cast<std::uint32_t>(std::clamp<std::int64_t>(time_left.count(), 0, UINT32_MAX)));
    writer.counted_string(request.user).counted_string(request.password.view());
    writer.counted_string(request.service)
        .counted_string(request.realm)
        .counted_string(request.client_address);
    return writer.written();
}

std::optional<Question> parse_question(std::string_view bytes, SecretArena& arena)
{
    ByteReader reader{bytes};
    const auto type = reader.u8();
    const auto id = reader.u64();
    const auto time_left = reader.u32();
    const auto user = reader.counted_string();
    const auto password = reader.counted_string();
    const auto service = reader.counted_string();
    const auto realm = reader.counted_string();
    const auto client_address = reader.counted_string();
    if (type != static_cast<std::uint8_t>(Type::question) || !id || !time_left || !user || !password ||
        !service || !realm || !client_address || !reader.at_end() || password->size() > arena.slot_bytes())
        return std::nullopt;
    return Question{*id, std::chrono::milliseconds{*time_left},
                    Request{std::string{*user}, Secret{arena, *password}, std::string{*service},
                            std::string{*realm}, std::string{*client_address}}};
}

std::string_view write_worker_message(std::span<char> memory, const WorkerMessage& message)
{
    ByteWriter writer{memory};
    std::visit(MessageWriter{writer}, message);
    return writer.written();
}

std::optional<WorkerMessage> parse_worker_message(std::string_view bytes)
{
    ByteReader reader{bytes};
    std::optional<WorkerMessage> message;
    switch (static_cast<Type>(reader.u8().value_or(0))) {
    case Type::ready: message = WorkerReady{}; break;
    case Type::answer: message = parse_answer(reader); break;
    case Type::log_line: message = parse_log_line(reader); break;
    case Type::question: break;
    }
    return reader.at_end() ? message : std::nullopt;
}

} // namespace postern
