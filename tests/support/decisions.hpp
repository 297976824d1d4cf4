// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/verdict.hpp"

#include <vector>

namespace postern {

/// What backends have said who gave no reasons.
inline std::vector<Decision> decisions(const std::vector<Verdict>& verdicts)
{
    std::vector<Decision> said;
    for (const Verdict verdict : verdicts)
        said.push_back({verdict, ""});
    return said;
}

} // namespace postern
