// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace postern {

/// A configuration file cannot be used. One line for each thing that is wrong with it, in the order of its
/// lines: "FILE:LINE: [section] key: what is wrong and what was expected".
class ConfigFileError : public ConfigError {
public:
    using ConfigError::ConfigError;
};

/// What is wrong, or worth a word, and where. Holds no value of a key that might be secret.
struct ConfigProblem {
    std::size_t line = 0; ///< 0: the file as a whole
    std::string section;  ///< its title, or empty
    std::string key;      ///< as it may be shown, or empty
    std::string text;     ///< what is wrong and what was expected
};

inline constexpr std::size_t problems_shown_max = 100;

/// As they are shown, in the order of the file's lines; of those that are too many, the number.
[[nodiscard]] std::vector<std::string> problem_lines(const std::string& path,
                                                     std::vector<ConfigProblem> problems);

/// Several lines as one text.
[[nodiscard]] std::string joined_lines(const std::vector<std::string>& lines);

} // namespace postern
