// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace postern {

/// How many lines somebody may still write to the log: some at once, and then so many in a second. Counts
/// those that he may not.
///
/// It writes nothing itself: who asks it says how many are missing.
class LineBudget {
public:
    static constexpr std::uint32_t lines_at_once = 200;
    static constexpr Duration between_lines = std::chrono::milliseconds{20};

    /// Whether one more may be written now.
    [[nodiscard]] bool take(TimePoint now) noexcept
    {
        earliest_ = std::max(earliest_, now - lines_at_once * between_lines);
        const bool may = earliest_ + between_lines <= now;
        if (may)
            earliest_ += between_lines;
        else
            ++missing_;
        return may;
    }

    /// How many were not written since this was asked last.
    [[nodiscard]] std::uint64_t take_missing() noexcept { return std::exchange(missing_, 0); }

private:
    TimePoint earliest_ =
        TimePoint::min() + lines_at_once * between_lines; ///< when what is left began to grow
    std::uint64_t missing_ = 0;
};

} // namespace postern
