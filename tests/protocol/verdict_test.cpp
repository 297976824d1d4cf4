// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/verdict.hpp"

#include <catch2/catch.hpp>

namespace postern {

TEST_CASE("a number that names no verdict is believed by nobody", "[verdict]")
{
    for (unsigned number = 0; number < 256; ++number) {
        CAPTURE(number);
        const auto verdict = verdict_from(static_cast<std::uint8_t>(number));
        CHECK(verdict.has_value() == (number >= 1 && number <= 5));
        if (verdict)
            CHECK(static_cast<unsigned>(*verdict) == number);
    }
}

TEST_CASE("a verdict keeps its number, its word and its kind", "[verdict]")
{
    const auto [number, verdict, word, is_refused] =
        GENERATE(table<std::uint8_t, Verdict, std::string, bool>({
            {1, Verdict::accepted, "accepted", false},
            {2, Verdict::rejected, "rejected", true},
            {3, Verdict::unknown_user, "unknown_user", true},
            {4, Verdict::barred, "barred", true},
            {5, Verdict::unavailable, "unavailable", false},
        }));
    CHECK(verdict_from(number) == verdict);
    CHECK(verdict_text(verdict) == word);
    CHECK(is_refusal(verdict) == is_refused);
}

TEST_CASE("each verdict is counted for itself", "[verdict]")
{
    VerdictCounts counts;
    for (const Verdict verdict : all_verdicts) {
        CAPTURE(verdict_text(verdict));
        CHECK(counts.of(verdict) == 0);
        for (unsigned i = 0; i < static_cast<unsigned>(verdict); ++i)
            counts.count(verdict);
    }
    for (const Verdict verdict : all_verdicts)
        CHECK(counts.of(verdict) == static_cast<unsigned>(verdict));
    counts.set(Verdict::barred, UINT64_MAX);
    CHECK(counts.of(Verdict::barred) == UINT64_MAX);
    CHECK(counts.of(Verdict::unavailable) == 5);
}

TEST_CASE("what nobody has decided is an outage and never a success", "[verdict]")
{
    CHECK(Decision{}.verdict == Verdict::unavailable);
}

} // namespace postern
