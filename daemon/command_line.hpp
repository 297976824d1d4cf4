// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"

#include <span>
#include <string>
#include <variant>

namespace postern {

/// -h, -v and a --check that found nothing wrong: something to say, and nothing to run.
struct CommandLineText {
    std::string text;
};

using CommandLine = std::variant<Config, CommandLineText>;

/// Reads saslauthd's flags (attached and combined as getopt has them) and Postern's long options, or the
/// configuration file that they name: anew with each call, so that a reload is one more call.
///
/// `arguments` begins with the name the program was called by. Throws ConfigError, and ConfigFileError for
/// what is wrong in the file; nothing is guessed and nothing is left over.
[[nodiscard]] CommandLine parse_command_line(std::span<const std::string> arguments);

/// What -h prints.
[[nodiscard]] std::string usage_text(const std::string& called_as);

} // namespace postern
