// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/verdict.hpp"

#include <cstddef>
#include <initializer_list>
#include <span>
#include <variant>
#include <vector>

namespace postern {

/// A set of verdicts.
class VerdictSet {
public:
    constexpr VerdictSet(std::initializer_list<Verdict> verdicts) noexcept
    {
        for (const Verdict verdict : verdicts)
            bits_ |= bit(verdict);
    }

    [[nodiscard]] static constexpr VerdictSet from_bits(unsigned bits) noexcept
    {
        VerdictSet set{};
        set.bits_ = bits;
        return set;
    }

    [[nodiscard]] constexpr unsigned bits() const noexcept { return bits_; }

    [[nodiscard]] constexpr bool contains(Verdict verdict) const noexcept
    {
        return (bits_ & bit(verdict)) != 0;
    }

private:
    static constexpr unsigned bit(Verdict verdict) noexcept { return 1U << static_cast<unsigned>(verdict); }

    unsigned bits_ = 0;
};

/// One backend of a route, and the verdicts after which the next one is asked.
struct ChainLink {
    std::size_t backend = 0; ///< index into Config::backends
    VerdictSet next_on{Verdict::unknown_user, Verdict::unavailable};
};

using Chain = std::vector<ChainLink>;

struct AskLink {
    std::size_t link = 0; ///< index into the chain
};

struct Concluded {
    Verdict verdict = Verdict::unavailable;
};

using ChainStep = std::variant<AskLink, Concluded>;

/// Whom to ask next, given what the links asked so far have said, in their order: a decision, not a
/// container, and pure.
///
/// Accepted ends the chain at once. When nobody accepts, an outage anywhere makes the whole unavailable:
/// the one that could not be asked might have accepted. An empty chain is unavailable too.
[[nodiscard]] ChainStep next_step(std::span<const ChainLink> chain, std::span<const Decision> said) noexcept;

/// How many links may still be asked when `link` and all behind it are unavailable. Pure.
[[nodiscard]] std::size_t links_behind_outage(std::span<const ChainLink> chain, std::size_t link) noexcept;

} // namespace postern
