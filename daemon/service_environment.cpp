// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/service_environment.hpp"

#include "base/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace postern {

namespace {

constexpr int first_passed = 3;                      ///< SD_LISTEN_FDS_START
constexpr std::uint64_t passed_max = 256;            ///< more than there can be listeners
constexpr std::string_view name_without = "unknown"; ///< sd_listen_fds_with_names(3)'s

/// The variable's value, which nobody finds any more.
std::optional<std::string> take_variable(const char* name)
{
    const char* value = std::getenv(name);
    if (value == nullptr)
        return std::nullopt;
    std::string taken = value;
    ::unsetenv(name);
    return taken;
}

std::optional<std::uint64_t> as_number(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? std::optional{number} : std::nullopt;
}

bool is_for_us(const std::optional<std::string>& pid)
{
    return pid && as_number(*pid) == static_cast<std::uint64_t>(::getpid());
}

std::vector<std::string> split_names(std::string_view names)
{
    std::vector<std::string> split;
    while (split.size() < passed_max && !names.empty()) {
        const std::size_t end = std::min(names.find(':'), names.size());
        split.emplace_back(names.substr(0, end));
        names.remove_prefix(std::min(end + 1, names.size()));
    }
    return split;
}

void take_descriptors(ServiceEnvironment& environment, const std::string& count_text,
                      const std::string& names_text)
{
    const std::optional<std::uint64_t> count = as_number(count_text);
    if (!count) {
        environment.problems.push_back("LISTEN_FDS is no number, and no descriptor is taken: " +
                                       escape_log_value(count_text));
        return;
    }
    if (*count > passed_max)
        environment.problems.push_back("LISTEN_FDS says " + escape_log_value(count_text) + ": no more than " +
                                       std::to_string(passed_max) + " descriptors are taken");
    const std::vector<std::string> names = split_names(names_text);
    for (std::size_t i = 0; i < std::min(*count, passed_max); ++i) {
        const int descriptor = first_passed + static_cast<int>(i);
        if (::fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0)
            environment.problems.push_back("descriptor " + std::to_string(descriptor) +
                                           " is not open, although LISTEN_FDS says so");
        else
            environment.descriptors.push_back(
                {UniqueFd{descriptor}, i < names.size() ? names[i] : std::string{name_without}});
    }
}

std::optional<std::chrono::microseconds> as_watchdog(const std::string& text, ServiceEnvironment& environment)
{
    const std::optional<std::uint64_t> number = as_number(text);
    if (number && *number > 0 &&
        *number <= static_cast<std::uint64_t>(std::chrono::microseconds::max().count()))
        return std::chrono::microseconds{*number};
    environment.problems.push_back("WATCHDOG_USEC is no time, and nothing is done for it: " +
                                   escape_log_value(text));
    return std::nullopt;
}

} // namespace

ServiceEnvironment take_service_environment()
{
    ServiceEnvironment environment;
    const auto listen_pid = take_variable("LISTEN_PID");
    const auto listen_fds = take_variable("LISTEN_FDS");
    const auto listen_names = take_variable("LISTEN_FDNAMES");
    take_variable("LISTEN_PIDFDID");
    if (listen_fds && is_for_us(listen_pid))
        take_descriptors(environment, *listen_fds, listen_names.value_or(""));
    const auto watchdog_pid = take_variable("WATCHDOG_PID");
    const auto watchdog = take_variable("WATCHDOG_USEC");
    if (watchdog && (!watchdog_pid || is_for_us(watchdog_pid)))
        environment.watchdog = as_watchdog(*watchdog, environment);
    environment.notify_socket = take_variable("NOTIFY_SOCKET").value_or("");
    return environment;
}

} // namespace postern
