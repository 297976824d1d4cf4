// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "protocol/control_messages.hpp"
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/cache.hpp"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>

namespace postern {

namespace {

const CacheStatus some_cache{12, 5957, 340, 20, 3, 4};

std::string reply_with(const CacheStatus& cache)
{
    StatusReport report;
    report.cache = cache;
    return control::write_status(report);
}

/// `postern cache` against a daemon with that answer.
ProgramRun cache_against(const ReplyServer::Reply& reply, std::vector<std::string> more = {})
{
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("control"), {reply}};
    more.insert(more.begin(), {"postern", "cache", "-m", directory.path()});
    return run_program(POSTERN_PROGRAM, more);
}

} // namespace

TEST_CASE("postern cache tells how many logins are kept, and of what use that was", "[cache]")
{
    CHECK(cache_against(reply_with(some_cache)) ==
          ProgramRun{0,
                     "LOGINS   MAX  HITS  MISSES  HIT RATE  OUTDATED  EVICTED\n"
                     "    12  5957   340      20    94.4 %         3        4\n",
                     ""});
}

TEST_CASE("a daemon without a cache is told as one", "[cache]")
{
    CHECK(cache_text({}) == "no login is kept: the daemon was started without a cache\n");
}

TEST_CASE("the hit rate is rounded down, and is none where nobody has come", "[cache]")
{
    const auto [hits, misses, text] = GENERATE(table<std::uint64_t, std::uint64_t, std::string>({
        {0, 0, "  -  "},
        {0, 7, " 0.0 % "},
        {7, 0, " 100.0 % "},
        {1999, 1, " 99.9 % "},
        {1, 2, " 33.3 % "},
        {UINT64_MAX, UINT64_MAX, " 50.0 % "},
    }));
    CHECK_THAT(cache_text({0, 1, hits, misses, 0, 0}), Catch::Contains(text));
}

TEST_CASE("postern cache flush says how many logins were forgotten", "[cache]")
{
    CHECK(cache_against(control::write_flushed(0), {"flush", "--all"}) ==
          ProgramRun{0, "0 logins forgotten\n", ""});
    CHECK(cache_against(control::write_flushed(1), {"flush", "--user", "bob"}) ==
          ProgramRun{0, "1 login forgotten\n", ""});
    CHECK(cache_against(control::write_flushed(12), {"--realm=example.org", "flush"}) ==
          ProgramRun{0, "12 logins forgotten\n", ""});
}

TEST_CASE("whose logins postern cache flush asks for is what was typed", "[cache]")
{
    const auto [typed, whose] = GENERATE(table<std::vector<std::string>, control::Whose>({
        {{"--all"}, {}},
        {{"--user", "b\u00f6b@example.org"}, {"b\u00f6b@example.org", ""}},
        {{"--realm", "example.org"}, {"", "example.org"}},
    }));
    const TemporaryDirectory directory;
    const UniqueFd listener = listen_at(directory.file("control"));
    std::vector<std::string> arguments{"postern", "cache", "flush", "-m", directory.path()};
    arguments.insert(arguments.end(), typed.begin(), typed.end());
    const pid_t asking = check(::fork(), "fork");
    if (asking == 0)
        ::_exit(run_program(POSTERN_PROGRAM, arguments).output == "2 logins forgotten\n" ? 0 : 1);
    const UniqueFd connection{check(::accept(listener.get(), nullptr, nullptr), "accept")};
    std::array<char, 4096> request{};
    const ssize_t got = check(::recv(connection.get(), request.data(), request.size(), 0), "recv");
    CHECK(std::string(request.data(), static_cast<std::size_t>(got)) ==
          control::write_request({control::Command::flush, whose}));
    const std::string reply = control::write_flushed(2);
    check(::send(connection.get(), reply.data(), reply.size(), MSG_NOSIGNAL), "send");
    int status = -1;
    check(::waitpid(asking, &status, 0), "waitpid");
    CHECK(status == 0);
}

TEST_CASE("postern cache with a mistake on the command line asks nobody, and says what was expected",
          "[cache]")
{
    const auto [typed, problem] = GENERATE(table<std::vector<std::string>, std::string>({
        {{"flush"}, "flush expects one of --all, --user NAME and --realm REALM"},
        {{"flush", "--all", "--user", "bob"}, "flush expects one of"},
        {{"flush", "--user", "bob", "--realm", "a"}, "flush expects one of"},
        {{"flush", "--user", ""}, "expect a name in UTF-8"},
        {{"flush", "--realm", ""}, "expect a name in UTF-8"},
        {{"flush", "--user", "b\xff"}, "expect a name in UTF-8"},
        {{"flush", "--user", std::string(4096, 'x')}, "expect a name in UTF-8"},
        {{"flush", "bob"}, "usage: postern cache"},
        {{"flsh", "--all"}, "expects nothing, or flush, and not 'flsh'"},
        {{"--all"}, "have a meaning with flush only"},
        {{"--user", "bob"}, "have a meaning with flush only"},
        {{"flush", "--everything"}, "unknown option --everything"},
        {{"--timeout", "0"}, "--timeout expects seconds"},
    }));
    const ProgramRun run = cache_against(control::write_flushed(1), typed);
    CHECK(run.status == 64);
    CHECK(run.output.empty());
    CHECK_THAT(run.errors, Catch::Contains(problem));
}

TEST_CASE("postern cache ends as its help says", "[cache]")
{
    CHECK(cache_against(control::write_problem("no memory")) == ProgramRun{1, "", "postern: no memory\n"});
    CHECK(cache_against(control::write_done(), {"flush", "--all"}).status == 75);
    CHECK(cache_against(control::write_done()).status == 75);
    CHECK(run_program(POSTERN_PROGRAM, {"postern", "cache", "--run-directory", "/no/such"}) ==
          ProgramRun{75, "", "postern: no daemon serves /no/such: No such file or directory\n"});
}

} // namespace postern
