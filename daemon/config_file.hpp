// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"
#include "daemon/config_problem.hpp"

#include <cstddef>
#include <string>

namespace postern {

inline constexpr const char* default_config_file = "/etc/postern/postern.conf";

inline constexpr std::size_t listeners_max = 100;
inline constexpr std::size_t backends_max = 64;

/// What postern.conf says, checked to the last reference. What the file leaves open is as in `defaults`,
/// whose lists of listeners, backends and routes are empty.
///
/// Reads the file, and the names of accounts. Throws ConfigFileError with all that is wrong at once.
[[nodiscard]] Config read_config_file(const std::string& path, Config defaults);

} // namespace postern
