// SPDX-License-Identifier: BSD-2-Clause
//
// The functions of <syslog.h>, defined anew. That header is not included: with _FORTIFY_SOURCE it defines
// syslog() inline, as a call of __syslog_chk(), which is also why that name is among ours.
//
// A line is made whole before it is cut, so that whoever looks for something in it sees all of it.
#include "daemon/syslog_capture.hpp"

#include <string.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <exception>
#include <string>

namespace postern {

namespace {

constexpr std::size_t line_bytes_max = 65'536; // far more than a log line and a password together
constexpr int severity_mask = 7;               // of a priority; the rest is the facility
constexpr int facility_auth = 4 * 8;           // as in syslog(3)
constexpr int facility_authpriv = 10 * 8;

std::atomic<Log*> capturing_log{nullptr};
std::atomic<int> usual_facility{facility_auth}; ///< of a priority without one

/// Emergencies, alerts and critical conditions of a module are errors of ours.
LogLevel level_of(int priority) noexcept
{
    return static_cast<LogLevel>(std::max(priority & severity_mask, static_cast<int>(LogLevel::error)));
}

/// What is neither goes to auth: saslauthd's lines do.
LogOrigin origin_of(int priority) noexcept
{
    const int own = priority & ~severity_mask;
    const int facility = own == 0 ? usual_facility.load() : own;
    return facility == facility_authpriv ? LogOrigin::foreign_to_authpriv : LogOrigin::foreign_to_auth;
}

/// `error` is what %m stands for.
[[gnu::format(printf, 1, 0)]] std::string formatted(const char* format, std::va_list arguments, int error)
{
    std::va_list measured;
    va_copy(measured, arguments);
    errno = error;
    const int length = std::vsnprintf(nullptr, 0, format, measured);
    va_end(measured);
    std::string line(std::min(static_cast<std::size_t>(std::max(length, 0)), line_bytes_max), '\0');
    errno = error;
    std::vsnprintf(line.data(), line.size() + 1, format, arguments);
    return line;
}

[[gnu::format(printf, 2, 0)]] void capture(int priority, const char* format, std::va_list arguments) noexcept
{
    const int error = errno;
    Log* const log = capturing_log.load();
    const LogLevel level = level_of(priority);
    if (log != nullptr && (level != LogLevel::debug || log->writes_debug()))
        try {
            std::string line = formatted(format, arguments, error);
            const std::size_t end = line.find_last_not_of('\n') + 1;
            log->write_foreign(origin_of(priority), level, std::string_view{line}.substr(0, end));
            ::explicit_bzero(line.data(), line.size());
        } catch (const std::exception&) {
            log->error("out of memory: a line of a library was not logged");
        }
    errno = error;
}

} // namespace

SyslogCapture::SyslogCapture(Log& log) noexcept
{
    [[maybe_unused]] const Log* const other = capturing_log.exchange(&log);
    assert(other == nullptr);
    usual_facility = facility_auth;
}

SyslogCapture::~SyslogCapture()
{
    capturing_log = nullptr;
}

} // namespace postern

extern "C" {

[[gnu::visibility("default"), gnu::format(printf, 2, 3)]] void syslog(int priority, const char* format, ...)
{
    std::va_list arguments;
    va_start(arguments, format);
    postern::capture(priority, format, arguments);
    va_end(arguments);
}

[[gnu::visibility("default"), gnu::format(printf, 2, 0)]] void vsyslog(int priority, const char* format,
                                                                       std::va_list arguments)
{
    postern::capture(priority, format, arguments);
}

[[gnu::visibility("default"), gnu::format(printf, 3, 4)]] void __syslog_chk(int priority, int /*fortified*/,
                                                                            const char* format, ...)
{
    std::va_list arguments;
    va_start(arguments, format);
    postern::capture(priority, format, arguments);
    va_end(arguments);
}

[[gnu::visibility("default"), gnu::format(printf, 3, 0)]] void
__vsyslog_chk(int priority, int /*fortified*/, const char* format, std::va_list arguments)
{
    postern::capture(priority, format, arguments);
}

// A line has our ident and goes where our lines go, whatever a library wishes; of its wishes the facility is
// kept, for good, as libc does.

[[gnu::visibility("default")]] void openlog(const char*, int, int facility)
{
    if (facility != 0)
        postern::usual_facility = facility;
}

[[gnu::visibility("default")]] void closelog() {}

[[gnu::visibility("default")]] int setlogmask(int)
{
    return 0xff; // every severity
}
}
