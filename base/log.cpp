// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <vector>

namespace postern {

namespace {

constexpr int facility_auth = 4;                  // RFC 5424, table 1
constexpr int facility_authpriv = 10;             // the same
constexpr std::size_t line_bytes_max = 2048;      // less than PIPE_BUF: a pipe with room takes a line whole
constexpr std::size_t json_bytes_max = 4000;      // the same
constexpr std::size_t json_field_bytes_max = 256; // strangers may fill many, and each byte costs

/// RFC 3164's time, in the C locale; localtime_r opens no file once tzset() has run.
std::string syslog_time(std::time_t now)
{
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm local{};
    ::localtime_r(&now, &local);
    const auto two = [](int number, char fill) {
        return std::string{number < 10 ? fill : static_cast<char>('0' + number / 10),
                           static_cast<char>('0' + number % 10)};
    };
    return std::string{months.at(static_cast<std::size_t>(local.tm_mon))} + ' ' + two(local.tm_mday, ' ') +
           ' ' + two(local.tm_hour, '0') + ':' + two(local.tm_min, '0') + ':' + two(local.tm_sec, '0');
}

/// The length of the printable UTF-8 character at the start of `text`; 0 when there is none (RFC 3629).
std::size_t printable_length(std::string_view text)
{
    const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80)
        return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                               : first >= 0xe0 && first <= 0xef ? 3
                               : first >= 0xf0 && first <= 0xf4 ? 4
                                                                : 0;
    if (length == 0 || text.size() < length)
        return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xc0U) != 0x80)
            return 0;
    const unsigned char second = byte(1);
    const bool is_control = first == 0xc2 && second < 0xa0;
    const bool is_overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool is_surrogate = first == 0xed && second >= 0xa0;
    const bool is_beyond = first == 0xf4 && second >= 0x90;
    return is_control || is_overlong || is_surrogate || is_beyond ? 0 : length;
}

std::string hex_escape(unsigned char byte)
{
    static constexpr std::string_view digits = "0123456789abcdef";
    return {'\\', 'x', digits[byte >> 4U], digits[byte & 15U]};
}

/// `show` says how a printable character is written.
template <typename Show>
std::string escaped(std::string_view text, std::size_t bytes_max, Show show)
{
    std::string result;
    while (!text.empty()) {
        const std::size_t length = printable_length(text);
        const std::string piece =
            length == 0 ? hex_escape(static_cast<unsigned char>(text.front())) : show(text.substr(0, length));
        if (result.size() + piece.size() > bytes_max)
            return result + "...";
        result += piece;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return result;
}

/// RFC 3339, in UTC, to the microsecond.
std::string utc_text()
{
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::tm utc{};
    ::gmtime_r(&now.tv_sec, &utc);
    std::array<char, 64> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S.", &utc);
    constexpr long million = 1'000'000;
    return std::string{text.data(), size} + std::to_string(million + now.tv_nsec / 1000).substr(1) + 'Z';
}

std::string_view level_text(LogLevel level) noexcept
{
    switch (level) {
    case LogLevel::error: return "error";
    case LogLevel::warning: return "warning";
    case LogLevel::notice: return "notice";
    case LogLevel::info: return "info";
    case LogLevel::debug: return "debug";
    }
    return "invalid";
}

std::string object_of(LogLevel level, std::span<const JsonField> fields, std::size_t text_bytes_max)
{
    const std::string time = utc_text();
    std::vector<JsonField> all{
        {"time", time}, {"level", level_text(level)}, {"pid", static_cast<std::uint64_t>(::getpid())}};
    all.insert(all.end(), fields.begin(), fields.end());
    return json_line(all, json_bytes_max, text_bytes_max);
}

std::string loss_text(std::uint64_t lines)
{
    return std::to_string(lines) + " log lines were dropped";
}

} // namespace

void DescriptorLog::set_syslog(UniqueFd socket) noexcept
{
    syslog_ = std::move(socket);
    expects_syslog_ = true;
    has_reported_loss_ = false;
}

void DescriptorLog::write(LogLevel level, std::string_view text) noexcept
{
    write(LogOrigin::postern, level, text);
}

void DescriptorLog::write_foreign(LogOrigin origin, LogLevel level, std::string_view text) noexcept
{
    write(origin, level, text);
}

void DescriptorLog::write(LogOrigin origin, LogLevel level, std::string_view text) noexcept
try {
    if (!is_unwanted(level))
        write_body(origin, level, body_of(level, text));
} catch (const std::exception&) {
    drop(dropped_by_syslog_); // out of memory: there is nobody left to tell
}

void DescriptorLog::write_fields(LogLevel level, std::span<const JsonField> fields) noexcept
try {
    if (!is_unwanted(level))
        write_body(LogOrigin::postern, level, object_of(level, fields, json_field_bytes_max));
} catch (const std::exception&) {
    drop(dropped_by_syslog_);
}

bool DescriptorLog::is_unwanted(LogLevel level) const noexcept
{
    return level == LogLevel::debug && !style_.with_debug;
}

/// What stands behind the beginning of a line.
std::string DescriptorLog::body_of(LogLevel level, std::string_view text) const
{
    if (!style_.is_json)
        return std::string{text.substr(0, line_bytes_max)};
    const std::array message{JsonField{"message", text}};
    return object_of(level, message, line_bytes_max);
}

void DescriptorLog::write_body(LogOrigin origin, LogLevel level, const std::string& body)
{
    if (stream_.is_open() && level <= stream_least_)
        write_stream(body);
    if (expects_syslog_)
        write_syslog(origin, level, body);
}

void DescriptorLog::write_syslog(LogOrigin origin, LogLevel level, const std::string& body)
{
    constexpr LogLevel of_loss = LogLevel::warning;
    if (dropped_by_syslog_ > 0 && send_syslog(LogOrigin::postern, of_loss,
                                              body_of(of_loss, loss_text(dropped_by_syslog_))) == Sent::yes)
        dropped_by_syslog_ = 0;
    Sent sent = send_syslog(origin, level, body);
    if (sent == Sent::lost && !has_reported_loss_ && on_syslog_lost_) {
        has_reported_loss_ = true;
        on_syslog_lost_();
        if (!has_reported_loss_) // a new socket came at once
            sent = send_syslog(origin, level, body);
    }
    if (sent != Sent::yes)
        drop(dropped_by_syslog_);
}

/// Made once a second: on the way of every login it would cost more than the rest of the line. The pid is
/// asked for each time, because a daemon may go into the background between two lines.
const std::string& DescriptorLog::time_text()
{
    const std::time_t now = std::time(nullptr);
    if (time_text_.empty() || now != time_text_of_) {
        time_text_ = syslog_time(now);
        time_text_of_ = now;
    }
    return time_text_;
}

DescriptorLog::Sent DescriptorLog::send_syslog(LogOrigin origin, LogLevel level, const std::string& body)
{
    if (!syslog_.is_open())
        return Sent::lost;
    const bool has_prefix = origin == LogOrigin::postern && !style_.is_json;
    const int facility = origin == LogOrigin::foreign_to_authpriv ? facility_authpriv : facility_auth;
    const int priority = facility * 8 + static_cast<int>(level);
    std::string line = '<' + std::to_string(priority) + '>' + time_text() + ' ' + style_.ident + '[' +
                       std::to_string(::getpid()) + "]: " + (has_prefix ? style_.text_prefix : "") + body;
    if (::send(syslog_.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return Sent::yes;
    return errno == ECONNREFUSED || errno == ENOTCONN || errno == ECONNRESET || errno == EPIPE ? Sent::lost
                                                                                               : Sent::full;
}

void DescriptorLog::write_stream(const std::string& body)
{
    if (dropped_by_stream_ > 0 && send_stream(body_of(LogLevel::warning, loss_text(dropped_by_stream_))))
        dropped_by_stream_ = 0;
    if (!send_stream(body))
        drop(dropped_by_stream_);
}

bool DescriptorLog::send_stream(const std::string& body)
{
    const std::string begin = style_.is_json ? "" : style_.ident + '[' + std::to_string(::getpid()) + "] :";
    const std::string line = begin + body + '\n';
    if (::send(stream_.get(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        return true;
    pollfd room{stream_.get(), POLLOUT, 0}; // a terminal or pipe of somebody else could not be opened anew
    return errno == ENOTSOCK && ::poll(&room, 1, 0) == 1 &&
           ::write(stream_.get(), line.data(), line.size()) >= 0;
}

UniqueFd connect_syslog(const char* path) noexcept
{
    UniqueFd socket{::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    if (socket.is_open() &&
        ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return socket;
    return {};
}

UniqueFd open_error_stream()
{
    struct stat status {};

    check(::fstat(STDERR_FILENO, &status), "standard error stream");
    UniqueFd stream;
    if (!S_ISREG(status.st_mode) && !S_ISSOCK(status.st_mode))
        stream = UniqueFd{::open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)};
    if (!stream.is_open())
        stream = UniqueFd{check(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3), "standard error stream")};
    return stream;
}

std::string escape_log_value(std::string_view value, std::size_t bytes_max)
{
    return escaped(value, bytes_max, [](std::string_view character) {
        if (character == "]")
            return hex_escape(']');
        return character == "\\" ? std::string{"\\\\"} : std::string{character};
    });
}

std::string escape_log_line(std::string_view line, std::size_t bytes_max)
{
    return escaped(line, bytes_max, [](std::string_view character) { return std::string{character}; });
}

} // namespace postern
