// SPDX-License-Identifier: BSD-2-Clause
#include "backends/chain.hpp"

#include <algorithm>

namespace postern {

namespace {

/// The last word counts, but "never heard of him" takes nothing back that somebody else knew.
Verdict refusal_of(std::span<const Decision> said) noexcept
{
    const auto known = std::find_if(said.rbegin(), said.rend(), [](const Decision& decision) {
        return decision.verdict != Verdict::unknown_user;
    });
    return known == said.rend() ? Verdict::unknown_user : known->verdict;
}

} // namespace

ChainStep next_step(std::span<const ChainLink> chain, std::span<const Decision> said) noexcept
{
    if (chain.empty())
        return Concluded{Verdict::unavailable};
    if (said.empty())
        return AskLink{0};
    const Verdict last = said.back().verdict;
    if (last == Verdict::accepted)
        return Concluded{Verdict::accepted};
    if (said.size() < chain.size() && chain[said.size() - 1].next_on.contains(last))
        return AskLink{said.size()};
    if (std::ranges::count(said, Verdict::unavailable, &Decision::verdict) != 0)
        return Concluded{Verdict::unavailable};
    return Concluded{refusal_of(said)};
}

std::size_t links_behind_outage(std::span<const ChainLink> chain, std::size_t link) noexcept
{
    std::size_t last = link;
    while (last + 1 < chain.size() && chain[last].next_on.contains(Verdict::unavailable))
        ++last;
    return last - link;
}

} // namespace postern
