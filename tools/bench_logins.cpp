// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_logins.hpp"

#include <cassert>
#include <charconv>

namespace postern {

namespace {

constexpr std::uint64_t number_end = std::uint64_t{1} << 62U;

std::optional<std::uint64_t> whole_number(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.begin(), text.end(), number);
    const bool is_whole = error == std::errc{} && end == text.end() && number < number_end;
    return is_whole ? std::optional{number} : std::nullopt;
}

/// Multiples of the golden ratio, of which only what is behind the point is kept, fall evenly into that
/// interval, and so does every n-th of them: no user gets more than his share of wrong passwords.
std::uint64_t spread(std::uint64_t number) noexcept
{
    constexpr std::uint64_t golden_ratio = 0x9E3779B97F4A7C15; // times 2^64, without its 1
    return number * golden_ratio >> 32U;
}

} // namespace

std::optional<NumberRange> number_range(std::string_view text)
{
    const std::size_t hyphen = text.find('-');
    if (hyphen == std::string_view::npos)
        return std::nullopt;
    const auto first = whole_number(text.substr(0, hyphen));
    const auto last = whole_number(text.substr(hyphen + 1));
    if (!first || !last || *first > *last)
        return std::nullopt;
    return NumberRange{*first, *last};
}

BenchLogins::BenchLogins(std::string_view pattern, std::optional<NumberRange> range, unsigned wrong_percent)
    : before_{range ? pattern.substr(0, pattern.find(place)) : pattern}
    , has_place_{before_.size() != pattern.size()}
    , range_{range.value_or(NumberRange{})}
    , wrong_below_{(std::uint64_t{wrong_percent} << 32U) / 100}
{
    assert(wrong_percent <= 100);
    if (has_place_)
        behind_ = pattern.substr(before_.size() + place.size());
}

BenchLogin BenchLogins::at(std::uint64_t number) const
{
    BenchLogin login{before_, spread(number) >= wrong_below_};
    if (has_place_)
        login.user += std::to_string(range_.first + number % range_.size()) + behind_;
    return login;
}

} // namespace postern
