// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/login_log.hpp"

#include <array>
#include <chrono>
#include <string>

namespace postern {

namespace {

using JsonValue = decltype(JsonField::value);

std::string field(std::string_view name, std::string_view value)
{
    return " [" + std::string{name} + '=' + escape_log_value(value) + ']';
}

std::string_view beginning(const LoginRecord& record) noexcept
{
    if (record.is_cached)
        return "auth success (cached):";
    if (record.verdict == Verdict::accepted)
        return "auth success:";
    return record.verdict == Verdict::unavailable ? "auth unavailable:" : "auth failure:";
}

std::string line(const LoginRecord& record, std::string_view reason)
{
    const Request& request = record.request;
    std::string text{beginning(record)};
    text += field("user", request.user) + field("service", request.service) + field("realm", request.realm);
    if (!record.is_cached)
        text += field("mech", record.backend);
    if (record.verdict != Verdict::accepted)
        text += field("reason", reason);
    if (!request.mechanism.empty())
        text += field("sasl", request.mechanism) + field("tls", request.is_secured ? "yes" : "no");
    if (!request.client_address.empty())
        text += field("remote", request.client_address);
    return text;
}

LogLevel level_of(Verdict verdict, LogLevel success_level) noexcept
{
    if (verdict == Verdict::accepted)
        return success_level;
    return verdict == Verdict::unavailable ? LogLevel::warning : LogLevel::info;
}

/// Null where there is none.
JsonValue text_or_null(std::string_view text) noexcept
{
    return text.empty() ? JsonValue{} : JsonValue{text};
}

double milliseconds(Duration time) noexcept
{
    const auto whole = std::chrono::ceil<std::chrono::microseconds>(time);
    return static_cast<double>(whole.count()) / 1000;
}

void write_fields(Log& log, LogLevel level, const LoginRecord& record, std::string_view reason) noexcept
{
    const Request& request = record.request;
    const auto& peer = record.origin.peer;
    const bool has_exchange = !request.mechanism.empty();
    const std::array fields{
        JsonField{"event", "login"},
        JsonField{"request", record.number},
        JsonField{"peer_uid", peer ? JsonValue{std::uint64_t{peer->uid}} : JsonValue{}},
        JsonField{"peer_pid", peer ? JsonValue{std::uint64_t{peer->pid}} : JsonValue{}},
        JsonField{"listener", text_or_null(record.origin.listener)},
        JsonField{"client_address", text_or_null(request.client_address)},
        JsonField{"user", request.user},
        JsonField{"service", request.service},
        JsonField{"realm", request.realm},
        JsonField{"backend", text_or_null(record.backend)},
        JsonField{"verdict", verdict_text(record.verdict)},
        JsonField{"reason", record.verdict == Verdict::accepted ? JsonValue{} : JsonValue{reason}},
        JsonField{"ms", milliseconds(record.took)},
        JsonField{"cached", record.is_cached},
        JsonField{"mechanism", text_or_null(request.mechanism)},
        JsonField{"tls", has_exchange ? JsonValue{request.is_secured} : JsonValue{}},
    };
    log.write_fields(level, fields);
}

} // namespace

void log_login(Log& log, LogLevel success_level, const LoginRecord& record) noexcept
try {
    const LogLevel level = level_of(record.verdict, success_level);
    if (level == LogLevel::debug && !log.writes_debug())
        return;
    // saslauthd's word where a mechanism gives none
    const std::string_view reason = record.reason.empty() ? "Unknown" : record.reason;
    if (log.writes_json())
        write_fields(log, level, record, reason);
    else
        log.write(level, line(record, reason));

} catch (const std::exception&) {
    log.error("out of memory: a login was not logged");
}

} // namespace postern
