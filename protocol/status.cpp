// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/status.hpp"

namespace postern {

namespace {

constexpr unsigned first_power = 6;
constexpr unsigned last_power = 24;

std::uint64_t number(LatencyHistogram::Microseconds time) noexcept
{
    return static_cast<std::uint64_t>(time.count());
}

} // namespace

Durations durations_of(const LatencyHistogram& histogram)
{
    Durations durations{.count = histogram.count(),
                        .sum_us = number(histogram.sum()),
                        .p50_us = number(histogram.percentile(50)),
                        .p90_us = number(histogram.percentile(90)),
                        .p99_us = number(histogram.percentile(99)),
                        .max_us = number(histogram.max())};
    for (unsigned power = first_power; durations.count > 0 && power <= last_power; ++power)
        durations.within.push_back(histogram.count_within(power));
    return durations;
}

OfVerdicts<Durations> durations_of(const OfVerdicts<LatencyHistogram>& histograms)
{
    OfVerdicts<Durations> durations;
    for (const Verdict verdict : all_verdicts)
        durations[verdict] = durations_of(histograms[verdict]);
    return durations;
}

std::vector<std::uint64_t> duration_bounds_us()
{
    std::vector<std::uint64_t> bounds;
    for (unsigned power = first_power; power <= last_power; ++power)
        bounds.push_back(std::uint64_t{1} << power);
    return bounds;
}

} // namespace postern
