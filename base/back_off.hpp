// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

#include <algorithm>

namespace postern {

/// Pauses between attempts at something that keeps failing: short at first, doubled each time, up to a bound.
/// Something that works again starts over.
class BackOff {
public:
    static constexpr Duration first = std::chrono::milliseconds{100};
    static constexpr Duration longest = std::chrono::seconds{30};

    /// Failures within one pause count as one: five workers that die together are one event.
    void on_failure(TimePoint now) noexcept
    {
        if (now < until_)
            return;
        pause_ = pause_ == Duration::zero() ? first : std::min(2 * pause_, longest);
        until_ = now + pause_;
    }

    void on_success() noexcept { pause_ = Duration::zero(); }

    /// No attempt before this.
    [[nodiscard]] TimePoint until() const noexcept { return until_; }

private:
    Duration pause_{};
    TimePoint until_ = TimePoint::min();
};

} // namespace postern
