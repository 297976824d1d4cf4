// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace postern {

/// What the salts are made of that no store has. It guards no password: who has it can tell which accounts
/// exist. The front alone has it; a worker is told the salt of the user that it is asked about.
using ChallengeKey = std::array<unsigned char, 32>;

/// The salt of an account whose password is stored as it is, and of one that does not exist: the same for as
/// long as the key is, and nothing that can be reckoned without it. It is told to anybody who asks, so it
/// depends on no password: one could be guessed from it at the price of a single hash.
[[nodiscard]] std::string scram_salt_of(const ChallengeKey& key, std::string_view account,
                                        std::string_view mechanism);

/// A challenge of SCRAM for an account that nobody can prove anything about: "s=SALT,i=COUNT", as a backend's
/// Decision::reply. Without the key nobody can tell it from that of a password which is stored as it is, or
/// of a verifier that we have made (RFC 5802, 9).
[[nodiscard]] std::string believable_challenge(std::string_view salt);

} // namespace postern
