// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/variables_map.hpp>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

/// The process's own arguments, or a part of them.
using Arguments = std::span<char*>;

/// What the caller typed makes no sense; the text says what would.
class UsageError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What a subcommand may be given, and what its help says.
struct OptionRules {
    std::string synopsis; ///< "postern test -u USER [options]"
    boost::program_options::options_description options{"Options"};
    boost::program_options::options_description words{"Words"}; ///< without a flag; none: they are refused
    boost::program_options::positional_options_description positions; ///< of the words
    std::string notes; ///< below the options; ends in a newline
};

/// The options' values; nothing when help was asked for, which has been printed then. Throws UsageError.
[[nodiscard]] std::optional<boost::program_options::variables_map>
parse_options(const OptionRules& rules, const std::vector<char*>& arguments);

/// Takes the value of -p or --password out of the arguments, and wipes it where `ps` would show it.
///
/// Before any parser sees them, because parsers copy. Of several the last counts. `options` tell which flags
/// have no value; any other is expected to have one. Throws UsageError when the value is longer than a secret
/// may be.
[[nodiscard]] std::optional<Secret> take_password(std::vector<char*>& arguments,
                                                  const boost::program_options::options_description& options,
                                                  SecretArena& secrets);

/// Makes a secret of an argument, and wipes the argument.
[[nodiscard]] Secret take_argument(char* argument, SecretArena& secrets);

} // namespace postern
