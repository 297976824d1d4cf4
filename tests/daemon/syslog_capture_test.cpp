// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/syslog_capture.hpp"
#include "tests/support/recording_log.hpp"

#include <syslog.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstdarg>
#include <string>

namespace postern {

namespace {

using Lines = std::vector<std::string>;

[[gnu::format(printf, 2, 3)]] void say_with_a_list(int priority, const char* format, ...)
{
    std::va_list arguments;
    va_start(arguments, format);
    ::vsyslog(priority, format, arguments);
    va_end(arguments);
}

/// Where lines go.
class OriginLog final : public Log {
public:
    void write(LogLevel, std::string_view) noexcept override {}

    void write_foreign(LogOrigin origin, LogLevel, std::string_view) noexcept override { last = origin; }

    LogOrigin last = LogOrigin::postern;
};

} // namespace

TEST_CASE("what a library says to syslog goes to the log while it is captured", "[syslog_capture]")
{
    RecordingLog log;
    ::syslog(LOG_ERR, "before");
    {
        const SyslogCapture capture{log};
        ::openlog("module", LOG_PID, LOG_AUTHPRIV);
        ::syslog(LOG_AUTHPRIV | LOG_NOTICE, "user %s, %d tries", "alice", 3);
        say_with_a_list(LOG_INFO, "%s and %s", "one", "two");
        ::closelog();
    }
    ::syslog(LOG_ERR, "after");
    CHECK(log.lines == Lines{"5 user alice, 3 tries", "6 one and two"});
}

TEST_CASE("severities are ours", "[syslog_capture]")
{
    RecordingLog log;
    const SyslogCapture capture{log};
    for (int severity = LOG_EMERG; severity <= LOG_DEBUG; ++severity)
        ::syslog(LOG_LOCAL7 | severity, "x");
    CHECK(log.lines == Lines{"3 x", "3 x", "3 x", "3 x", "4 x", "5 x", "6 x", "7 x"});
    CHECK(::setlogmask(LOG_MASK(LOG_ERR)) == 0xff);
    ::syslog(LOG_DEBUG, "still");
    CHECK(log.lines.back() == "7 still");
}

TEST_CASE("a line goes to authpriv if a library says so, and to auth otherwise", "[syslog_capture]")
{
    OriginLog log;
    const SyslogCapture capture{log};
    const auto origin_of = [&log](int priority) {
        ::syslog(priority, "x");
        return log.last;
    };
    CHECK(origin_of(LOG_ERR) == LogOrigin::foreign_to_auth);
    CHECK(origin_of(LOG_AUTH | LOG_DEBUG) == LogOrigin::foreign_to_auth);
    CHECK(origin_of(LOG_AUTHPRIV | LOG_ERR) == LogOrigin::foreign_to_authpriv);
    CHECK(origin_of(LOG_LOCAL7 | LOG_ERR) == LogOrigin::foreign_to_auth);
    ::openlog("module", 0, LOG_AUTHPRIV);
    ::closelog();
    ::openlog("module", 0, 0);
    CHECK(origin_of(LOG_ERR) == LogOrigin::foreign_to_authpriv);
    CHECK(origin_of(LOG_AUTH | LOG_ERR) == LogOrigin::foreign_to_auth);
}

TEST_CASE("%m is the error before the call, which the caller keeps", "[syslog_capture]")
{
    RecordingLog log;
    const SyslogCapture capture{log};
    errno = ENOTDIR;
    ::syslog(LOG_ERR, "%s: %m", "/etc/passwd/x");
    CHECK(errno == ENOTDIR);
    CHECK(log.lines == Lines{"3 /etc/passwd/x: Not a directory"});
}

TEST_CASE("a line of any length is one line without its end", "[syslog_capture]")
{
    RecordingLog log;
    const SyslogCapture capture{log};
    const std::string text(GENERATE(0U, 1U, 1023U, 65'535U, 65'536U), 'x');
    ::syslog(LOG_ERR, "%s\n", text.c_str());
    CHECK(log.lines == Lines{"3 " + text});
    ::syslog(LOG_ERR, "%s", std::string(1'000'000, 'y').c_str());
    CHECK(log.lines.back() == "3 " + std::string(65'536, 'y'));
}

} // namespace postern
