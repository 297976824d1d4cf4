// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace postern {

/// How long logins took: counted, not kept, so that a million of them need no more room than one.
///
/// Each falls into a class that is at most a sixty-fourth wide of what it holds, so a quantile is as exact.
class Latencies {
public:
    Latencies();

    void add(Duration took);
    void add(const Latencies& others);

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

    /// What that share of the logins did not exceed, 0 to 1; never said too short, and the longest at 1.
    /// Zero when there were none.
    [[nodiscard]] Duration quantile(double share) const;

    /// Those that took at least `from` and less than the next bar's.
    struct Bar {
        Duration from;
        std::uint64_t logins = 0;
    };

    /// For a picture: a handful of bars a decade, from the first login to the last, empty ones between them.
    [[nodiscard]] std::vector<Bar> bars() const;

private:
    std::vector<std::uint64_t> classes_;
    std::uint64_t count_ = 0;
    Duration longest_{};
};

/// What a login of a load came to.
enum class BenchAnswer : std::uint8_t {
    accepted,
    refused,
    unavailable, ///< the daemon said that it could ask nobody
    lost,        ///< it said nothing, or nothing that makes sense
};

/// What became of all of them so far.
struct BenchTally {
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;
    std::uint64_t unavailable = 0;
    std::uint64_t lost = 0;
    std::uint64_t misjudged = 0; ///< accepted with a wrong password, or refused with the right one
    Latencies latencies;         ///< of those that were not lost

    void add(BenchAnswer answer, bool is_right, Duration took);
    void add(const BenchTally& others);

    [[nodiscard]] std::uint64_t logins() const noexcept { return accepted + refused + unavailable + lost; }
};

} // namespace postern
