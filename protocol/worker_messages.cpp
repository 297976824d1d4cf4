// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/worker_messages.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/log.hpp"

#include <algorithm>

namespace postern {

namespace {

enum class Type : std::uint8_t {
    question = 1,
    ready = 2,
    answer = 3,
    log_line = 4,
    hand_back = 5,
    probe = 6,
    server_failed = 7,
    prepare = 8,
};

constexpr std::size_t text_bytes_max = 1024;

/// The front waits no longer before a refusal, whatever a backend asks for: milliseconds.
constexpr std::uint32_t failure_delay_max = 10'000;

/// As many as a set of 32 bits can name.
constexpr std::uint8_t servers_possible = 32;

std::uint32_t clamped_milliseconds(std::chrono::milliseconds time)
{
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, UINT32_MAX));
}

struct MessageWriter {
    ByteWriter& writer;

    void operator()(const WorkerReady& ready) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::ready)).u8(ready.reads_any_file ? 1 : 0);
        writer.u8(ready.must_prepare ? 1 : 0);
    }

    void operator()(const Answer& answer) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::answer)).u64(answer.id);
        writer.u8(static_cast<std::uint8_t>(answer.decision.verdict));
        writer.u8(answer.decision.password_was_right ? 1 : 0);
        writer.u32(std::min(clamped_milliseconds(answer.decision.failure_delay), failure_delay_max));
        writer.counted_string(std::string_view{answer.decision.reason}.substr(0, text_bytes_max));
        writer.counted_string(std::string_view{answer.decision.reply}.substr(0, decision_reply_bytes_max));
        writer.u8(answer.must_prepare ? 1 : 0);
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

    void operator()(const ServerFailed& failed) const
    {
        writer.u8(static_cast<std::uint8_t>(Type::server_failed)).u8(failed.server);
        writer.counted_string(std::string_view{failed.problem}.substr(0, text_bytes_max));
        writer.u8(failed.is_certain ? 1 : 0);
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
    const auto must_prepare = parse_boolean(reader);
    if (!reads_any_file || !must_prepare)
        return std::nullopt;
    return WorkerReady{*reads_any_file, *must_prepare};
}

std::optional<WorkerMessage> parse_answer(ByteReader& reader)
{
    const auto id = reader.u64();
    const auto verdict = verdict_from(reader.u8().value_or(0));
    const auto password_was_right = parse_boolean(reader);
    const auto failure_delay = reader.u32();
    const auto reason = reader.counted_string();
    const auto reply = reader.counted_string();
    const auto must_prepare = parse_boolean(reader);
    if (!id || !verdict || !password_was_right || !failure_delay || !reason || !reply || !must_prepare ||
        *failure_delay > failure_delay_max || reply->size() > decision_reply_bytes_max)
        return std::nullopt;
    const std::chrono::milliseconds delay{*failure_delay};
    return Answer{*id,
                  {*verdict, std::string{*reason}, *password_was_right, delay, std::string{*reply}},
                  *must_prepare};
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

std::optional<WorkerMessage> parse_server_failed(ByteReader& reader)
{
    const auto server = reader.u8();
    const auto problem = reader.counted_string();
    const auto is_certain = parse_boolean(reader);
    if (!server || *server >= servers_possible || !problem || !is_certain)
        return std::nullopt;
    return ServerFailed{*server, std::string{*problem}, *is_certain};
}

ByteWriter begin_task(std::span<char> memory, Type type, const Probe& terms)
{
    ByteWriter writer{memory};
    writer.u8(static_cast<std::uint8_t>(type)).u64(terms.id);
    writer.u32(clamped_milliseconds(terms.time_left)).u32(terms.servers_left_alone);
    return writer;
}

/// What a question and a probe both begin with.
std::optional<Probe> parse_terms(ByteReader& reader)
{
    const auto id = reader.u64();
    const auto time_left = reader.u32();
    const auto servers_left_alone = reader.u32();
    if (!id || !time_left || !servers_left_alone)
        return std::nullopt;
    return Probe{*id, std::chrono::milliseconds{*time_left}, *servers_left_alone};
}

std::optional<WorkerTask> parse_probe(ByteReader& reader)
{
    const auto terms = parse_terms(reader);
    return terms && reader.at_end() ? std::optional<WorkerTask>{*terms} : std::nullopt;
}

std::optional<WorkerTask> parse_prepare(ByteReader& reader)
{
    const auto time_left = reader.u32();
    const auto servers_left_alone = reader.u32();
    if (!time_left || !servers_left_alone || !reader.at_end())
        return std::nullopt;
    return Prepare{std::chrono::milliseconds{*time_left}, *servers_left_alone};
}

/// Nothing for a number that is none: a front would never ask so.
std::optional<Asked> parse_asked(ByteReader& reader) noexcept
{
    const auto number = reader.u8();
    switch (static_cast<Asked>(number.value_or(0))) {
    case Asked::password:
    case Asked::challenge:
    case Asked::proof: return static_cast<Asked>(*number);
    }
    return std::nullopt;
}

std::optional<WorkerTask> parse_question(ByteReader& reader, SecretArena& arena)
{
    const auto terms = parse_terms(reader);
    const auto asked = parse_asked(reader);
    const auto is_secured = parse_boolean(reader);
    const auto user = reader.counted_string();
    const auto password = reader.counted_string();
    const auto service = reader.counted_string();
    const auto realm = reader.counted_string();
    const auto client_address = reader.counted_string();
    const auto server_address = reader.counted_string();
    const auto mechanism = reader.counted_string();
    const auto transcript = reader.counted_string();
    const auto salt = reader.counted_string();
    if (!terms || !asked || !is_secured || !user || !password || !service || !realm || !client_address ||
        !server_address || !mechanism || !transcript || !salt || !reader.at_end() ||
        password->size() > arena.slot_bytes() || salt->size() > scram_salt_bytes)
        return std::nullopt;
    return Question{terms->id, terms->time_left, terms->servers_left_alone,
                    Request{std::string{*user}, Secret{arena, *password}, std::string{*service},
                            std::string{*realm}, std::string{*client_address}, std::string{*server_address},
                            std::string{*mechanism}, *is_secured, *asked, std::string{*transcript},
                            std::string{*salt}}};
}

} // namespace

std::string_view write_question(std::span<char> memory, std::uint64_t id, std::chrono::milliseconds time_left,
                                std::uint32_t servers_left_alone, const Request& request)
{
    ByteWriter writer = begin_task(memory, Type::question, {id, time_left, servers_left_alone});
    writer.u8(static_cast<std::uint8_t>(request.asked)).u8(request.is_secured ? 1 : 0);
    writer.counted_string(request.user).counted_string(request.password.view());
    writer.counted_string(request.service).counted_string(request.realm);
    writer.counted_string(request.client_address).counted_string(request.server_address);
    writer.counted_string(request.mechanism).counted_string(request.transcript);
    writer.counted_string(request.salt);
    return writer.written();
}

std::string_view write_probe(std::span<char> memory, const Probe& probe)
{
    return begin_task(memory, Type::probe, probe).written();
}

std::string_view write_prepare(std::span<char> memory, const Prepare& prepare)
{
    ByteWriter writer{memory};
    writer.u8(static_cast<std::uint8_t>(Type::prepare));
    writer.u32(clamped_milliseconds(prepare.time_left)).u32(prepare.servers_left_alone);
    return writer.written();
}

std::optional<WorkerTask> parse_worker_task(std::string_view bytes, SecretArena& arena)
{
    ByteReader reader{bytes};
    const auto type = reader.u8();
    if (type == static_cast<std::uint8_t>(Type::question))
        return parse_question(reader, arena);
    if (type == static_cast<std::uint8_t>(Type::probe))
        return parse_probe(reader);
    if (type == static_cast<std::uint8_t>(Type::prepare))
        return parse_prepare(reader);
    return std::nullopt;
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
    case Type::server_failed: message = parse_server_failed(reader); break;
    case Type::question:
    case Type::probe:
    case Type::prepare: break;
    }
    return reader.at_end() ? message : std::nullopt;
}

} // namespace postern
