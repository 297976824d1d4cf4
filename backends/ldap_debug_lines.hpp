// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"

#include <cstdint>

namespace postern {

/// Has libldap write what it does to `log`, for as long as the process lives.
void debug_libldap(std::uint32_t level, Log& log);

} // namespace postern
