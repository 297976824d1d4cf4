// SPDX-License-Identifier: BSD-2-Clause
#include "base/latency_histogram.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// The two that know a bucket's bounds best: its neighbours'.
std::vector<std::int64_t> times_to_try()
{
    std::vector<std::int64_t> times;
    for (std::int64_t power = 1; power <= LatencyHistogram::longest.count(); power *= 2)
        for (std::int64_t step = 0; step < 16; ++step)
            for (const std::int64_t beside : {-1, 0, 1})
                if (const std::int64_t time = power + power * step / 16 + beside;
                    time >= 1 && time <= LatencyHistogram::longest.count())
                    times.push_back(time);
    return times;
}

std::chrono::microseconds median_with_longer(std::int64_t microseconds)
{
    LatencyHistogram histogram;
    histogram.record(std::chrono::microseconds{microseconds});
    histogram.record(LatencyHistogram::longest);
    return histogram.percentile(50);
}

} // namespace

TEST_CASE("a percentile is never less than the truth, and a sixteenth more at most", "[latency]")
{
    for (const std::int64_t time : times_to_try()) {
        const std::int64_t told = median_with_longer(time).count();
        CAPTURE(time, told);
        CHECK(told >= time);
        CHECK((told - time) * 16 < time);
    }
}

TEST_CASE("up to 32 microseconds a percentile is exact", "[latency]")
{
    for (std::int64_t time = 1; time <= 32; ++time)
        CHECK(median_with_longer(time).count() == time);
}

TEST_CASE("percentiles of many are those of the sorted list, within the bound", "[latency]")
{
    std::mt19937_64 random{7};
    std::lognormal_distribution<double> times{8.0, 2.0};
    LatencyHistogram histogram;
    std::vector<std::int64_t> list;
    for (int i = 0; i < 10'007; ++i) {
        list.push_back(static_cast<std::int64_t>(times(random)) + 1);
        histogram.record(std::chrono::microseconds{list.back()});
    }
    std::sort(list.begin(), list.end());
    for (unsigned percent = 1; percent <= 100; ++percent) {
        const std::int64_t truth = list[(list.size() * percent + 99) / 100 - 1];
        const std::int64_t told = histogram.percentile(percent).count();
        CAPTURE(percent, truth, told);
        CHECK(told >= truth);
        CHECK((told - truth) * 16 < truth);
    }
    CHECK(histogram.percentile(100).count() == list.back());
}

TEST_CASE("how many took a power of two of microseconds at most is exact", "[latency]")
{
    LatencyHistogram histogram;
    std::vector<Duration> times;
    for (std::int64_t power = 1; power <= LatencyHistogram::longest.count(); power *= 2)
        for (const Duration beside : {Duration{-1ns}, Duration{0ns}, Duration{1ns}})
            times.push_back(std::chrono::microseconds{power} + beside);
    for (const Duration time : times)
        histogram.record(time);
    for (unsigned power = 0; power < 27; ++power) {
        CAPTURE(power);
        const auto bound = std::chrono::microseconds{std::int64_t{1} << power};
        CHECK(histogram.count_within(power) ==
              static_cast<std::uint64_t>(
                  std::count_if(times.begin(), times.end(), [&](Duration time) { return time <= bound; })));
    }
    CHECK(histogram.count_within(27) == histogram.count());
    CHECK(histogram.count_within(40) == histogram.count());
}

TEST_CASE("count, sum and longest are those of what was recorded", "[latency]")
{
    LatencyHistogram histogram;
    histogram.record(3us);
    histogram.record(1500ns);
    histogram.record(40ms);
    CHECK(histogram.count() == 3);
    CHECK(histogram.sum() == 40'005us);
    CHECK(histogram.max() == 40ms);
}

TEST_CASE("times that cannot be are counted at the ends", "[latency]")
{
    LatencyHistogram histogram;
    histogram.record(-5s);
    histogram.record(0s);
    CHECK(histogram.max() == 1us);
    histogram.record(Duration::max());
    CHECK(histogram.max() == LatencyHistogram::longest);
    CHECK(histogram.percentile(100) == LatencyHistogram::longest);
    CHECK(histogram.count() == 3);
}

TEST_CASE("of nothing every percentile is zero", "[latency]")
{
    CHECK(LatencyHistogram{}.percentile(50) == 0us);
    CHECK(LatencyHistogram{}.percentile(100) == 0us);
    CHECK(LatencyHistogram{}.count_within(20) == 0);
}

} // namespace postern
