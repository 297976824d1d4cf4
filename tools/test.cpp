// SPDX-License-Identifier: BSD-2-Clause
#include "tools/test.hpp"

#include "tools/password_prompt.hpp"
#include "tools/saslauthd_client.hpp"

#include <sysexits.h>

#include <boost/program_options/value_semantic.hpp>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <utility>

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
    bool is_json = false;
};

/// One login, the first is number 0, and how long it took.
struct Attempt {
    int number = 0;
    std::chrono::milliseconds took{};
    LoginOutcome outcome;
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
    add("json", po::bool_switch(&values.is_json), "print one JSON object a line for each login");
    rules.notes =
        "Ends with status 0 when the login is accepted, 255 when it is refused, and 75 when nobody could\n"
        "be asked: a mail server would call that a temporary failure.\n"
        "In JSON: attempt (from 0), verdict (accepted, refused, unavailable), milliseconds, socket and,\n"
        "for an unavailable one, cause.\n";
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

int exit_status(LoginOutcome::Kind kind)
{
    switch (kind) {
    case LoginOutcome::Kind::accepted: return EXIT_SUCCESS;
    case LoginOutcome::Kind::refused: return status_refused;
    case LoginOutcome::Kind::unavailable: return EX_TEMPFAIL;
    }
    return EX_TEMPFAIL;
}

std::string_view verdict_word(LoginOutcome::Kind kind)
{
    switch (kind) {
    case LoginOutcome::Kind::accepted: return "accepted";
    case LoginOutcome::Kind::refused: return "refused";
    case LoginOutcome::Kind::unavailable: return "unavailable";
    }
    return "unavailable";
}

/// In testsaslauthd's words, as far as it has some.
std::string outcome_text(const LoginOutcome& outcome, const TestOptions& values)
{
    switch (outcome.kind) {
    case LoginOutcome::Kind::accepted: return "OK \"Success.\"";
    case LoginOutcome::Kind::refused: return "NO \"authentication failed\"";
    case LoginOutcome::Kind::unavailable: break;
    }
    return "UNAVAILABLE \"temporary failure: " + cause_text(outcome, values) + '"';
}

std::string attempt_json(const Attempt& attempt, const TestOptions& values)
{
    nlohmann::ordered_json object{
        {"attempt", attempt.number},
        {"verdict", verdict_word(attempt.outcome.kind)},
        {"milliseconds", attempt.took.count()},
        {"socket", values.socket},
    };
    if (attempt.outcome.kind == LoginOutcome::Kind::unavailable)
        object["cause"] = cause_text(attempt.outcome, values);
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); // a path need not be UTF-8
}

Attempt try_once(int number, const TestOptions& values, const Secret& password, SecretArena& secrets)
{
    const LoginAttempt login{values.user, password, values.service, values.realm};
    const auto begin = std::chrono::steady_clock::now();
    LoginOutcome outcome = try_login(values.socket, login, secrets, std::chrono::seconds{values.timeout});
    const auto took = std::chrono::round<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
    return {number, took, std::move(outcome)};
}

int try_repeatedly(const TestOptions& values, const Secret& password, SecretArena& secrets)
{
    int status = EX_TEMPFAIL;
    for (int number = 0; number < values.repeats; ++number) {
        if (!values.is_json)
            std::cout << number << ": " << std::flush; // before the wait
        const Attempt attempt = try_once(number, values, password, secrets);
        std::cout << (values.is_json ? attempt_json(attempt, values) : outcome_text(attempt.outcome, values))
                  << std::endl;
        status = exit_status(attempt.outcome.kind);
    }
    return status;
}

} // namespace

int run_test(Arguments arguments)
{
    constexpr std::size_t secrets_max = 4;
    SecretArena secrets{login_bytes_max, secrets_max};
    std::vector<char*> words{arguments.begin(), arguments.end()};
    TestOptions values;
    const OptionRules rules = rules_for(values);
    std::optional<Secret> password = take_password(words, rules.options, secrets);
    if (!parse_options(rules, words))
        return EXIT_SUCCESS;
    refuse_bad_numbers(values);
    if (!password)
        password = read_password(secrets, "Password: ");
    return try_repeatedly(values, *password, secrets);
}

} // namespace postern
