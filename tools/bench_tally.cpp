// SPDX-License-Identifier: BSD-2-Clause
//
// The classes are those of a floating-point number with six bits behind its first: below 64 ns one for each
// nanosecond, from there on 64 of equal width for each power of two.
#include "tools/bench_tally.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>

namespace postern {

namespace {

constexpr unsigned fraction_bits = 6;
constexpr std::size_t fractions = std::size_t{1} << fraction_bits;
constexpr std::size_t class_count = (64 - fraction_bits + 1) * fractions;

std::size_t class_of(std::uint64_t nanoseconds) noexcept
{
    const auto bits = static_cast<unsigned>(std::bit_width(nanoseconds));
    if (bits <= fraction_bits)
        return nanoseconds;
    const unsigned shift = bits - fraction_bits - 1;
    return shift * fractions + (nanoseconds >> shift);
}

std::uint64_t beginning_of(std::size_t index) noexcept
{
    if (index < fractions)
        return index;
    const std::size_t shift = index / fractions - 1;
    return (index - shift * fractions) << shift;
}

std::uint64_t end_of(std::size_t index) noexcept
{
    return beginning_of(index + 1) - 1;
}

Duration duration(std::uint64_t nanoseconds)
{
    return std::chrono::nanoseconds{static_cast<std::int64_t>(nanoseconds)};
}

/// The longest of a series like 1, 1.5, 2, 3, 5, 7, 10, 15, … µs that is not above it.
std::uint64_t bar_of(std::uint64_t nanoseconds)
{
    constexpr std::array<std::uint64_t, 6> steps{10, 15, 20, 30, 50, 70}; // tenths
    std::uint64_t decade = 1;
    while (nanoseconds / decade >= 100)
        decade *= 10;
    const auto above = std::ranges::upper_bound(steps, nanoseconds / decade);
    return above == steps.begin() ? 0 : *(above - 1) * decade;
}

/// The one behind a bar.
std::uint64_t next_bar(std::uint64_t bar)
{
    std::uint64_t next = bar + 1;
    while (bar_of(next) == bar)
        next += std::max<std::uint64_t>(bar / 20, 1);
    return bar_of(next);
}

} // namespace

Latencies::Latencies() : classes_(class_count) {}

void Latencies::add(Duration took)
{
    const std::chrono::nanoseconds time{std::max(took, Duration{})};
    ++classes_[class_of(static_cast<std::uint64_t>(time.count()))];
    ++count_;
    longest_ = std::max(longest_, took);
}

void Latencies::add(const Latencies& others)
{
    std::ranges::transform(classes_, others.classes_, classes_.begin(), std::plus{});
    count_ += others.count_;
    longest_ = std::max(longest_, others.longest_);
}

Duration Latencies::quantile(double share) const
{
    const double rank = std::ceil(share * static_cast<double>(count_));
    const auto enough = std::max<std::uint64_t>(static_cast<std::uint64_t>(rank), 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < classes_.size() && seen < enough; ++i)
        if (seen += classes_[i]; seen >= enough)
            return std::min(duration(end_of(i)), longest_);
    return longest_;
}

std::vector<Latencies::Bar> Latencies::bars() const
{
    std::vector<Bar> bars;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        if (classes_[i] == 0)
            continue;
        const std::uint64_t from = bar_of(beginning_of(i));
        if (bars.empty())
            bars.push_back({duration(from), 0});
        while (bars.back().from < duration(from))
            bars.push_back({duration(next_bar(static_cast<std::uint64_t>(bars.back().from.count()))), 0});
        bars.back().logins += classes_[i];
    }
    return bars;
}

void BenchTally::add(BenchAnswer answer, bool is_right, Duration took)
{
    switch (answer) {
    case BenchAnswer::accepted:
        ++accepted;
        misjudged += is_right ? 0 : 1;
        break;
    case BenchAnswer::refused:
        ++refused;
        misjudged += is_right ? 1 : 0;
        break;
    case BenchAnswer::unavailable: ++unavailable; break;
    case BenchAnswer::lost: ++lost; return;
    }
    latencies.add(took);
}

void BenchTally::add(const BenchTally& others)
{
    accepted += others.accepted;
    refused += others.refused;
    unavailable += others.unavailable;
    lost += others.lost;
    misjudged += others.misjudged;
    latencies.add(others.latencies);
}

} // namespace postern
