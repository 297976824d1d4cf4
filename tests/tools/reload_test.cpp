// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/control_messages.hpp"
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/temporary_directory.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

/// `postern reload` against a daemon with that answer.
ProgramRun reload_against(const ReplyServer::Reply& reply, std::vector<std::string> more = {})
{
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("control"), {reply}};
    more.insert(more.begin(), {"postern", "reload", "-m", directory.path()});
    return run_program(POSTERN_PROGRAM, more);
}

} // namespace

TEST_CASE("a reload that went well says so", "[reload]")
{
    CHECK(reload_against(control::write_done()) == ProgramRun{0, "the configuration is in force\n", ""});
}

TEST_CASE("a reload that did not go well says why, line by line", "[reload]")
{
    CHECK(
        reload_against(control::write_problem("/etc/postern.conf:3: no\n/etc/postern.conf:4: \x1bneither")) ==
        ProgramRun{1, "", "postern: /etc/postern.conf:3: no\npostern: /etc/postern.conf:4: ?neither\n"});
}

TEST_CASE("a reload that nobody answers is a temporary failure", "[reload]")
{
    CHECK(run_program(POSTERN_PROGRAM, {"postern", "reload", "--run-directory", "/no/such"}) ==
          ProgramRun{75, "", "postern: no daemon serves /no/such: No such file or directory\n"});
    const ProgramRun run = reload_against(std::nullopt, {"--timeout", "1"});
    CHECK(run.status == 75);
    CHECK_THAT(run.errors, Catch::Contains("has not answered within 1 s"));
}

TEST_CASE("a reload with a mistake on the command line asks nobody", "[reload]")
{
    CHECK(reload_against(control::write_done(), {"--timeout", "0"}).status == 64);
    CHECK(reload_against(control::write_done(), {"-t", "x"}).status == 64);
    CHECK(reload_against(control::write_done(), {"now"}).status == 64);
}

TEST_CASE("the help of status, reload and cache tells every exit status", "[reload]")
{
    const std::string subcommand = GENERATE("status", "reload", "cache");
    const ProgramRun help = run_program(POSTERN_PROGRAM, {"postern", subcommand, "--help"});
    for (const std::string status : {"0 when", "1 when", "75 when", "77 when"})
        CHECK_THAT(help.output, Catch::Contains(status));
}

} // namespace postern
