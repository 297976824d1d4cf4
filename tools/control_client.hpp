// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/control_messages.hpp"
#include "tools/options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// What a daemon has answered over its control socket, or why there is no answer.
struct ControlOutcome {
    enum class Kind : std::uint8_t {
        answered,    ///< with a status, a problem, or that it is done
        unreachable, ///< nobody is there, or nobody answers in time
        forbidden,   ///< the socket is root's
    };

    Kind kind = Kind::unreachable;
    control::Reply reply; ///< if answered
    std::string cause;    ///< if not; for the admin
};

/// Asks the daemon whose run directory that is. Trouble is an outcome, not an exception.
[[nodiscard]] ControlOutcome ask_daemon(const std::string& run_directory, const control::Request& request,
                                        std::chrono::milliseconds patience);

/// The first if it has a control socket, as far as we may see, else the second.
[[nodiscard]] std::string run_directory_of(const std::string& first, const std::string& second);

/// A daemon's text as one line of a terminal may show it: what would steer the terminal has become '?'.
[[nodiscard]] std::string printable(std::string_view text);

/// The options that every subcommand has that asks a daemon.
struct ControlOptions {
    std::string run_directory;
    int timeout = 0;
};

/// Adds them to `rules`; the timeout is `timeout` seconds unless the caller says another.
void add_control_options(OptionRules& rules, ControlOptions& values, int timeout);

/// Asks as the options say. Throws UsageError when their timeout makes no sense.
[[nodiscard]] ControlOutcome ask_daemon(const ControlOptions& options, const control::Request& request);

/// Says on standard error why there is no answer, or what the daemon's problem is. The exit status for it.
[[nodiscard]] int report_trouble(const ControlOutcome& outcome);

/// What the help says of these exit statuses.
inline constexpr std::string_view control_status_notes =
    "1 when the daemon has a problem,\n75 when no daemon answers, 77 when only root may ask.\n";

} // namespace postern
