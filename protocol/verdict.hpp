// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
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

/// How often each verdict was reached.
class VerdictCounts {
public:
    void count(Verdict verdict) noexcept { ++counts_[index(verdict)]; }
    void set(Verdict verdict, std::uint64_t count) noexcept { counts_[index(verdict)] = count; }
    [[nodiscard]] std::uint64_t of(Verdict verdict) const noexcept { return counts_[index(verdict)]; }

    bool operator==(const VerdictCounts&) const = default;

private:
    static constexpr std::size_t index(Verdict verdict) noexcept
    {
        return static_cast<std::size_t>(verdict) - 1;
    }

    std::array<std::uint64_t, 5> counts_{};
};

/// Every verdict, in the order of their numbers.
inline constexpr std::array all_verdicts{Verdict::accepted, Verdict::rejected, Verdict::unknown_user,
                                         Verdict::barred, Verdict::unavailable};

/// The longest Decision::reply.
inline constexpr std::size_t decision_reply_bytes_max = 512;

/// A verdict and what goes with it, of which nothing but `reply` reaches a client.
struct Decision {
    Verdict verdict = Verdict::unavailable;
    std::string reason;                        ///< for the log
    bool password_was_right = false;           ///< barred, and no guess: the password belongs to the user
    std::chrono::milliseconds failure_delay{}; ///< the source asks that refusals wait this long
    /// Of an accepted Asked::challenge or Asked::proof alone, and meant for the client: what the backend has
    /// to say in the exchange.
    std::string reply{};
};

} // namespace postern
