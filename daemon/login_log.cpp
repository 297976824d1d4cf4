// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/login_log.hpp"

#include <optional>
#include <string>

namespace postern {

namespace {

std::string field(std::string_view name, std::string_view value)
{
    return " [" + std::string{name} + '=' + escape_log_value(value) + ']';
}

/// Without a backend there is no field for one.
std::string line(std::string_view begin, const Request& request, std::optional<std::string_view> backend,
                 std::string_view reason)
{
    std::string text{begin};
    text += field("user", request.user) + field("service", request.service) + field("realm", request.realm);
    if (backend)
        text += field("mech", *backend);
    if (!reason.empty())
        text += field("reason", reason);
    if (!request.mechanism.empty())
        text += field("sasl", request.mechanism) + field("tls", request.is_secured ? "yes" : "no");
    if (!request.client_address.empty())
        text += field("remote", request.client_address);
    return text;
}

bool is_unwanted(const Log& log, LogLevel level) noexcept
{
    return level == LogLevel::debug && !log.writes_debug();
}

} // namespace

void log_login(Log& log, LogLevel success_level, const Request& request, Verdict verdict,
               std::string_view backend, std::string_view reason) noexcept
try {
    if (verdict == Verdict::accepted && is_unwanted(log, success_level))
        return;
    if (reason.empty())
        reason = "Unknown"; // saslauthd's word where a mechanism gives none
    if (verdict == Verdict::accepted)
        log.write(success_level, line("auth success:", request, backend, {}));
    else if (verdict == Verdict::unavailable)
        log.warning(line("auth unavailable:", request, backend, reason));
    else
        log.info(line("auth failure:", request, backend, reason));

} catch (const std::exception&) {
    log.error("out of memory: a login was not logged");
}

void log_cached_login(Log& log, LogLevel success_level, const Request& request) noexcept
try {
    if (!is_unwanted(log, success_level))
        log.write(success_level, line("auth success (cached):", request, std::nullopt, {}));

} catch (const std::exception&) {
    log.error("out of memory: a login was not logged");
}

} // namespace postern
