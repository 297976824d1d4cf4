// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/sasl_mechanism.hpp"

#include "base/lower_case.hpp"

namespace postern::sasl {

const MechanismFacts* find_mechanism(std::string_view name) noexcept
{
    const auto* const found = std::ranges::find_if(
        mechanism_table, [name](const MechanismFacts& row) { return is_same_word(row.name, name); });
    return found == mechanism_table.end() ? nullptr : found;
}

std::optional<Mechanism> mechanism_from(std::string_view name) noexcept
{
    const MechanismFacts* const found = find_mechanism(name);
    return found == nullptr ? std::nullopt : std::optional{found->mechanism};
}

} // namespace postern::sasl
