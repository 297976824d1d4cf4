// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/worker_messages.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace postern {

namespace {

enum class Type : std::uint8_t { question = 1, ready = 2, answer = 3, log_line = 4, hand_back = 5 };

constexpr std::size_t text_bytes_max = 1024;

std::uint32_t clamped_milliseconds(std::chrono::milliseconds time)
{
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, UINT32_MAX));
}

struct MessageWriter {
    ByteWriter& writer;

    void operator()(const WorkerReady& ready) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::ready)).u8(ready.reads_any_file ? 1 : 0);
    }

    void operator()(const Answer& answer) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::answer)).u64(answer.id);
        writer.u8(static_cast<std::uint8_t>(answer.decision.verdict));
        writer.u8(answer.decision.password_was_right ? 1 : 0);
        writer.u32(clamped_milliseconds(answer.decision.failure_delay));
        writer.counted_string(std::string_view{answer.decision.reason}.substr(0, text_bytes_max));
    }

    void operator()(const HandBack& hand_back) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::hand_back)).u64(hand_back.id);
    }

    void operator()(const WorkerLogLine& line) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::log_line)).u8(static_cast<std::uint8_t>(line.level));
        writer.u8(static_cast<std::uint8_t>(line.origin));
        writer.counted_string(std::string_view{line.text}.substr(0, text_bytes_max));
    }
};

/// Nothing for a byte that is neither yes nor no.
std::optional<bool> parse_boolean(ByteReader& reader) noexcept
{
    const auto number = reader.u8();
    return number && *number <= 1 ? std::optional{*number == 1} : std::nullopt;
}

std::optional<WorkerMessage> parse_ready(ByteReader& reader)
{
    const auto reads_any_file = parse_boolean(reader);
    return reads_any_file ? std::optional<WorkerMessage>{WorkerReady{*reads_any_file}} : std::nullopt;
}

std::optional<WorkerMessage> parse_answer(ByteReader& reader)
{
    const auto id = reader.u64();
    const auto verdict = verdict_from(reader.u8().value_or(0));
    const auto password_was_right = parse_boolean(reader);
    const auto failure_delay = reader.u32();
    const auto reason = reader.counted_string();
    if (!id || !verdict || !password_was_right || !failure_delay || !reason)
        return std::nullopt;
    return Answer{
        *id,
        {*verdict, std::string{*reason}, *password_was_right, std::chrono::milliseconds{*failure_delay}}};
}

std::optional<WorkerMessage> parse_hand_back(ByteReader& reader)
{
    const auto id = reader.u64();
    return id ? std::optional<WorkerMessage>{HandBack{*id}} : std::nullopt;
}

bool is_log_level(std::uint8_t number)
{
    switch (static_cast<LogLevel>(number)) {
    case LogLevel::error:
    case LogLevel::warning:
    case LogLevel::notice:
    case LogLevel::info:
    case LogLevel::debug: return true;
    }
    return false;
}

bool is_log_origin(std::uint8_t number)
{
    switch (static_cast<LogOrigin>(number)) {
    case LogOrigin::postern:
    case LogOrigin::foreign_to_authpriv:
    case LogOrigin::foreign_to_auth: return true;
    }
    return false;
}

std::optional<WorkerMessage> parse_log_line(ByteReader& reader)
{
    const auto level = reader.u8();
    const auto origin = reader.u8();
    const auto text = reader.counted_string();
    if (!level || !is_log_level(*level) || !origin || !is_log_origin(*origin) || !text)
        return std::nullopt;
    return WorkerLogLine{static_cast<LogLevel>(*level), std::string{*text}, static_cast<LogOrigin>(*origin)};
}

} // namespace

std::string_view write_question(std::span<char> memory, std::uint64_t id, std::chrono::milliseconds time_left,
                                const Request& request)
{
    ByteWriter writer{memory};
    writer.u8(static_cast<std::uint8_t>(Type::question)).u64(id);
    writer.u32(clamped_milliseconds(time_left));
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
    case Type::ready: message = parse_ready(reader); break;
    case Type::answer: message = parse_answer(reader); break;
    case Type::hand_back: message = parse_hand_back(reader); break;
    case Type::log_line: message = parse_log_line(reader); break;
    case Type::question: break;
    }
    return reader.at_end() ? message : std::nullopt;
}

} // namespace postern
