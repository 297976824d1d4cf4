// SPDX-License-Identifier: BSD-2-Clause
#include "tools/testsaslauthd.hpp"

#include "tools/options.hpp"
#include "tools/saslauthd_client.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace postern {

namespace {

constexpr int status_usage = 1;
constexpr int status_failure = 255;
constexpr std::chrono::minutes patience{1};

struct Flags {
    std::optional<std::string> user;
    std::optional<Secret> password;
    std::string service = "imap";
    std::string realm;
    std::string socket = "/var/run/saslauthd/mux";
    int repeats = 1;
    bool has_mistakes = false;
};

Flags parse_flags(int argc, char** argv, SecretArena& secrets)
{
    Flags flags;
    for (int flag = 0; (flag = ::getopt(argc, argv, "p:u:r:s:f:R:")) != -1;) {
        switch (flag) {
        case 'p': flags.password = take_argument(optarg, secrets); break;
        case 'u': flags.user = optarg; break;
        case 'r': flags.realm = optarg; break;
        case 's': flags.service = optarg; break;
        case 'f': flags.socket = optarg; break;
        case 'R': flags.repeats = std::atoi(optarg); break;
        default: flags.has_mistakes = true; // getopt has said so
        }
    }
    return flags;
}

int print_usage(const char* name)
{
    std::fprintf(stderr,
                 "%s: usage: %s -u username -p password\n"
                 "              [-r realm] [-s servicename]\n"
                 "              [-f socket path] [-R repeatnum]\n",
                 name, name);
    return status_usage;
}

void print_trouble(const LoginOutcome& outcome)
{
    switch (outcome.step) {
    case LoginStep::connect: std::fprintf(stderr, "connect() : %s\n", outcome.cause.c_str()); break;
    case LoginStep::send: std::fputs("write failed\n", stderr); break;
    case LoginStep::reply_length: std::fputs("size read failed\n", stderr); break;
    case LoginStep::reply_text: std::fputs("read failed\n", stderr); break;
    case LoginStep::reply_meaning: std::fputs("bad response from saslauthd\n", stderr); break;
    }
}

int report(const LoginOutcome& outcome)
{
    switch (outcome.kind) {
    case LoginOutcome::Kind::accepted: std::puts("OK \"Success.\""); return EXIT_SUCCESS;
    case LoginOutcome::Kind::refused: std::puts("NO \"authentication failed\""); return status_failure;
    case LoginOutcome::Kind::impostor: break; // its protocol has no way to tell
    case LoginOutcome::Kind::unavailable: print_trouble(outcome); break;
    }
    return status_failure;
}

} // namespace

int run_testsaslauthd(int argc, char** argv)
{
    constexpr std::size_t secrets_max = 3;
    SecretArena secrets{login_bytes_max, secrets_max};
    const Flags flags = parse_flags(argc, argv, secrets);
    if (flags.has_mistakes || !flags.user || !flags.password)
        return print_usage(argv[0]);
    const LoginAttempt login{*flags.user, *flags.password, flags.service, flags.realm};
    int status = status_failure;
    int repeat = 0;
    do {
        std::printf("%d: ", repeat);
        status = report(try_login(flags.socket, login, secrets, patience));
    } while (++repeat < flags.repeats);
    return status;
}

} // namespace postern
