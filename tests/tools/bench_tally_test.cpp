// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_tally.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;

Latencies of(const std::vector<Duration>& times)
{
    Latencies latencies;
    for (const Duration time : times)
        latencies.add(time);
    return latencies;
}

/// 1 ms, 2 ms, … 1000 ms.
Latencies thousand()
{
    Latencies latencies;
    for (int i = 1000; i > 0; --i)
        latencies.add(std::chrono::milliseconds{i});
    return latencies;
}

std::vector<std::pair<Duration, std::uint64_t>> bars_of(const Latencies& latencies)
{
    std::vector<std::pair<Duration, std::uint64_t>> bars;
    for (const Latencies::Bar& bar : latencies.bars())
        bars.emplace_back(bar.from, bar.logins);
    return bars;
}

} // namespace

TEST_CASE("a quantile is what that share of the logins did not exceed, to a sixty-fourth", "[bench]")
{
    const Latencies latencies = thousand();
    CHECK(latencies.count() == 1000);
    for (const auto& [share, expected] : {std::pair{0.0, Duration{1ms}},
                                          {0.001, 1ms},
                                          {0.5, 500ms},
                                          {0.9, 900ms},
                                          {0.99, 990ms},
                                          {0.999, 999ms}}) {
        CAPTURE(share);
        const Duration found = latencies.quantile(share);
        CHECK(found >= expected);
        CHECK(found <= expected + expected / 64);
    }
}

TEST_CASE("the last quantile is the longest time as it was", "[bench]")
{
    CHECK(thousand().quantile(1) == 1000ms);
    CHECK(of({1234567ns}).quantile(0.5) == 1234567ns);
}

TEST_CASE("of no logins every quantile is zero, and there are no bars", "[bench]")
{
    CHECK(Latencies{}.quantile(0.5) == 0ns);
    CHECK(Latencies{}.quantile(1) == 0ns);
    CHECK(Latencies{}.bars().empty());
}

TEST_CASE("times from none to centuries have a class", "[bench]")
{
    for (const Duration time : {Duration{0}, Duration{1}, Duration{63}, Duration{64}, Duration{65},
                                Duration{127}, Duration{128}, Duration{INT64_MAX}}) {
        CAPTURE(time.count());
        const Latencies latencies = of({time, Duration{INT64_MAX}});
        CHECK(latencies.quantile(0.5) >= time);
        CHECK(latencies.quantile(0.5) - time <= time / 64);
    }
    CHECK(of({Duration{-1}}).quantile(1) == 0ns);
}

TEST_CASE("bars reach from the first login to the last, with the empty ones between them", "[bench]")
{
    CHECK(
        bars_of(of({1100us, 1400us, 1600us, 5500us})) ==
        std::vector<std::pair<Duration, std::uint64_t>>{{1ms, 2}, {1500us, 1}, {2ms, 0}, {3ms, 0}, {5ms, 1}});
    CHECK(bars_of(of({0ns, 9ns, 10ns, 99ns, 100ns})) ==
          std::vector<std::pair<Duration, std::uint64_t>>{
              {0ns, 2}, {10ns, 1}, {15ns, 0}, {20ns, 0}, {30ns, 0}, {50ns, 0}, {70ns, 1}, {100ns, 1}});
}

TEST_CASE("an answer that the password does not deserve is misjudged", "[bench]")
{
    using Answer = BenchAnswer;
    BenchTally tally;
    tally.add(Answer::accepted, true, 1ms);
    tally.add(Answer::refused, false, 1ms);
    tally.add(Answer::unavailable, true, 1ms);
    tally.add(Answer::unavailable, false, 1ms);
    tally.add(Answer::lost, true, 1ms);
    CHECK(tally.misjudged == 0);
    tally.add(Answer::accepted, false, 1ms);
    CHECK(tally.misjudged == 1);
    tally.add(Answer::refused, true, 1ms);
    CHECK(tally.misjudged == 2);
    CHECK(tally.accepted == 2);
    CHECK(tally.refused == 2);
    CHECK(tally.unavailable == 2);
    CHECK(tally.lost == 1);
    CHECK(tally.logins() == 7);
}

TEST_CASE("what two clients counted adds up", "[bench]")
{
    BenchTally tally;
    tally.add(BenchAnswer::accepted, true, 1100us);
    tally.add(BenchAnswer::refused, true, 3100us);
    BenchTally others;
    others.add(BenchAnswer::accepted, false, 2100us);
    others.add(BenchAnswer::unavailable, true, 4100us);
    others.add(BenchAnswer::lost, true, 15s);
    tally.add(others);
    CHECK(tally.accepted == 2);
    CHECK(tally.refused == 1);
    CHECK(tally.unavailable == 1);
    CHECK(tally.lost == 1);
    CHECK(tally.misjudged == 2);
    CHECK(tally.latencies.count() == 4);
    CHECK(bars_of(tally.latencies) ==
          std::vector<std::pair<Duration, std::uint64_t>>{{1ms, 1}, {1500us, 0}, {2ms, 1}, {3ms, 2}});
    CHECK(tally.latencies.quantile(1) == 4100us);
}

TEST_CASE("a login that was lost has no latency", "[bench]")
{
    BenchTally tally;
    tally.add(BenchAnswer::lost, true, 15s);
    CHECK(tally.latencies.count() == 0);
    tally.add(BenchAnswer::unavailable, true, 1ms);
    CHECK(tally.latencies.quantile(1) == 1ms);
}

} // namespace postern
