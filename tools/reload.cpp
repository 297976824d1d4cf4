// SPDX-License-Identifier: BSD-2-Clause
#include "tools/reload.hpp"

#include "tools/control_client.hpp"

#include <cstdlib>
#include <iostream>

namespace postern {

namespace {

constexpr int seconds_of_patience = 75; // the daemon itself gives up after 60

OptionRules rules_for(ControlOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern reload [options]";
    add_control_options(rules, values, seconds_of_patience);
    rules.notes =
        "Ends with status 0 when the new configuration is in force, " + std::string{control_status_notes} +
        "A new configuration that is broken leaves the old one in force: that is status 1. So is one\n"
        "that is in force, but for a socket whose place was taken meanwhile.\n";
    return rules;
}

} // namespace

int run_reload(Arguments arguments)
{
    ControlOptions values;
    if (!parse_options(rules_for(values), {arguments.begin(), arguments.end()}))
        return EXIT_SUCCESS;
    const ControlOutcome outcome = ask_daemon(values, control::Command::reload);
    if (outcome.kind != ControlOutcome::Kind::answered || !outcome.reply.is_ok)
        return report_trouble(outcome);
    std::cout << "the configuration is in force\n";
    return EXIT_SUCCESS;
}

} // namespace postern
