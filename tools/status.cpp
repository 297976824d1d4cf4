// SPDX-License-Identifier: BSD-2-Clause
#include "tools/status.hpp"

#include "tools/control_client.hpp"
#include "tools/openmetrics.hpp"
#include "tools/status_text.hpp"
#include "tools/status_watch.hpp"

#include <boost/program_options/value_semantic.hpp>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

namespace po = boost::program_options;

namespace {

constexpr int seconds_of_patience = 15;
constexpr double seconds_between_looks = 2;

struct StatusOptions {
    ControlOptions control;
    bool wants_json = false;
    bool wants_openmetrics = false;
    double interval = 0; ///< seconds; 0: one look is enough
};

OptionRules rules_for(StatusOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern status [--json | --openmetrics] [--watch [SECONDS]] [options]";
    add_control_options(rules, values.control, seconds_of_patience);
    auto add = rules.options.add_options();
    add("json", po::bool_switch(&values.wants_json), "as one line of JSON");
    add("openmetrics", po::bool_switch(&values.wants_openmetrics),
        "as metrics, in the text format of OpenMetrics 1.0");
    add("watch",
        po::value(&values.interval)->implicit_value(seconds_between_looks, "2")->value_name("SECONDS"),
        "look again and again, with logins a second since the last look; on a terminal in one place, until "
        "Ctrl-C");
    rules.notes =
        "BUSY counts workers that have a request, prepare for the next one, or probe a\nserver. Half "
        "of the answers took no longer than P50, 99 of 100 no longer than P99;\nthe delay of refusals "
        "is not in it. Everything is counted since the front started.\n\n"
        "Ends with status 0 when the daemon has told its status, " +
        std::string{control_status_notes};
    return rules;
}

/// "--watch 5" as "--watch=5": a value that may be missing has to be attached.
std::vector<std::string> with_interval_attached(Arguments arguments)
{
    std::vector<std::string> words;
    for (char* const argument : arguments) {
        const std::string_view text{argument};
        const bool is_number =
            !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
        if (is_number && !words.empty() && words.back() == "--watch")
            words.back().append("=").append(text);
        else
            words.emplace_back(text);
    }
    return words;
}

/// Throws UsageError when the options make no sense together.
void check(const StatusOptions& values, bool watches)
{
    if (values.wants_json && values.wants_openmetrics)
        throw UsageError{"--json and --openmetrics exclude each other"};
    if (watches && values.wants_openmetrics)
        throw UsageError{
            "--watch and --openmetrics exclude each other: who collects metrics looks again himself"};
    if (watches && !(values.interval >= 0.1 && values.interval <= 86400))
        throw UsageError{"--watch expects seconds, from 0.1 to 86400"};
}

void print(const StatusOptions& values, const control::Reply& reply)
{
    if (values.wants_json)
        std::cout << reply.status_json << '\n';
    else if (values.wants_openmetrics)
        std::cout << openmetrics_text(*reply.status);
    else
        std::cout << status_text(*reply.status, std::time(nullptr));
}

} // namespace

int run_status(Arguments arguments)
{
    StatusOptions values;
    std::vector<std::string> words = with_interval_attached(arguments);
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    const auto given = parse_options(rules_for(values), pointers);
    if (!given)
        return EXIT_SUCCESS;
    const bool watches = given->contains("watch");
    check(values, watches);
    const auto ask = [&values] { return ask_daemon(values.control, control::Command::status); };
    if (watches) {
        const std::chrono::duration<double> interval{values.interval};
        return watch_status(ask, std::chrono::duration_cast<std::chrono::milliseconds>(interval),
                            values.wants_json);
    }
    const ControlOutcome outcome = ask();
    if (outcome.kind != ControlOutcome::Kind::answered || !outcome.reply.is_ok)
        return report_trouble(outcome);
    print(values, outcome.reply);
    return EXIT_SUCCESS;
}

} // namespace postern
