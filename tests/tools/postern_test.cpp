// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/saslauthd_wire.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/subcommands.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>

namespace postern {

namespace {

ProgramRun postern_with(std::vector<std::string> arguments, std::string_view input = "")
{
    arguments.insert(arguments.begin(), "postern");
    return run_program(POSTERN_PROGRAM, arguments, input);
}

/// `postern test` against a server with those replies.
ProgramRun test_against(const std::vector<ReplyServer::Reply>& replies, std::vector<std::string> more = {})
{
    TemporaryDirectory directory;
    const ReplyServer server{directory.file("mux"), replies};
    more.insert(more.begin(), {"test", "-u", "alice", "-p", "hush", "-f", directory.file("mux")});
    return postern_with(more);
}

std::string contents(const std::string& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

std::vector<nlohmann::json> json_lines(const std::string& output)
{
    std::vector<nlohmann::json> objects;
    std::istringstream lines{output};
    for (std::string line; std::getline(lines, line);)
        objects.push_back(nlohmann::json::parse(line));
    return objects;
}

const std::string yes = counted("OK");
const std::string no = counted("NO");
const std::string unavailable = counted("");

} // namespace

TEST_CASE("help names every subcommand, and each has a help of its own", "[postern]")
{
    const ProgramRun help = postern_with({"--help"});
    CHECK(help.status == 0);
    CHECK(postern_with({"help"}) == help);
    for (const Subcommand& subcommand : subcommands()) {
        const std::string name{subcommand.name};
        CHECK_THAT(help.output, Catch::Contains("  " + name + " "));
        const ProgramRun own = postern_with({name, "--help"});
        CHECK(own.status == 0);
        CHECK_THAT(own.output, Catch::StartsWith("usage: postern " + name + " "));
        CHECK(postern_with({"help", name}) == own);
    }
}

TEST_CASE("postern --version says which", "[postern]")
{
    CHECK_THAT(postern_with({"--version"}).output, Catch::StartsWith("postern "));
}

TEST_CASE("an unknown subcommand is an error of the caller, with the one that was meant", "[postern]")
{
    CHECK(postern_with({"tset"}) ==
          ProgramRun{64, "", "postern: there is no subcommand 'tset'; did you mean test?\n"});
    CHECK(postern_with({"--frobnicate"}).status == 64);
    CHECK(postern_with({}).status == 64);
    CHECK(postern_with({"help", "tset"}).status == 64);
}

TEST_CASE("postern test tells accepted, refused and unavailable apart", "[postern]")
{
    CHECK(test_against({yes}) == ProgramRun{0, "0: OK \"Success.\"\n", ""});
    CHECK(test_against({no}) == ProgramRun{255, "0: NO \"authentication failed\"\n", ""});
    CHECK(test_against({unavailable}) ==
          ProgramRun{
              75,
              "0: UNAVAILABLE \"temporary failure: the daemon could not ask its backend (empty reply)\"\n",
              ""});
    CHECK(test_against({""}) ==
          ProgramRun{
              75,
              "0: UNAVAILABLE \"temporary failure: the daemon closed the connection without an answer\"\n",
              ""});
}

TEST_CASE("postern test --json prints an object a line, with the same exit status", "[postern]")
{
    TemporaryDirectory directory;
    const std::string socket = directory.file("mux");
    const ReplyServer server{socket, {yes, no, unavailable}};
    const ProgramRun run =
        postern_with({"test", "--json", "-p", "hush", "-u", "alice", "-f", socket, "-R", "3"});
    CHECK(run.status == 75);
    CHECK(run.errors.empty());
    CHECK(run.output.find("hush") == std::string::npos);
    const std::vector<nlohmann::json> lines = json_lines(run.output);
    REQUIRE(lines.size() == 3);
    const std::vector<std::string> verdicts{"accepted", "refused", "unavailable"};
    for (std::size_t i = 0; i < lines.size(); ++i) {
        CAPTURE(i);
        CHECK(lines[i].at("attempt") == i);
        CHECK(lines[i].at("verdict") == verdicts[i]);
        CHECK(lines[i].at("socket") == socket);
        CHECK(lines[i].at("milliseconds").is_number_unsigned());
        CHECK(lines[i].contains("cause") == (i == 2));
    }
    CHECK(lines[2].at("cause") == "the daemon could not ask its backend (empty reply)");
    CHECK(test_against({yes}, {"--json"}).status == 0);
    CHECK(test_against({no}, {"--json"}).status == 255);
}

TEST_CASE("an answer that takes its time is told so in JSON", "[postern]")
{
    const ProgramRun run = test_against({std::nullopt}, {"--json", "-t", "1"});
    CHECK(run.status == 75);
    const nlohmann::json line = nlohmann::json::parse(run.output);
    CHECK(line.at("cause") == "no answer within 1 s");
    CHECK(line.at("milliseconds") >= 990);
}

TEST_CASE("a path that is no UTF-8 leaves the JSON whole", "[postern]")
{
    const ProgramRun run =
        postern_with({"test", "--json", "-u", "alice", "-p", "hush", "-f", "/no/such/\xff\"\n"});
    CHECK(run.status == 75);
    const nlohmann::json line = nlohmann::json::parse(run.output);
    CHECK(line.at("socket") == "/no/such/\xef\xbf\xbd\"\n");
    CHECK(line.at("cause") == "cannot connect to /no/such/\xef\xbf\xbd\"\n: No such file or directory");
}

TEST_CASE("postern test waits only so long for an answer", "[postern]")
{
    CHECK(test_against({std::nullopt}, {"-t", "1"}) ==
          ProgramRun{75, "0: UNAVAILABLE \"temporary failure: no answer within 1 s\"\n", ""});
}

TEST_CASE("postern test names the socket that it cannot reach", "[postern]")
{
    CHECK(postern_with({"test", "-u", "alice", "-p", "hush", "-f", "/no/such/mux"}) ==
          ProgramRun{75,
                     "0: UNAVAILABLE \"temporary failure: cannot connect to /no/such/mux: No such file or "
                     "directory\"\n",
                     ""});
}

TEST_CASE("of several repeats the last decides", "[postern]")
{
    CHECK(test_against({yes, no}, {"-R", "2"}).status == 255);
    CHECK(test_against({no, unavailable, yes}, {"-R", "3"}).status == 0);
    CHECK(test_against({yes, no, unavailable}, {"-R", "3"}).status == 75);
}

TEST_CASE("numbers that are none are errors of the caller", "[postern]")
{
    for (const std::string number : {"0", "-1", "x", "", "4294967297"}) {
        CAPTURE(number);
        CHECK(test_against({yes}, {"-R", number}).status == 64);
        CHECK(test_against({yes}, {"-t", number}).status == 64);
    }
}

TEST_CASE("the password of a command line is gone from it before the daemon is asked", "[postern]")
{
    TemporaryDirectory directory;
    const UniqueFd listener = listen_at(directory.file("mux"));
    const std::string name = GENERATE("postern", "testsaslauthd");
    const pid_t child = check(::fork(), "fork");
    if (child == 0) {
        const std::string socket = directory.file("mux");
        if (name == "postern")
            ::execl(POSTERN_PROGRAM, name.c_str(), "test", "-u", "alice", "-p", "hush", "-f", socket.c_str(),
                    nullptr);
        ::execl(POSTERN_PROGRAM, name.c_str(), "-u", "alice", "-p", "hush", "-f", socket.c_str(), nullptr);
        ::_exit(127);
    }
    const UniqueFd connection{check(::accept(listener.get(), nullptr, nullptr), "accept")};
    const std::string shown = contents("/proc/" + std::to_string(child) + "/cmdline");
    CHECK_THAT(shown, Catch::Contains("alice") && !Catch::Contains("hush"));
    check(::send(connection.get(), yes.data(), yes.size(), 0), "send");
    int status = -1;
    check(::waitpid(child, &status, 0), "waitpid");
    CHECK(status == 0);
}

TEST_CASE("postern test takes the password from a pipe", "[postern]")
{
    TemporaryDirectory directory;
    const UniqueFd listener = listen_at(directory.file("mux"));
    const pid_t child = check(::fork(), "fork");
    if (child == 0)
        ::_exit(postern_with(
                    {"test", "-u", "alice", "-s", "smtp", "-r", "example.org", "-f", directory.file("mux")},
                    "hush\n")
                    .status);
    const UniqueFd connection{check(::accept(listener.get(), nullptr, nullptr), "accept")};
    const std::string expected = request_wire("alice", "hush", "smtp", "example.org");
    std::string request(expected.size(), '\0');
    check(::recv(connection.get(), request.data(), request.size(), MSG_WAITALL), "recv");
    CHECK(request == expected);
    check(::send(connection.get(), no.data(), no.size(), 0), "send");
    int status = -1;
    check(::waitpid(child, &status, 0), "waitpid");
    CHECK(WEXITSTATUS(status) == 255);
}

} // namespace postern
