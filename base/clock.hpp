// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>

namespace postern {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Where time comes from: monotonic, so that a step of the wall clock moves no deadline.
///
/// Everything that measures time is handed one; a test hands it a clock that it moves by hand.
class Clock {
public:
    virtual ~Clock() = default;
    [[nodiscard]] virtual TimePoint now() const noexcept = 0;
};

class SystemClock final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override { return std::chrono::steady_clock::now(); }
};

} // namespace postern
