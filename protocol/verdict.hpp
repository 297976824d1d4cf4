// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// What is known about a login after somebody was asked. Five words for five different consequences.
enum class Verdict : std::uint8_t {
    accepted = 1,     ///< the password belongs to the user, who may log in
    rejected = 2,     ///< it does not
    unknown_user = 3, ///< the one who was asked has never heard of the user
    barred = 4,       ///< the account may not log in: expired, locked, outside its group
    unavailable = 5,  ///< nobody could be asked: an outage, never a wrong password
};

/// "accepted", "unknown_user", …; the same word everywhere: logs, configuration, control replies.
[[nodiscard]] std::string_view verdict_text(Verdict verdict) noexcept;

/// The verdict of that number on a wire. Nothing for a number that is none: never believe it.
[[nodiscard]] std::optional<Verdict> verdict_from(std::uint8_t number) noexcept;

/// Rejected, unknown_user and barred look alike from outside: one answer, one distance in time.
[[nodiscard]] bool is_refusal(Verdict verdict) noexcept;

/// A verdict and what the log should say about it. The reason never reaches a client.
struct Decision {
    Verdict verdict = Verdict::unavailable;
    std::string reason;
};

} // namespace postern
