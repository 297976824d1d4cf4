// SPDX-License-Identifier: BSD-2-Clause
#include "tools/cache.hpp"

#include "tools/control_client.hpp"
#include "tools/text_table.hpp"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cstdint>
#include <cstdlib>
#include <iostream>

namespace postern {

namespace po = boost::program_options;

namespace {

constexpr int seconds_of_patience = 15;

struct CacheOptions {
    ControlOptions control;
    std::string word;
    control::Whose whose;
    bool means_all = false;
};

OptionRules rules_for(CacheOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern cache [flush --all | --user NAME | --realm REALM] [options]";
    add_control_options(rules, values.control, seconds_of_patience);
    auto add = rules.options.add_options();
    add("all", po::bool_switch(&values.means_all), "with flush: every login");
    add("user", po::value(&values.whose.user)->value_name("NAME"),
        "with flush: the logins of a user, as the log has it: bob in every realm, or bob@example.org, which "
        "with "
        "posternd -r is the only name");
    add("realm", po::value(&values.whose.realm)->value_name("REALM"), "with flush: the logins of a realm");
    rules.words.add_options()("word", po::value(&values.word));
    rules.positions.add("word", 1);
    rules.notes = "OUTDATED counts logins that were found too old, or older than a change of their\n"
                  "store; EVICTED those that made room for others. A login that is forgotten is asked\n"
                  "about when it comes again.\n\n"
                  "Ends with status 0 when the daemon has told, or forgotten, " +
                  std::string{control_status_notes};
    return rules;
}

/// One request can say it, and says it unchanged.
bool can_be_said(const control::Request& request)
{
    const auto understood = control::parse_request(control::write_request(request));
    const auto* const same = std::get_if<control::Request>(&understood);
    return same != nullptr && *same == request;
}

/// Throws UsageError unless exactly one of --all, --user and --realm is there, and says whose logins.
control::Request flush_request(const CacheOptions& values, const po::variables_map& given)
{
    const auto count = given.count("user") + given.count("realm") + (values.means_all ? 1 : 0);
    if (count != 1)
        throw UsageError{"flush expects one of --all, --user NAME and --realm REALM"};
    control::Request request{control::Command::flush, values.whose};
    const bool is_named = !values.whose.user.empty() || !values.whose.realm.empty();
    if (is_named == values.means_all || !can_be_said(request))
        throw UsageError{"--user and --realm expect a name in UTF-8, of at most 4000 bytes"};
    return request;
}

control::Request request_for(const CacheOptions& values, const po::variables_map& given)
{
    if (values.word == "flush")
        return flush_request(values, given);
    if (!values.word.empty())
        throw UsageError{"cache expects nothing, or flush, and not '" + printable(values.word) + "'"};
    if (given.count("user") + given.count("realm") > 0 || values.means_all)
        throw UsageError{"--all, --user and --realm have a meaning with flush only"};
    return control::Command::status;
}

std::string logins(std::uint64_t count)
{
    return std::to_string(count) + (count == 1 ? " login" : " logins");
}

/// In tenths of a percent, rounded down: 100 % is all of them.
std::string hit_rate(const CacheStatus& cache)
{
    const double all = static_cast<double>(cache.hits) + static_cast<double>(cache.misses);
    if (all == 0)
        return "-";
    const auto tenths = static_cast<int>(static_cast<double>(cache.hits) / all * 1000);
    return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " %";
}

} // namespace

std::string cache_text(const CacheStatus& cache)
{
    if (cache.entries_max == 0)
        return "no login is kept: the daemon was started without a cache\n";
    constexpr TextTable::Align right = TextTable::Align::right;
    TextTable table{{{"LOGINS", right},
                     {"MAX", right},
                     {"HITS", right},
                     {"MISSES", right},
                     {"HIT RATE", right},
                     {"OUTDATED", right},
                     {"EVICTED", right}}};
    table.add({std::to_string(cache.entries), std::to_string(cache.entries_max), std::to_string(cache.hits),
               std::to_string(cache.misses), hit_rate(cache), std::to_string(cache.outdated),
               std::to_string(cache.evicted)});
    return table.text();
}

int run_cache(Arguments arguments)
{
    CacheOptions values;
    const auto given = parse_options(rules_for(values), {arguments.begin(), arguments.end()});
    if (!given)
        return EXIT_SUCCESS;
    const control::Request request = request_for(values, *given);
    const ControlOutcome outcome = ask_daemon(values.control, request);
    if (outcome.kind != ControlOutcome::Kind::answered || !outcome.reply.is_ok)
        return report_trouble(outcome);
    if (request.command == control::Command::flush)
        std::cout << logins(*outcome.reply.flushed) << " forgotten\n";
    else
        std::cout << cache_text(outcome.reply.status->cache);
    return EXIT_SUCCESS;
}

} // namespace postern
