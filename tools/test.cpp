// SPDX-License-Identifier: BSD-2-Clause
#include "tools/test.hpp"

#include "tools/password_prompt.hpp"
#include "tools/saslauthd_client.hpp"

#include <sysexits.h>

#include <boost/program_options/value_semantic.hpp>
#include <cstdlib>
#include <iostream>

namespace postern {

namespace po = boost::program_options;

namespace {

constexpr int status_refused = 255; // testsaslauthd's

struct TestOptions {
    std::string user;
    std::string service;
    std::string realm;
    std::string socket;
    int repeats = 1;
    int timeout = 15;
};

OptionRules rules_for(TestOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern test -u USER [options]";
    auto add = rules.options.add_options();
    add("user,u", po::value(&values.user)->required()->value_name("USER"), "who logs in");
    add("password,p", po::value<std::string>()->value_name("PASSWORD"),
        "the password; without it, it is asked for on the terminal or read as a line from a pipe");
    add("service,s", po::value(&values.service)->default_value("imap")->value_name("NAME"),
        "what the user logs in to");
    add("realm,r", po::value(&values.realm)->default_value("")->value_name("REALM"), "the user's realm");
    add("socket,f", po::value(&values.socket)->default_value("/var/run/saslauthd/mux")->value_name("PATH"),
        "the daemon's socket");
    add("repeat,R", po::value(&values.repeats)->default_value(1)->value_name("COUNT"),
        "how often; the last one decides");
    add("timeout,t", po::value(&values.timeout)->default_value(15)->value_name("SECONDS"),
        "how long an answer may take");
    rules.notes =
        "Ends with status 0 when the login is accepted, 255 when it is refused, and 75 when nobody could\n"
        "be asked: a mail server would call that a temporary failure.\n";
    return rules;
}

void refuse_bad_numbers(const TestOptions& values)
{
    if (values.repeats < 1)
        throw UsageError{"--repeat expects a number of at least 1"};
    if (values.timeout < 1 || values.timeout > 86400)
        throw UsageError{"--timeout expects seconds, from 1 to 86400"};
}

std::string cause_text(const LoginOutcome& outcome, const TestOptions& values)
{
    if (outcome.step == LoginStep::connect)
        return "cannot connect to " + values.socket + ": " + outcome.cause;
    return outcome.cause;
}

int report(const LoginOutcome& outcome, const TestOptions& values)
{
    switch (outcome.kind) {
    case LoginOutcome::Kind::accepted: std::cout << "OK \"Success.\"" << std::endl; return EXIT_SUCCESS;
    case LoginOutcome::Kind::refused:
        std::cout << "NO \"authentication failed\"" << std::endl;
        return status_refused;
    case LoginOutcome::Kind::unavailable: break;
    }
    std::cout << "UNAVAILABLE \"temporary failure: " << cause_text(outcome, values) << '"' << std::endl;
    return EX_TEMPFAIL;
}

int try_repeatedly(const TestOptions& values, const Secret& password, SecretArena& secrets)
{
    int status = EX_TEMPFAIL;
    for (int repeat = 0; repeat < values.repeats; ++repeat) {
        std::cout << repeat << ": " << std::flush;
        const LoginAttempt login{values.user, password, values.service, values.realm};
        status =
            report(try_login(values.socket, login, secrets, std::chrono::seconds{values.timeout}), values);
    }
    return status;
}

} // namespace

int run_test(Arguments arguments)
{
    constexpr std::size_t secrets_max = 4;
    SecretArena secrets{login_bytes_max, secrets_max};
    std::vector<char*> words{arguments.begin(), arguments.end()};
    std::optional<Secret> password = take_password(words, secrets);
    TestOptions values;
    if (!parse_options(rules_for(values), words))
        return EXIT_SUCCESS;
    refuse_bad_numbers(values);
    if (!password)
        password = read_password(secrets, "Password: ");
    return try_repeatedly(values, *password, secrets);
}

} // namespace postern
