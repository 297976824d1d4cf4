// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <string_view>

namespace postern {

/// Whether a byte of it is NUL. A library of C takes the text to end there: what it checks would then be
/// another name or password than the one that was sent.
[[nodiscard]] constexpr bool has_nul(std::string_view text) noexcept
{
    return text.find('\0') != std::string_view::npos;
}

} // namespace postern
