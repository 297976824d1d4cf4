// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/base64.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// What challenges of SCRAM look like: those of verifiers that we make, of passwords that are stored as they
/// are, and of users who do not exist. One that looked different would tell something about its account, as
/// that of a verifier does which others have made, with another salt's length or other rounds.
namespace postern {

inline constexpr std::size_t scram_salt_bytes = 16;

/// The fewest rounds of PBKDF2 that a client answers to (RFC 7677, 4): with fewer, whoever hears the answer
/// has an easier time guessing the password.
inline constexpr std::uint32_t scram_iterations_min = 4096;

/// Ours. RFC 7677 reckons 15 000 for a tenth of a second on machines of its day; OWASP's 600 000 would cost
/// each PLAIN login 0.2 s of a processor, and clients of Cyrus SASL refuse more than 65 536. 15 000 are 5 ms.
inline constexpr std::uint32_t scram_iterations = 15'000;

/// The most that a verifier of others may ask for, about 0.3 s.
inline constexpr std::uint32_t scram_iterations_max = 1'000'000;

/// "s=SALT,i=COUNT", the salt in base64: what a server's first message says behind its nonce (RFC 5802, 5.1).
[[nodiscard]] inline std::string scram_challenge(std::string_view salt, std::uint32_t iterations)
{
    return "s=" + in_base64(salt) + ",i=" + std::to_string(iterations);
}

} // namespace postern
