// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

/// The letters of ASCII, whatever the locale is.
namespace postern {

[[nodiscard]] constexpr char lower(char c) noexcept
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

[[nodiscard]] inline std::string in_lower_case(std::string_view text)
{
    std::string result{text};
    std::ranges::transform(result, result.begin(), lower);
    return result;
}

[[nodiscard]] constexpr char upper(char c) noexcept
{
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

[[nodiscard]] inline std::string in_upper_case(std::string_view text)
{
    std::string result{text};
    std::ranges::transform(result, result.begin(), upper);
    return result;
}

/// Whether they are the same but for the case of their letters.
[[nodiscard]] constexpr bool is_same_word(std::string_view one, std::string_view other) noexcept
{
    return std::ranges::equal(one, other, {}, lower, lower);
}

/// An order in which words that are the same but for the case of their letters are one.
struct LessInLowerCase {
    using is_transparent = void;

    [[nodiscard]] constexpr bool operator()(std::string_view one, std::string_view other) const noexcept
    {
        return std::ranges::lexicographical_compare(one, other, {}, lower, lower);
    }
};

} // namespace postern
