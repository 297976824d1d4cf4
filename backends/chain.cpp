// SPDX-License-Identifier: BSD-2-Clause
#include "backends/chain.hpp"

#include <algorithm>

namespace postern {

namespace {

/// The last word counts, but "never heard of him" takes nothing back that somebody else knew.
Verdict refusal_of(std::span<const Verdict> verdicts) noexcept
{
    const auto known = std::find_if(verdicts.rbegin(), verdicts.rend(),
                                    [](Verdict verdict) { return verdict != Verdict::unknown_user; });
    return known == verdicts.rend() ? Verdict::unknown_user : *known;
}

} // namespace

ChainStep next_step(std::span<const ChainLink> chain, std::span<const Verdict> verdicts) noexcept
{
    if (chain.empty())
        return Concluded{Verdict::unavailable};
    if (verdicts.empty())
        return AskLink{0};
    if (verdicts.back() == Verdict::accepted)
        return Concluded{Verdict::accepted};
    if (verdicts.size() < chain.size() && chain[verdicts.size() - 1].next_on.contains(verdicts.back()))
        return AskLink{verdicts.size()};
    if (std::ranges::find(verdicts, Verdict::unavailable) != verdicts.end())
        return Concluded{Verdict::unavailable};
    return Concluded{refusal_of(verdicts)};
}

std::size_t links_behind_outage(std::span<const ChainLink> chain, std::size_t link) noexcept
{
    std::size_t last = link;
    while (last + 1 < chain.size() && chain[last].next_on.contains(Verdict::unavailable))
        ++last;
    return last - link;
}

} // namespace postern
