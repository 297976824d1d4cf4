// SPDX-License-Identifier: BSD-2-Clause
#include "tools/test.hpp"

#include "base/lower_case.hpp"
#include "base/spelling.hpp"
#include "tools/control_client.hpp"
#include "tools/dovecot_login.hpp"
#include "tools/password_prompt.hpp"
#include "tools/saslauthd_client.hpp"

#include <arpa/inet.h>
#include <sysexits.h>

#include <algorithm>
#include <array>
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

constexpr std::string_view saslauthd_socket = "/var/run/saslauthd/mux";
constexpr std::string_view dovecot_socket = "/var/spool/postfix/private/auth"; // in every guide to Postfix

struct TestOptions {
    std::string user;
    std::string service;
    std::string realm;
    std::string socket;
    int repeats = 1;
    int timeout = 15;
    bool is_json = false;

    bool is_dovecot = false;
    std::string mechanism;
    std::string client_address;
    std::string server_address;
    bool is_secured = false;

    /// The others make no sense in any other protocol.
    [[nodiscard]] bool wants_dovecot() const
    {
        return is_dovecot || is_secured || !mechanism.empty() || !client_address.empty() ||
               !server_address.empty();
    }

    [[nodiscard]] std::chrono::seconds patience() const { return std::chrono::seconds{timeout}; }
};

/// One login, the first is number 0, and how long it took.
struct Attempt {
    int number = 0;
    std::chrono::milliseconds took{};
    LoginOutcome outcome;
};

/// Whom to ask, and in which protocol, as far as that is known.
struct Target {
    enum class Protocol : std::uint8_t { unknown, saslauthd, dovecot };

    std::string socket;
    Protocol protocol = Protocol::unknown;
    sasl::Mechanism mechanism = sasl::Mechanism::plain; ///< of Dovecot's
};

OptionRules rules_for(TestOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern test [options] USER";
    rules.positions.add("user", 1);
    auto add = rules.options.add_options();
    add("user,u", po::value(&values.user)->required()->value_name("USER"),
        "who logs in; the flag may be left out");
    add("password,p", po::value<std::string>()->value_name("PASSWORD"),
        "the password; without it, it is asked for on the terminal or read as a line from a pipe");
    add("service,s", po::value(&values.service)->default_value("imap")->value_name("NAME"),
        "what the user logs in to");
    add("realm,r", po::value(&values.realm)->default_value("")->value_name("REALM"),
        "the user's realm; in Dovecot's protocol it is said as USER@REALM");
    add("socket,f", po::value(&values.socket)->value_name("PATH"),
        "the daemon's socket; without it, /var/run/saslauthd/mux, and with --dovecot that of the running "
        "daemon or /var/spool/postfix/private/auth");
    add("repeat,R", po::value(&values.repeats)->default_value(1)->value_name("COUNT"),
        "how often; the last one decides");
    add("timeout,t", po::value(&values.timeout)->default_value(15)->value_name("SECONDS"),
        "how long an answer may take");
    add("json", po::bool_switch(&values.is_json), "print one JSON object a line for each login");
    add("dovecot", po::bool_switch(&values.is_dovecot),
        "ask in the authentication protocol of Dovecot; without it, the socket says by itself what it "
        "speaks");
    add("mech", po::value(&values.mechanism)->value_name("NAME"),
        "log in by PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 or SCRAM-SHA-256; without it, by the first of these "
        "that is offered. This option and the next ones imply --dovecot");
    add("rip", po::value(&values.client_address)->value_name("ADDRESS"), "where the mail user comes from");
    add("lip", po::value(&values.server_address)->value_name("ADDRESS"), "the address that he connects to");
    add("secured", po::bool_switch(&values.is_secured), "his connection is encrypted");
    rules.notes =
        "Ends with status 0 when the login is accepted, 255 when it is refused, and 75 when nobody could\n"
        "be asked: a mail server would call that a temporary failure. 76 when an impostor answers: a server\n"
        "that lets the user in and does not know his password, as far as the mechanism shows that.\n"
        "In JSON: attempt (from 0), verdict (accepted, refused, unavailable, impostor), milliseconds, "
        "socket,\n"
        "protocol (saslauthd, dovecot) where it is known, mechanism with dovecot, and cause where there is "
        "one.\n";
    return rules;
}

void refuse_bad_numbers(const TestOptions& values)
{
    if (values.repeats < 1)
        throw UsageError{"--repeat expects a number of at least 1"};
    if (values.timeout < 1 || values.timeout > 86400)
        throw UsageError{"--timeout expects seconds, from 1 to 86400"};
}

bool is_address(const std::string& text)
{
    std::array<char, sizeof(in6_addr)> address{};
    return ::inet_pton(AF_INET, text.c_str(), address.data()) == 1 ||
           ::inet_pton(AF_INET6, text.c_str(), address.data()) == 1;
}

/// A daemon would take them for unknown, and say nothing.
void refuse_bad_addresses(const TestOptions& values)
{
    if (!values.client_address.empty() && !is_address(values.client_address))
        throw UsageError{"--rip expects an IPv4 or IPv6 address"};
    if (!values.server_address.empty() && !is_address(values.server_address))
        throw UsageError{"--lip expects an IPv4 or IPv6 address"};
}

// --- whom to ask -------------------------------------------------------------------------------------------

/// The socket on which the daemon of this host speaks Dovecot's protocol, if it says so and has one.
std::string find_dovecot_socket(const TestOptions& values)
{
    const std::string run_directory = run_directory_of("/run/postern", "/var/run/saslauthd");
    const ControlOutcome asked = ask_daemon(run_directory, control::Command::status, values.patience());
    if (asked.kind == ControlOutcome::Kind::answered && asked.reply.status)
        for (const ListenerStatus& listener : asked.reply.status->listeners)
            if (listener.protocol == "dovecot" &&
                listen_to(listener.socket, values.patience()).kind == SocketGreeting::Kind::dovecot)
                return listener.socket;
    return std::string{dovecot_socket};
}

std::string socket_for(const TestOptions& values)
{
    if (!values.socket.empty())
        return values.socket;
    return values.wants_dovecot() ? find_dovecot_socket(values) : std::string{saslauthd_socket};
}

std::vector<std::string> own_mechanisms()
{
    std::vector<std::string> names;
    for (const sasl::MechanismFacts& mechanism : sasl::mechanism_table)
        names.emplace_back(mechanism.name);
    return names;
}

/// The one that was asked for, or the first of ours. Nothing: the server has none of ours.
std::optional<sasl::Mechanism> choose_mechanism(const TestOptions& values, const std::string& socket,
                                                std::vector<std::string> offers)
{
    std::ranges::transform(offers, offers.begin(), in_upper_case);
    const auto is_offered = [&offers](std::string_view name) {
        return std::ranges::count(offers, name) != 0;
    };
    if (values.mechanism.empty()) {
        const auto* const found =
            std::ranges::find_if(sasl::mechanism_table, is_offered, &sasl::MechanismFacts::name);
        return found == sasl::mechanism_table.end() ? std::nullopt : std::optional{found->mechanism};
    }
    const std::string asked = in_upper_case(values.mechanism);
    if (!is_offered(asked))
        throw UsageError{"--mech: " + socket + " does not offer " + values.mechanism + ", but " +
                         listed(offers) + did_you_mean(asked, offers)};
    if (const auto mechanism = sasl::mechanism_from(asked))
        return mechanism;
    throw UsageError{"--mech: postern test does not speak " + values.mechanism + ", but " +
                     listed(own_mechanisms())};
}

LoginOutcome silence()
{
    return unavailable(
        "the daemon closed the connection without a greeting, as a saslauthd socket does: if it "
        "is one, leave out --dovecot, --mech, --rip, --lip and --secured");
}

/// Finds out what is spoken there. Nothing: it is known now.
std::optional<LoginOutcome> meet(Target& target, const TestOptions& values)
{
    SocketGreeting greeting = listen_to(target.socket, values.patience());
    if (greeting.kind == SocketGreeting::Kind::trouble)
        return std::move(greeting.trouble);
    if (greeting.kind == SocketGreeting::Kind::silence) {
        if (values.wants_dovecot())
            return silence();
        target.protocol = Target::Protocol::saslauthd;
        return std::nullopt;
    }
    const auto mechanism = choose_mechanism(values, target.socket, greeting.mechanisms);
    if (!mechanism)
        return unavailable("it offers " + listed(greeting.mechanisms) +
                           ", and none of these is spoken by postern test");
    target.mechanism = *mechanism;
    target.protocol = Target::Protocol::dovecot;
    return std::nullopt;
}

// --- asking ------------------------------------------------------------------------------------------------

LoginOutcome ask_dovecot(const Target& target, const TestOptions& values, const Secret& password,
                         SecretArena& secrets)
{
    const SaslLogin who{values.realm.empty() ? values.user : values.user + '@' + values.realm, password};
    const dovecot::Parameters parameters{
        .service = values.service,
        .client_address = values.client_address,
        .server_address = values.server_address,
        .is_secured = values.is_secured,
        .takes_final_response = true,
    };
    return try_dovecot_login(target.socket, {target.mechanism, who, parameters}, secrets, values.patience());
}

LoginOutcome ask(const Target& target, const TestOptions& values, const Secret& password,
                 SecretArena& secrets)
{
    if (target.protocol == Target::Protocol::dovecot)
        return ask_dovecot(target, values, password, secrets);
    const LoginAttempt login{values.user, password, values.service, values.realm};
    return try_login(target.socket, login, secrets, values.patience());
}

// --- telling -----------------------------------------------------------------------------------------------

std::string cause_text(const LoginOutcome& outcome, const Target& target)
{
    if (outcome.step == LoginStep::connect)
        return "cannot connect to " + target.socket + ": " + outcome.cause;
    return outcome.cause;
}

int exit_status(LoginOutcome::Kind kind)
{
    switch (kind) {
    case LoginOutcome::Kind::accepted: return EXIT_SUCCESS;
    case LoginOutcome::Kind::refused: return status_refused;
    case LoginOutcome::Kind::unavailable: return EX_TEMPFAIL;
    case LoginOutcome::Kind::impostor: return EX_PROTOCOL;
    }
    return EX_TEMPFAIL;
}

std::string_view verdict_word(LoginOutcome::Kind kind)
{
    switch (kind) {
    case LoginOutcome::Kind::accepted: return "accepted";
    case LoginOutcome::Kind::refused: return "refused";
    case LoginOutcome::Kind::unavailable: return "unavailable";
    case LoginOutcome::Kind::impostor: return "impostor";
    }
    return "unavailable";
}

/// In testsaslauthd's words, as far as it has some.
std::string outcome_text(const LoginOutcome& outcome, const Target& target)
{
    const std::string cause = cause_text(outcome, target);
    switch (outcome.kind) {
    case LoginOutcome::Kind::accepted: return "OK \"Success.\"";
    case LoginOutcome::Kind::refused:
        return "NO \"authentication failed" + (cause.empty() ? "" : ": " + cause) + '"';
    case LoginOutcome::Kind::impostor: return "IMPOSTOR \"" + cause + '"';
    case LoginOutcome::Kind::unavailable: break;
    }
    return "UNAVAILABLE \"temporary failure: " + cause + '"';
}

std::string attempt_json(const Attempt& attempt, const Target& target)
{
    nlohmann::ordered_json object{
        {"attempt", attempt.number},
        {"verdict", verdict_word(attempt.outcome.kind)},
        {"milliseconds", attempt.took.count()},
        {"socket", target.socket},
    };
    if (target.protocol == Target::Protocol::saslauthd)
        object["protocol"] = "saslauthd";
    if (target.protocol == Target::Protocol::dovecot) {
        object["protocol"] = "dovecot";
        object["mechanism"] = sasl::mechanism_name(target.mechanism);
    }
    if (const std::string cause = cause_text(attempt.outcome, target); !cause.empty())
        object["cause"] = cause;
    return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); // a path need not be UTF-8
}

int try_repeatedly(const TestOptions& values, const Secret& password, SecretArena& secrets)
{
    Target target{socket_for(values)};
    int status = EX_TEMPFAIL;
    for (int number = 0; number < values.repeats; ++number) {
        const auto begin = std::chrono::steady_clock::now();
        std::optional<LoginOutcome> outcome;
        if (target.protocol == Target::Protocol::unknown)
            outcome = meet(target, values); // it may throw, so nothing is printed before
        if (!values.is_json)
            std::cout << number << ": " << std::flush; // before the wait
        if (!outcome)
            outcome = ask(target, values, password, secrets);
        const auto took = std::chrono::steady_clock::now() - begin;
        const Attempt attempt{number, std::chrono::round<std::chrono::milliseconds>(took),
                              std::move(*outcome)};
        std::cout << (values.is_json ? attempt_json(attempt, target) : outcome_text(attempt.outcome, target))
                  << std::endl;
        status = exit_status(attempt.outcome.kind);
    }
    return status;
}

} // namespace

int run_test(Arguments arguments)
{
    constexpr std::size_t secrets_max = 8;
    SecretArena secrets{login_bytes_max, secrets_max};
    std::vector<char*> words{arguments.begin(), arguments.end()};
    TestOptions values;
    const OptionRules rules = rules_for(values);
    std::optional<Secret> password = take_password(words, rules.options, secrets);
    if (!parse_options(rules, words))
        return EXIT_SUCCESS;
    refuse_bad_numbers(values);
    refuse_bad_addresses(values);
    if (!password)
        password = read_password(secrets, "Password: ");
    return try_repeatedly(values, *password, secrets);
}

} // namespace postern
