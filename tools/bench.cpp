// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench.hpp"

#include "base/lower_case.hpp"
#include "tools/bench_report.hpp"
#include "tools/dovecot_login.hpp"
#include "tools/password_prompt.hpp"

#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cstdlib>
#include <iostream>
#include <string_view>

namespace postern {

namespace po = boost::program_options;

namespace {

constexpr int status_misjudged = 255; // as of `postern test`, where the last login was refused
constexpr std::uint64_t logins_default = 10'000;
constexpr std::size_t clients_max = 1000; // each a thread

struct BenchOptions {
    std::string user;
    std::string range;
    std::string service;
    std::string realm;
    std::string socket;
    std::size_t clients = 0;
    std::uint64_t logins = 0; ///< 0: not said
    double seconds = 0;       ///< 0: not said
    int wrong_percent = 0;
    int timeout = 0;
    bool is_json = false;
};

OptionRules rules_for(BenchOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern bench [options] USER";
    rules.positions.add("user", 1);
    auto add = rules.options.add_options();
    add("user,u", po::value(&values.user)->required()->value_name("USER"),
        "who logs in; with --range, a pattern with %d in the place of the number, as in user%d; the flag may "
        "be "
        "left out");
    add("range", po::value(&values.range)->value_name("FIRST-LAST"),
        "the numbers of users, who log in in turn");
    add("service,s", po::value(&values.service)->default_value("imap")->value_name("NAME"),
        "what they log in to");
    add("realm,r", po::value(&values.realm)->default_value("")->value_name("REALM"),
        "their realm; in Dovecot's protocol it is said as USER@REALM");
    add("socket,f", po::value(&values.socket)->default_value("/var/run/saslauthd/mux")->value_name("PATH"),
        "the daemon's socket, which says by itself whether it speaks saslauthd's protocol or Dovecot's");
    add("clients,c", po::value(&values.clients)->default_value(8)->value_name("COUNT"),
        "how many log in at a time, each again as soon as it has its answer");
    add("requests,n", po::value(&values.logins)->value_name("COUNT"),
        "how many logins; without this option and --seconds, 10000");
    add("seconds", po::value(&values.seconds)->value_name("SECONDS"), "for how long; a fraction will do");
    add("wrong", po::value(&values.wrong_percent)->default_value(0)->value_name("PERCENT"),
        "how many of the logins are made with a wrong password");
    add("timeout,t", po::value(&values.timeout)->default_value(15)->value_name("SECONDS"),
        "how long an answer may take; then the login is lost");
    add("json", po::bool_switch(&values.is_json), "print one JSON object");
    rules.notes =
        "The password of all users is asked for on the terminal or read as a line from a pipe. Each client\n"
        "is a thread that blocks while it waits. In saslauthd's protocol each login has a connection of its\n"
        "own, as libsasl2 makes them; in Dovecot's each client has one and uses PLAIN. Latencies are those\n"
        "of the logins that were answered, and count the time in the daemon's queue. LOST counts those\n"
        "whose connection ended without an answer, among them what a Dovecot-type server closes because it\n"
        "could ask nobody; MISJUDGED those that were accepted with a wrong password, or refused with the\n"
        "right one.\n\n"
        "Ends with status 0 when every login ended as its password says, however long it took; 255 when one\n"
        "was misjudged; else 75 when one was lost, or was answered that nobody could be asked. Interrupted,\n"
        "it tells what was measured until then, and ends with 128 and the number of the signal.\n"
        "In JSON: socket, protocol (saslauthd, dovecot), clients, seconds, logins_per_second, logins,\n"
        "accepted, refused, unavailable, lost, misjudged, milliseconds (p50, p90, p99, max) where there was\n"
        "an answer, histogram (of from_milliseconds and logins).\n";
    return rules;
}

void refuse_nonsense(const BenchOptions& values, const po::variables_map& given)
{
    if (values.clients < 1 || values.clients > clients_max)
        throw UsageError{"--clients expects a number from 1 to " + std::to_string(clients_max)};
    if (given.contains("requests") && values.logins == 0)
        throw UsageError{"--requests expects a number of at least 1"};
    if (given.contains("seconds") && !(values.seconds > 0 && values.seconds <= 86400))
        throw UsageError{"--seconds expects a number above 0, and 86400 at most"};
    if (values.wrong_percent < 0 || values.wrong_percent > 100)
        throw UsageError{"--wrong expects a percentage, from 0 to 100"};
    if (values.timeout < 1 || values.timeout > 86400)
        throw UsageError{"--timeout expects seconds, from 1 to 86400"};
}

BenchLogins logins_of(const BenchOptions& values, const po::variables_map& given)
{
    const auto wrong_percent = static_cast<unsigned>(values.wrong_percent);
    if (!given.contains("range"))
        return {values.user, NumberRange{}, wrong_percent};
    const auto range = number_range(values.range);
    if (!range)
        throw UsageError{"--range expects two numbers, as in 1-1000"};
    if (values.user.find(BenchLogins::place) == std::string::npos)
        throw UsageError{"--range expects a user with %d in the place of the number, as in user%d"};
    return {values.user, *range, wrong_percent};
}

BenchPlan plan_for(const BenchOptions& values, const po::variables_map& given)
{
    BenchPlan plan;
    plan.socket = values.socket;
    plan.clients = values.clients;
    plan.patience = std::chrono::seconds{values.timeout};
    if (given.contains("seconds"))
        plan.time_max = std::chrono::duration_cast<Duration>(std::chrono::duration<double>{values.seconds});
    if (given.contains("requests") || !plan.time_max)
        plan.logins_max = given.contains("requests") ? values.logins : logins_default;
    return plan;
}

/// Finds out what is spoken there. False: it cannot be asked, which was said.
bool meet(BenchPlan& plan)
{
    const SocketGreeting greeting =
        listen_to(plan.socket, std::chrono::floor<std::chrono::milliseconds>(plan.patience));
    switch (greeting.kind) {
    case SocketGreeting::Kind::silence: plan.protocol = BenchProtocol::saslauthd; return true;
    case SocketGreeting::Kind::dovecot: plan.protocol = BenchProtocol::dovecot; break;
    case SocketGreeting::Kind::trouble:
        std::cerr << "postern: " << plan.socket << ": " << greeting.trouble.cause << '\n';
        return false;
    }
    const bool has_plain = std::ranges::any_of(greeting.mechanisms, [](const std::string& name) {
        return is_same_word(name, sasl::mechanism_name(sasl::Mechanism::plain));
    });
    if (!has_plain)
        std::cerr << "postern: " << plan.socket << " offers " << listed(greeting.mechanisms)
                  << ", but not PLAIN\n";
    return has_plain;
}

/// In the last line of the terminal, over itself.
void show_progress(std::uint64_t logins, std::uint64_t answered, Duration since_start)
{
    std::cerr << '\r' << bench_progress(logins, answered, since_start) << "\033[K" << std::flush;
}

void hide_progress()
{
    std::cerr << "\r\033[K" << std::flush;
}

BenchResult run_on_terminal(const BenchPlan& plan, const BenchLogins& logins, const BenchWriter& writer,
                            SecretArena& secrets)
{
    const bool is_shown = ::isatty(STDERR_FILENO) != 0;
    BenchRun run{plan, logins, writer, secrets,
                 [is_shown](std::uint64_t ended, std::uint64_t answered, Duration since_start) {
                     if (is_shown)
                         show_progress(ended, answered, since_start);
                 }};
    BenchResult result = run.run();
    if (is_shown)
        hide_progress();
    return result;
}

int exit_status(const BenchResult& result)
{
    if (result.ended_by != 0)
        return 128 + result.ended_by; // as a shell says it
    if (result.tally.misjudged > 0)
        return status_misjudged;
    return result.tally.lost + result.tally.unavailable > 0 ? EX_TEMPFAIL : EXIT_SUCCESS;
}

} // namespace

int run_bench(Arguments arguments)
{
    constexpr std::size_t secrets_max = clients_max + 8;
    SecretArena secrets{BenchWriter::memory_bytes, secrets_max};
    BenchOptions values;
    const auto given = parse_options(rules_for(values), {arguments.begin(), arguments.end()});
    if (!given)
        return EXIT_SUCCESS;
    refuse_nonsense(values, *given);
    const BenchLogins logins = logins_of(values, *given);
    BenchPlan plan = plan_for(values, *given);
    const BenchWriter writer{values.service, values.realm, read_password(secrets, "Password: "), secrets};
    if (!meet(plan))
        return EX_TEMPFAIL;
    const BenchResult result = run_on_terminal(plan, logins, writer, secrets);
    std::cout << (values.is_json ? bench_json(plan, result) : bench_text(plan, result));
    return exit_status(result);
}

} // namespace postern
