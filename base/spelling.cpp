// SPDX-License-Identifier: BSD-2-Clause
#include "base/spelling.hpp"

#include <algorithm>
#include <numeric>
#include <vector>

namespace postern {

namespace {

/// Levenshtein's distance: the insertions, deletions and replacements from one word to the other.
std::size_t typing_errors(std::string_view from, std::string_view to)
{
    std::vector<std::size_t> row(to.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= from.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= to.size(); ++j) {
            const std::size_t replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
        }
    }
    return row.back();
}

} // namespace

std::string did_you_mean(std::string_view given, std::span<const std::string> names)
{
    given = given.substr(0, 64);
    const auto errors = [given](const std::string& name) { return typing_errors(given, name); };
    const auto best = std::ranges::min_element(names, {}, errors);
    if (best == names.end() || errors(*best) > 1 + given.size() / 4)
        return {};
    return "; did you mean " + *best + "?";
}

} // namespace postern
