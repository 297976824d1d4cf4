// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_server.hpp"
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

/// The connection that asks: the one before has only listened whether it is greeted.
UniqueFd accept_login(const UniqueFd& listener)
{
    UniqueFd{check(::accept(listener.get(), nullptr, nullptr), "accept")}.reset();
    return UniqueFd{check(::accept(listener.get(), nullptr, nullptr), "accept")};
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

/// `postern test` against a server that greets, with the right password.
ProgramRun test_over_dovecot(const std::function<void(const LineServer::Peer&)>& speak,
                             std::vector<std::string> more = {}, const std::string& password = "hush")
{
    TemporaryDirectory directory;
    const LineServer server{directory.file("auth"), speak};
    more.insert(more.begin(), {"test", "-f", directory.file("auth"), "alice"});
    ProgramRun run = postern_with(more, password + "\n");
    for (std::string* text : {&run.output, &run.errors})
        if (const std::size_t at = text->find(directory.file("auth")); at != std::string::npos)
            text->replace(at, directory.file("auth").size(), "SOCKET");
    return run;
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
    const UniqueFd connection = name == "postern"
                                    ? accept_login(listener)
                                    : UniqueFd{check(::accept(listener.get(), nullptr, nullptr), "accept")};
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
    const UniqueFd connection = accept_login(listener);
    const std::string expected = request_wire("alice", "hush", "smtp", "example.org");
    std::string request(expected.size(), '\0');
    check(::recv(connection.get(), request.data(), request.size(), MSG_WAITALL), "recv");
    CHECK(request == expected);
    check(::send(connection.get(), no.data(), no.size(), 0), "send");
    int status = -1;
    check(::waitpid(child, &status, 0), "waitpid");
    CHECK(WEXITSTATUS(status) == 255);
}

TEST_CASE("postern test finds out by itself what a socket speaks", "[postern]")
{
    const auto server = dovecot_server(sasl::Mechanism::plain);
    const std::vector<std::string> flags =
        GENERATE(std::vector<std::string>{}, std::vector<std::string>{"--dovecot"});
    CHECK(test_over_dovecot(server, flags) == ProgramRun{0, "0: OK \"Success.\"\n", ""});
    CHECK(test_over_dovecot(server, flags, "wrong") ==
          ProgramRun{255, "0: NO \"authentication failed\"\n", ""});
}

TEST_CASE("postern test logs in by the mechanism that it is told, in letters of any case", "[postern]")
{
    const auto server = dovecot_server(sasl::Mechanism::scram_sha_256);
    const ProgramRun run = test_over_dovecot(server, {"--mech", "scram-sha-256", "--json", "-R", "2"});
    CHECK(run.status == 0);
    const std::vector<nlohmann::json> lines = json_lines(run.output);
    REQUIRE(lines.size() == 2);
    CHECK(lines[1].at("attempt") == 1);
    CHECK(lines[1].at("verdict") == "accepted");
    CHECK(lines[1].at("protocol") == "dovecot");
    CHECK(lines[1].at("mechanism") == "SCRAM-SHA-256");
    CHECK_FALSE(lines[1].contains("cause"));
}

TEST_CASE("postern test says what a Dovecot-type server said of a refusal", "[postern]")
{
    CHECK(test_over_dovecot(dovecot_replying("FAIL 1 code=user_disabled\n")) ==
          ProgramRun{255, "0: NO \"authentication failed: code=user_disabled\"\n", ""});
}

TEST_CASE("postern test calls an outage of a Dovecot-type server what it calls one of a saslauthd",
          "[postern]")
{
    CHECK(test_over_dovecot(dovecot_replying("")) ==
          ProgramRun{
              75,
              "0: UNAVAILABLE \"temporary failure: the daemon closed the connection without an answer\"\n",
              ""});
    CHECK(test_over_dovecot(dovecot_replying("FAIL 1 code=temp_fail\n")).output ==
          "0: UNAVAILABLE \"temporary failure: the daemon could not ask its backend (code=temp_fail)\"\n");
}

TEST_CASE("postern test calls a server that cannot know the password an impostor", "[postern]")
{
    const auto liar = dovecot_replying("OK 1 user=alice\n");
    const ProgramRun run = test_over_dovecot(liar, {"--mech", "SCRAM-SHA-1"});
    CHECK(run.status == 76);
    CHECK_THAT(run.output, Catch::StartsWith("0: IMPOSTOR \"the server lets the user in without "));
    const ProgramRun json = test_over_dovecot(liar, {"--mech", "LOGIN", "--json"});
    CHECK(json.status == 76);
    CHECK(nlohmann::json::parse(json.output).at("verdict") == "impostor");
}

TEST_CASE("postern test says what a server offers when it does not offer what was asked for", "[postern]")
{
    const auto server = dovecot_server(sasl::Mechanism::plain);
    const std::string offers = "PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256 and GSSAPI";
    CHECK(test_over_dovecot(server, {"--mech", "SCRAM-SHA256"}) ==
          ProgramRun{64, "",
                     "postern: --mech: SOCKET does not offer SCRAM-SHA256, but " + offers +
                         "; did you mean SCRAM-SHA-256?\n"});
    CHECK(test_over_dovecot(server, {"--mech", "gssapi"}) ==
          ProgramRun{64, "",
                     "postern: --mech: postern test does not speak gssapi, but PLAIN, LOGIN, CRAM-MD5, "
                     "SCRAM-SHA-1 and SCRAM-SHA-256\n"});
    const auto foreign = [](const LineServer::Peer& peer) { peer.say("VERSION 1 2\nMECH GSSAPI\nDONE\n"); };
    CHECK(test_over_dovecot(foreign) ==
          ProgramRun{75,
                     "0: UNAVAILABLE \"temporary failure: it offers GSSAPI, and none of these is spoken by "
                     "postern test\"\n",
                     ""});
}

TEST_CASE("a saslauthd socket that is asked as Dovecot's is named, with what to leave out", "[postern]")
{
    const std::vector<std::string> flags =
        GENERATE(std::vector<std::string>{"--dovecot"}, std::vector<std::string>{"--mech", "PLAIN"},
                 std::vector<std::string>{"--secured"}, std::vector<std::string>{"--rip", "::1"},
                 std::vector<std::string>{"--lip", "192.0.2.1"});
    CHECK(test_against({yes}, flags) ==
          ProgramRun{
              75,
              "0: UNAVAILABLE \"temporary failure: the daemon closed the connection without a greeting, as "
              "a saslauthd socket does: if it is one, leave out --dovecot, --mech, --rip, --lip and "
              "--secured\"\n",
              ""});
}

TEST_CASE("no password is said to a server that greets in another language", "[postern]")
{
    const auto smtp = [](const LineServer::Peer& peer) {
        peer.say("220 mail.example.org\n");
        while (true)
            peer.line();
    };
    const ProgramRun run = test_over_dovecot(smtp);
    CHECK(run.status == 75);
    CHECK_THAT(run.output, Catch::Contains("it speaks something else"));
}

TEST_CASE("addresses that are none are errors of the caller", "[postern]")
{
    for (const auto* const flag : {"--rip", "--lip"}) {
        CHECK(test_against({yes}, {flag, "mail.example.org"}) ==
              ProgramRun{64, "", "postern: " + std::string{flag} + " expects an IPv4 or IPv6 address\n"});
    }
}

} // namespace postern
