// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/verdict.hpp"

namespace postern {

std::string_view verdict_text(Verdict verdict) noexcept
{
    switch (verdict) {
    case Verdict::accepted: return "accepted";
    case Verdict::rejected: return "rejected";
    case Verdict::unknown_user: return "unknown_user";
    case Verdict::barred: return "barred";
    case Verdict::unavailable: return "unavailable";
    }
    return "invalid";
}

std::optional<Verdict> verdict_from(std::uint8_t number) noexcept
{
    if (number < static_cast<std::uint8_t>(Verdict::accepted) ||
        number > static_cast<std::uint8_t>(Verdict::unavailable))
        return std::nullopt;
    return static_cast<Verdict>(number);
}

bool is_refusal(Verdict verdict) noexcept
{
    switch (verdict) {
    case Verdict::rejected:
    case Verdict::unknown_user:
    case Verdict::barred: return true;
    case Verdict::accepted:
    case Verdict::unavailable: return false;
    }
    return false;
}

} // namespace postern
