// SPDX-License-Identifier: BSD-2-Clause
//
// A time is rounded up to whole microseconds, at least one, and a bucket ends with a time that is still in
// it. So the last one of each power of two ends with that power, and "at most 64 µs" is a sum of buckets.
#include "base/latency_histogram.hpp"

#include <algorithm>
#include <bit>
#include <numeric>

namespace postern {

namespace {

constexpr unsigned steps_log = 4; ///< of two: the steps between a power and the next

/// Of a time, in microseconds.
std::size_t bucket_of(std::uint64_t microseconds) noexcept
{
    const std::uint64_t below = microseconds - 1;
    const auto width = static_cast<unsigned>(std::bit_width(below));
    const unsigned shift = width > steps_log ? width - steps_log - 1 : 0;
    return (std::size_t{shift} << steps_log) + (below >> shift);
}

/// The longest time in it.
std::uint64_t end_of(std::size_t bucket) noexcept
{
    const std::size_t shift = std::max<std::size_t>(bucket >> steps_log, 1) - 1;
    return (bucket - (shift << steps_log) + 1) << shift;
}

} // namespace

void LatencyHistogram::record(Duration took) noexcept
{
    const auto time = std::clamp(std::chrono::ceil<Microseconds>(took), Microseconds{1}, longest);
    ++counts_[bucket_of(static_cast<std::uint64_t>(time.count()))];
    ++count_;
    sum_ += time;
    max_ = std::max(max_, time);
}

LatencyHistogram::Microseconds LatencyHistogram::percentile(unsigned percent) const noexcept
{
    const std::uint64_t rank = (count_ * percent + 99) / 100;
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
        seen += counts_[bucket];
        if (seen >= rank)
            return std::min(max_, Microseconds{end_of(bucket)});
    }
    return max_;
}

std::uint64_t LatencyHistogram::count_within(unsigned power) const noexcept
{
    const std::size_t end = bucket_of(std::min<std::uint64_t>(std::uint64_t{1} << power,
                                                              static_cast<std::uint64_t>(longest.count()))) +
                            1;
    return std::accumulate(counts_.begin(), counts_.begin() + static_cast<std::ptrdiff_t>(end),
                           std::uint64_t{0});
}

} // namespace postern
