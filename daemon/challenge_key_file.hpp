// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"
#include "daemon/believable_challenge.hpp"

#include <optional>
#include <string>

namespace postern {

/// The key of believable challenges, kept from one start to the next: an account whose challenge changed with
/// a restart would be one that does not exist. For the supervisor.
///
/// In `directory`, which is made when it is missing, as `challenge.key`: 32 bytes of the owner's alone. Where
/// it cannot be kept, or what is there cannot be trusted, there is a key for this run, and the log says so.
[[nodiscard]] ChallengeKey read_or_make_challenge_key(const std::string& directory, Log& log);

/// The key of a daemon, for all of its generations: read or made when one first needs it, and the same from
/// then on, also where it cannot be kept.
class HeldChallengeKey {
public:
    explicit HeldChallengeKey(Log& log) : log_{log} {}
    HeldChallengeKey(const HeldChallengeKey&) = delete;
    HeldChallengeKey& operator=(const HeldChallengeKey&) = delete;

    [[nodiscard]] const ChallengeKey& get(const std::string& directory);

private:
    Log& log_;
    std::optional<ChallengeKey> key_;
};

} // namespace postern
