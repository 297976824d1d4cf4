// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace postern {

/// "; did you mean NAME?" for the known name that `given` is at most a few typing errors away from, or "".
[[nodiscard]] std::string did_you_mean(std::string_view given, std::span<const std::string> names);

} // namespace postern
