// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/json_line.hpp"
#include "base/unique_fd.hpp"

#include <cstdint>
#include <ctime>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace postern {

/// The severities that are used, with their numbers in syslog(3).
enum class LogLevel : std::uint8_t { error = 3, warning = 4, notice = 5, info = 6, debug = 7 };

/// Who has written a line: Postern, or foreign code that it runs, a PAM module for example; and the facility
/// that the latter has chosen.
enum class LogOrigin : std::uint8_t { postern = 0, foreign_to_authpriv = 1, foreign_to_auth = 2 };

/// Where lines go that are for the admin. One call is one event and one line.
///
/// Text from strangers goes in through escape_log_value(); a password never goes in at all.
class Log {
public:
    virtual ~Log() = default;
    virtual void write(LogLevel level, std::string_view text) noexcept = 0;

    /// A line in the words of foreign code, which expressions in the wild match: without our prefix.
    virtual void write_foreign(LogOrigin /*origin*/, LogLevel level, std::string_view text) noexcept
    {
        write(level, text);
    }

    /// Whether lines are objects, and write_fields() is for what has more to tell than a text.
    [[nodiscard]] virtual bool writes_json() const noexcept { return false; }

    /// An event in fields, where writes_json().
    virtual void write_fields(LogLevel /*level*/, std::span<const JsonField> /*fields*/) noexcept {}

    /// Whether LogLevel::debug is written at all: saves making a line that nobody reads.
    [[nodiscard]] virtual bool writes_debug() const noexcept { return true; }

    void error(std::string_view text) noexcept { write(LogLevel::error, text); }

    void warning(std::string_view text) noexcept { write(LogLevel::warning, text); }

    void notice(std::string_view text) noexcept { write(LogLevel::notice, text); }

    void info(std::string_view text) noexcept { write(LogLevel::info, text); }

    void debug(std::string_view text) noexcept { write(LogLevel::debug, text); }
};

/// How the lines of a process begin.
struct LogStyle {
    std::string ident;       ///< the name in front of the process id
    std::string text_prefix; ///< of every text sent to syslog; saslauthd puts 16 blanks and ": " there
    bool with_debug = false; ///< whether LogLevel::debug is written
    bool is_json = false;    ///< each line is an object: with time, level, pid, and message or fields
};

/// A Log on descriptors that somebody with the rights for it has opened: a datagram socket connected to
/// /dev/log, the standard error stream, or both.
///
/// Never blocks: a line that does not fit now is dropped and counted, and the count is reported as soon as
/// a line fits again. It calls neither syslog(3) nor stdio, which may block or need files.
class DescriptorLog final : public Log {
public:
    explicit DescriptorLog(LogStyle style) : style_{std::move(style)} {}

    /// `socket` is connected to a syslog daemon; an empty one means that there is none now.
    void set_syslog(UniqueFd socket) noexcept;

    /// `stream` is written without blocking, what is `least` or worse; see open_error_stream().
    void set_stream(UniqueFd stream, LogLevel least = LogLevel::debug) noexcept
    {
        stream_ = std::move(stream);
        stream_least_ = least;
    }

    /// Called when the syslog daemon has gone away, once until the next set_syslog(); which may be called
    /// from there, and then the line is not lost.
    void on_syslog_lost(std::function<void()> callback) { on_syslog_lost_ = std::move(callback); }

    void write(LogLevel level, std::string_view text) noexcept override;
    void write_foreign(LogOrigin origin, LogLevel level, std::string_view text) noexcept override;
    void write_fields(LogLevel level, std::span<const JsonField> fields) noexcept override;
    [[nodiscard]] bool writes_json() const noexcept override { return style_.is_json; }
    [[nodiscard]] bool writes_debug() const noexcept override { return style_.with_debug; }

    /// Lines dropped since the start.
    [[nodiscard]] std::uint64_t dropped_in_all() const noexcept { return dropped_in_all_; }

    /// Lines dropped and not yet reported.
    [[nodiscard]] std::uint64_t dropped() const noexcept { return dropped_by_syslog_ + dropped_by_stream_; }

private:
    enum class Sent : std::uint8_t { yes, full, lost };
    [[nodiscard]] bool is_unwanted(LogLevel level) const noexcept;
    [[nodiscard]] std::string body_of(LogLevel level, std::string_view text) const;
    void write(LogOrigin origin, LogLevel level, std::string_view text) noexcept;
    void write_body(LogOrigin origin, LogLevel level, const std::string& body);
    void write_syslog(LogOrigin origin, LogLevel level, const std::string& body);
    Sent send_syslog(LogOrigin origin, LogLevel level, const std::string& body);
    const std::string& time_text();
    void write_stream(const std::string& body);
    bool send_stream(const std::string& body);
    void drop(std::uint64_t& counter) noexcept
    {
        ++counter;
        ++dropped_in_all_;
    }

    LogStyle style_;
    UniqueFd syslog_;
    UniqueFd stream_;
    LogLevel stream_least_ = LogLevel::debug;
    std::string time_text_;
    std::time_t time_text_of_ = 0;
    std::function<void()> on_syslog_lost_;
    std::uint64_t dropped_by_syslog_ = 0; ///< since the last report
    std::uint64_t dropped_by_stream_ = 0; ///< since the last report
    std::uint64_t dropped_in_all_ = 0;
    bool expects_syslog_ = false; ///< whether set_syslog() was ever called
    bool has_reported_loss_ = false;
};

/// A socket connected to the syslog daemon, or an empty descriptor when none listens.
[[nodiscard]] UniqueFd connect_syslog(const char* path = "/dev/log") noexcept;

/// The standard error stream, opened anew so that making it non-blocking does not change it for the caller's
/// terminal. Two kinds are only duplicated: a file, where two of us must share one position and nothing
/// blocks, and a socket, to which writes pass MSG_DONTWAIT. Throws std::system_error when there is none.
[[nodiscard]] UniqueFd open_error_stream();

/// `value` as it may stand in a log line: control bytes, invalid UTF-8 and `]` as `\xHH`, `\` doubled, and
/// cut at `bytes_max` with "..." behind it, so that no user name can forge, break or flood a line.
[[nodiscard]] std::string escape_log_value(std::string_view value, std::size_t bytes_max = 256);

/// A whole line in the words of somebody else: control bytes and invalid UTF-8 as `\xHH`, and nothing else is
/// changed. Cut as above.
[[nodiscard]] std::string escape_log_line(std::string_view line, std::size_t bytes_max);

} // namespace postern
