// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

namespace postern {

/// A clock that stands still until a test moves it: nothing sleeps, and no machine is too slow.
///
/// Starts ten days before the machine's own clock did. What an EventLoop on this clock waits for lies in the
/// machine's past, so that a timer rings as soon as this clock has been moved to its time.
class ManualClock final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override { return now_; }

    void advance(Duration step) noexcept { now_ += step; }

private:
    TimePoint now_{std::chrono::hours{-240}};
};

} // namespace postern
