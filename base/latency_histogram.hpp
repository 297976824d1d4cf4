// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace postern {

/// How long things took, in 3 KiB whatever comes: counts in buckets of fixed bounds.
///
/// Log-linear, as HdrHistogram has it: up to 32 µs each microsecond has a bucket, and above that each power
/// of two has 16 of one width. So a quantile is never less than the truth, and more than it by a sixteenth at
/// most, or by a microsecond. How many took no longer than a power of two of microseconds is exact.
class LatencyHistogram {
public:
    using Microseconds = std::chrono::microseconds;

    /// Two minutes and more: what took longer counts as this.
    static constexpr Microseconds longest{std::int64_t{1} << 27U};

    void record(Duration took) noexcept;

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] Microseconds sum() const noexcept { return sum_; }
    [[nodiscard]] Microseconds max() const noexcept { return max_; }

    /// What so many of a hundred did not exceed, 1 to 100. Zero when there was nothing.
    [[nodiscard]] Microseconds percentile(unsigned percent) const noexcept;

    /// How many took 2^`power` µs at most.
    [[nodiscard]] std::uint64_t count_within(unsigned power) const noexcept;

private:
    static constexpr std::size_t buckets = 384;

    std::array<std::uint64_t, buckets> counts_{};
    std::uint64_t count_ = 0;
    Microseconds sum_{};
    Microseconds max_{};
};

} // namespace postern
