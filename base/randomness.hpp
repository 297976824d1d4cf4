// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <functional>
#include <span>

namespace postern {

/// Where chance comes from: a number below `bound`. Whoever needs one is handed this; a test hands it a
/// number of its own.
using Randomness = std::function<std::uint32_t(std::uint32_t bound)>;

/// Fills with bytes that nobody can guess.
using RandomBytes = std::function<void(std::span<unsigned char>)>;

} // namespace postern
