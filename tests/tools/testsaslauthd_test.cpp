// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/saslauthd_wire.hpp"
#include "tests/support/temporary_directory.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::string_literals;

constexpr const char* debians = "/usr/sbin/testsaslauthd";

ProgramRun testsaslauthd(const std::string& program, std::vector<std::string> arguments)
{
    arguments.insert(arguments.begin(), "testsaslauthd");
    return run_program(program, arguments);
}

/// What both do against a server with those replies.
void do_the_same(const std::vector<ReplyServer::Reply>& replies, std::vector<std::string> more = {})
{
    TemporaryDirectory directory;
    more.insert(more.begin(), {"-u", "alice", "-p", "hush", "-f", directory.file("mux")});
    const auto run = [&](const std::string& program) {
        const ReplyServer server{directory.file("mux"), replies};
        return testsaslauthd(program, more);
    };
    CHECK(run(POSTERN_PROGRAM) == run(debians));
}

} // namespace

TEST_CASE("called as testsaslauthd it does with every reply what Debian's does", "[testsaslauthd]")
{
    do_the_same({GENERATE(counted("OK"), counted("OK welcome"), counted("OKAY"), counted("NO"),
                          counted("NO go away"), counted("ok"), counted("YES"), counted("O"), counted(""),
                          ""s, "\0"s, "\0\2"s, "\0\2O"s, counted("OK") + "more",
                          counted("OK" + std::string(5000, 'x')), counted("NO" + std::string(5000, 'x')))});
}

TEST_CASE("called as testsaslauthd it repeats as Debian's does, and the last decides", "[testsaslauthd]")
{
    const std::string repeats = GENERATE("1", "2", "3", "0", "x");
    do_the_same({counted("OK"), counted("NO"), counted("")}, {"-R", repeats});
    do_the_same({""s, counted("OK")}, {"-R", repeats});
}

TEST_CASE("called as testsaslauthd it refuses a command line as Debian's does", "[testsaslauthd]")
{
    using Words = std::vector<std::string>;
    const Words words =
        GENERATE(Words{}, Words{"-u", "alice"}, Words{"-p", "hush"}, Words{"-h"}, Words{"--help"},
                 Words{"-u", "alice", "-p", "hush", "-Z"}, Words{"-u", "alice", "-p"},
                 Words{"-u", "alice", "-p", "hush", "-f", "/no/such/mux"},
                 Words{"-u", "", "-p", "", "-f", "/no/such/mux", "-R", "2"},
                 Words{"stray", "-u", "alice", "stray", "-p", "hush", "-f", "/no/such/mux"});
    CAPTURE(words);
    CHECK(testsaslauthd(POSTERN_PROGRAM, words) == testsaslauthd(debians, words));
}

TEST_CASE("called as testsaslauthd it survives a password that crashes Debian's", "[testsaslauthd]")
{
    TemporaryDirectory directory;
    const ReplyServer server{directory.file("mux"), {counted("NO")}};
    const ProgramRun run = testsaslauthd(
        POSTERN_PROGRAM, {"-u", "alice", "-p", std::string(9000, 'x'), "-f", directory.file("mux")});
    CHECK(run == ProgramRun{255, "0: NO \"authentication failed\"\n", ""});
}

} // namespace postern
