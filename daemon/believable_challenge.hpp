// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace postern {

/// What believable challenges are made of. It guards no password: who has it can tell which accounts exist.
using ChallengeKey = std::array<unsigned char, 32>;

/// A challenge of SCRAM for an account that nobody can prove anything about: "s=SALT,i=COUNT", as a backend's
/// Decision::reply. The same account has the same one for as long as the key is, as a real one has, and
/// without the key nobody can tell it from a real one (RFC 5802, 9).
[[nodiscard]] std::string believable_challenge(const ChallengeKey& key, std::string_view account,
                                               std::string_view mechanism);

} // namespace postern
