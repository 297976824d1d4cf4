// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/control_messages.hpp"
#include "tools/control_client.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// As much of a text as a terminal of that size shows, for one that is written again and again in the same
/// place: lines are cut, and of those that do not fit it is said how many they are.
[[nodiscard]] std::string text_for_screen(std::string_view text, std::size_t rows, std::size_t columns);

/// What is shown of a daemon that is looked at again and again: its status, logins a second since the last
/// look, and whether another front answers, which counts anew.
class StatusWatch {
public:
    using Clock = std::chrono::steady_clock;

    /// Of an answer, or of a daemon that does not answer now. `wall` is in seconds since 1970.
    [[nodiscard]] std::string look(const ControlOutcome& outcome, Clock::time_point now, std::int64_t wall);

private:
    [[nodiscard]] std::string look(const StatusReport& report, Clock::time_point now, std::int64_t wall);

    std::optional<StatusReport> last_;
    Clock::time_point last_at_{};
    std::int64_t last_wall_ = 0;
    std::string note_; ///< what has happened to the daemon
};

/// Asks again and again: `ask` every `interval`. On a terminal in one place, else one after the other; as
/// JSON, if that is wanted, a line each. Goes on when there is no answer, except to the first question;
/// whoever has had enough ends the process (Ctrl-C), which leaves the terminal as it was. Returns the exit
/// status.
[[nodiscard]] int watch_status(const std::function<ControlOutcome()>& ask, std::chrono::milliseconds interval,
                               bool wants_json);

} // namespace postern
