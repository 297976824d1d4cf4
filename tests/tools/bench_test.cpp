// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_server.hpp"
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/saslauthd_wire.hpp"
#include "tests/support/temporary_directory.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

namespace postern {

namespace {

const std::string yes = counted("OK");
const std::string no = counted("NO");

struct Bench {
    TemporaryDirectory directory;
    std::string socket = directory.file("mux");

    [[nodiscard]] ProgramRun run(std::vector<std::string> more = {}, std::string_view input = "hush\n") const
    {
        more.insert(more.begin(), {"postern", "bench", "-f", socket, "alice"});
        return run_program(POSTERN_PROGRAM, more, input);
    }

    /// The counts of a load, of those that are not 0, and its exit status.
    [[nodiscard]] std::map<std::string, int> counts(std::vector<std::string> more) const
    {
        more.emplace_back("--json");
        const ProgramRun done = run(std::move(more));
        const auto object = nlohmann::json::parse(done.output);
        std::map<std::string, int> found{{"status", done.status}};
        for (const auto* const name : {"logins", "accepted", "refused", "unavailable", "lost", "misjudged"})
            if (object.at(name) != 0)
                found[name] = object.at(name);
        return found;
    }
};

using Counts = std::map<std::string, int>;

/// Answers each AUTH of a connection with the next of those replies; ID stands for its number.
auto dovecot_saying(std::vector<std::string> replies)
{
    return [replies = std::move(replies)](const LineServer::Peer& peer) {
        std::string line = greet_until_auth(peer);
        for (std::size_t i = 0;; ++i) {
            std::string reply = replies[i % replies.size()];
            const std::string id = line.substr(5, line.find(' ', 5) - 5);
            if (const std::size_t at = reply.find("ID"); at != std::string::npos)
                reply.replace(at, 2, id);
            if (reply.empty())
                return;
            peer.say(reply);
            line = peer.line();
        }
    };
}

} // namespace

TEST_CASE("a load that ends as its passwords say is a success", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {yes}};
    CHECK(bench.counts({"-n", "50", "-c", "3"}) == Counts{{"status", 0}, {"logins", 50}, {"accepted", 50}});
}

TEST_CASE("refusals are what wrong passwords expect", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {no}};
    CHECK(bench.counts({"-n", "20", "--wrong", "100"}) ==
          Counts{{"status", 0}, {"logins", 20}, {"refused", 20}});
    CHECK(bench.counts({"-n", "20"}) ==
          Counts{{"status", 255}, {"logins", 20}, {"refused", 20}, {"misjudged", 20}});
}

TEST_CASE("an OK for a wrong password is misjudged, whatever else happened", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {yes, ""}};
    const Counts found = bench.counts({"-n", "20", "-c", "1", "--wrong", "100"});
    CHECK(found ==
          Counts{{"status", 255}, {"logins", 20}, {"accepted", 10}, {"lost", 10}, {"misjudged", 10}});
}

TEST_CASE("an outage is told from an answer that is missing or makes no sense, and both are no success",
          "[bench]")
{
    const auto [reply, name] = GENERATE(table<std::string, std::string>({
        {counted(""), "unavailable"},
        {"", "lost"},
        {counted("O"), "lost"},
        {counted("OK").substr(0, 3), "lost"},
        {counted(std::string(5000, 'O')), "lost"},
    }));
    Bench bench;
    CAPTURE(reply);
    const ReplyServer server{bench.socket, {yes, reply}};
    CHECK(bench.counts({"-n", "10", "-c", "1"}) ==
          Counts{{"status", 75}, {"logins", 10}, {"accepted", 5}, {name, 5}});
}

TEST_CASE("a login without an answer is lost when its time is over", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {std::nullopt, yes}};
    CHECK(bench.counts({"-n", "2", "-c", "1", "-t", "1"}) ==
          Counts{{"status", 75}, {"logins", 2}, {"accepted", 1}, {"lost", 1}});
}

TEST_CASE("a daemon that takes no more connections costs the logins that wait for it, and ends no load",
          "[bench]")
{
    Bench bench;
    const UniqueFd listener = listen_at(bench.socket); // its queue is of 8
    const pid_t server = check(::fork(), "fork");
    if (server == 0) {
        UniqueFd{::accept(listener.get(), nullptr, nullptr)}.reset(); // who asks what is spoken here
        ::pause();
    }
    CHECK(bench.counts({"-n", "40", "-c", "20", "-t", "1"}) ==
          Counts{{"status", 75}, {"logins", 40}, {"lost", 40}});
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
}

TEST_CASE("more clients than a daemon has room for wait in line", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {yes}, ReplyServer::queue_max};
    CHECK(bench.counts({"-n", "300", "-c", "100"}) ==
          Counts{{"status", 0}, {"logins", 300}, {"accepted", 300}});
}

TEST_CASE("a load can last for a time instead", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {yes}};
    const ProgramRun run = bench.run({"--seconds", "0.2", "--json"});
    const auto object = nlohmann::json::parse(run.output);
    CHECK(run.status == 0);
    CHECK(object.at("logins") > 0);
    CHECK(object.at("logins") == object.at("accepted"));
    CHECK(object.at("seconds") >= 0.2);
}

TEST_CASE("a load over Dovecot's protocol keeps a connection a client", "[bench]")
{
    Bench bench;
    const LineServer server{bench.socket, dovecot_saying({"OK ID user=alice\n"})};
    CHECK(bench.counts({"-n", "30", "-c", "1"}) == Counts{{"status", 0}, {"logins", 30}, {"accepted", 30}});
}

TEST_CASE("each answer over Dovecot's protocol counts as what it is", "[bench]")
{
    const auto [reply, name] = GENERATE(table<std::string, std::string>({
        {"FAIL ID user=alice code=temp_fail\n", "unavailable"},
        {"", "lost"},
        {"OK 4711 user=alice\n", "lost"},
        {"OK ID\n", "lost"},
        {"CONT ID \n", "lost"},
        {"FAIL x\n", "lost"},
    }));
    Bench bench;
    CAPTURE(reply);
    const LineServer server{bench.socket, dovecot_saying({"OK ID user=alice\n", reply})};
    CHECK(bench.counts({"-n", "10", "-c", "1"}) ==
          Counts{{"status", 75}, {"logins", 10}, {"accepted", 5}, {name, 5}});
}

TEST_CASE("a refusal over Dovecot's protocol is what a wrong password expects", "[bench]")
{
    Bench bench;
    const LineServer server{bench.socket, dovecot_saying({"FAIL ID user=alice\n"})};
    CHECK(bench.counts({"-n", "5", "-c", "1", "--wrong", "100"}) ==
          Counts{{"status", 0}, {"logins", 5}, {"refused", 5}});
    CHECK(bench.counts({"-n", "5", "-c", "1"}) ==
          Counts{{"status", 255}, {"logins", 5}, {"refused", 5}, {"misjudged", 5}});
}

TEST_CASE("a server without PLAIN is not asked", "[bench]")
{
    Bench bench;
    const LineServer server{bench.socket, [](const LineServer::Peer& peer) {
                                peer.say("VERSION 1 2\nMECH GSSAPI\nSPID 1\nDONE\n");
                            }};
    CHECK(bench.run() == ProgramRun{75, "", "postern: " + bench.socket + " offers GSSAPI, but not PLAIN\n"});
}

TEST_CASE("a load on nothing is an outage, and says so at once", "[bench]")
{
    const Bench bench;
    CHECK(bench.run() == ProgramRun{75, "", "postern: " + bench.socket + ": No such file or directory\n"});
}

TEST_CASE("a load is told in words and pictures, and the password in neither", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {yes}};
    const ProgramRun run = bench.run({"-n", "20", "-c", "1"});
    CHECK(run.status == 0);
    CHECK(run.errors.empty());
    CHECK_THAT(run.output, Catch::StartsWith("1 client of " + bench.socket + " (saslauthd): "));
    CHECK_THAT(run.output, Catch::Contains("LOGINS  ACCEPTED  REFUSED  UNAVAILABLE  LOST  MISJUDGED\n"
                                           "    20        20        0            0     0          0\n"));
    CHECK_THAT(run.output, Catch::Contains("P50 MS"));
    CHECK_THAT(run.output, Catch::Contains(std::string(50, '#') + "\n"));
    CHECK(run.output.find("hush") == std::string::npos);
}

TEST_CASE("a login that no request can hold ends the load with an error", "[bench]")
{
    Bench bench;
    const ReplyServer server{bench.socket, {yes}};
    const ProgramRun run = bench.run({"-r", std::string(20'000, 'r'), "-c", "4"});
    CHECK(run.status == 1);
    CHECK(run.output.empty());
    CHECK_THAT(run.errors, Catch::StartsWith("postern: ") && Catch::EndsWith("\n"));
}

TEST_CASE("numbers that make no sense are errors of the caller", "[bench]")
{
    const Bench bench;
    const auto [arguments, said] = GENERATE(table<std::vector<std::string>, std::string>({
        {{"-c", "0"}, "--clients expects a number from 1 to 1000"},
        {{"-c", "1001"}, "--clients expects a number from 1 to 1000"},
        {{"-n", "0"}, "--requests expects a number of at least 1"},
        {{"--seconds", "0"}, "--seconds expects a number above 0, and 86400 at most"},
        {{"--seconds", "nan"}, "--seconds expects a number above 0, and 86400 at most"},
        {{"--wrong", "101"}, "--wrong expects a percentage, from 0 to 100"},
        {{"--timeout", "0"}, "--timeout expects seconds, from 1 to 86400"},
        {{"--range", "9"}, "--range expects two numbers, as in 1-1000"},
        {{"--range", "1-9"}, "--range expects a user with %d in the place of the number, as in user%d"},
    }));
    CHECK(bench.run(arguments) == ProgramRun{64, "", "postern: " + said + "\n"});
}

} // namespace postern
