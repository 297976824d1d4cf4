// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/program.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

/// Debian's own programs for a sasldb, in the words of the tests.
namespace postern {

inline void saslpasswd2(const std::string& file, const std::string& user, const std::string& realm,
                        const std::string& password)
{
    std::vector<std::string> arguments{"saslpasswd2", "-p", "-c", "-f", file};
    if (!realm.empty())
        arguments.insert(arguments.end(), {"-u", realm});
    arguments.push_back(user);
    if (const ProgramRun run = run_program("/usr/sbin/saslpasswd2", arguments, password); run.status != 0)
        throw std::runtime_error{"saslpasswd2: " + run.errors};
}

/// The lines of sasldblistusers2, sorted: "alice@example.org: userPassword".
inline std::vector<std::string> sasldblistusers2(const std::string& file)
{
    const ProgramRun run = run_program("/usr/sbin/sasldblistusers2", {"sasldblistusers2", "-f", file});
    std::vector<std::string> lines;
    std::istringstream output{run.output};
    for (std::string line; std::getline(output, line);)
        lines.push_back(line);
    std::ranges::sort(lines);
    return lines;
}

} // namespace postern
