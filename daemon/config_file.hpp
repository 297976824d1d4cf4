// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"

#include <cstddef>
#include <string>

namespace postern {

inline constexpr const char* default_config_file = "/etc/postern/postern.conf";

inline constexpr std::size_t listeners_max = 100;
inline constexpr std::size_t backends_max = 64;

/// A configuration file cannot be used. One line for each thing that is wrong with it, in the order of its
/// lines: "FILE:LINE: [section] key: what is wrong and what was expected".
class ConfigFileError : public ConfigError {
public:
    using ConfigError::ConfigError;
};

/// What postern.conf says, checked to the last reference. What the file leaves open is as in `defaults`,
/// whose lists of listeners, backends and routes are empty.
///
/// Reads the file, and the names of accounts. Throws ConfigFileError with all that is wrong at once.
[[nodiscard]] Config read_config_file(const std::string& path, Config defaults);

} // namespace postern
