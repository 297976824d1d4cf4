// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/descriptors.hpp"
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/control_client.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Kind = ControlOutcome::Kind;

struct Client {
    TemporaryDirectory directory;
    std::string run_directory = directory.path();
    std::string socket = directory.file("control");

    [[nodiscard]] ControlOutcome ask(std::chrono::milliseconds patience = 10s,
                                     control::Command command = control::Command::reload) const
    {
        return ask_daemon(run_directory, command, patience);
    }
};

} // namespace

TEST_CASE("a daemon's answer is what it said", "[control_client]")
{
    const Client client;
    const ReplyServer server{client.socket, {control::write_done(), control::write_problem("why")}};
    const ControlOutcome done = client.ask();
    CHECK(done.kind == Kind::answered);
    CHECK(done.reply.is_ok);
    const ControlOutcome problem = client.ask();
    CHECK(problem.kind == Kind::answered);
    CHECK_FALSE(problem.reply.is_ok);
    CHECK(problem.reply.problem == "why");
}

TEST_CASE("the daemon is sent one request, on a line", "[control_client]")
{
    const Client client;
    const UniqueFd listener = listen_at(client.socket);
    const pid_t asking = check(::fork(), "fork");
    if (asking == 0)
        ::_exit(client.ask().reply.is_ok ? 0 : 1);
    const UniqueFd connection{check(::accept(listener.get(), nullptr, nullptr), "accept")};
    std::array<char, 4096> request{};
    const ssize_t got = check(::recv(connection.get(), request.data(), request.size(), 0), "recv");
    CHECK(std::string(request.data(), static_cast<std::size_t>(got)) ==
          control::write_request(control::Command::reload));
    const std::string reply = control::write_done();
    for (const char byte : reply) // in pieces
        check(::send(connection.get(), &byte, 1, MSG_NOSIGNAL), "send");
    int status = -1;
    check(::waitpid(asking, &status, 0), "waitpid");
    CHECK(status == 0);
}

TEST_CASE("the longest status is read whole", "[control_client]")
{
    const Client client;
    StatusReport report;
    report.version = std::string(control::reply_bytes_max - 1000, 'x');
    const UniqueFd listener = listen_at(client.socket);
    const pid_t server = check(::fork(), "fork");
    if (server == 0) {
        const UniqueFd connection{::accept(listener.get(), nullptr, nullptr)};
        const std::string line = control::write_status(report);
        ::_exit(::send(connection.get(), line.data(), line.size(), MSG_NOSIGNAL) ==
                        static_cast<ssize_t>(line.size())
                    ? 0
                    : 1);
    }
    const ControlOutcome outcome = client.ask(10s, control::Command::status);
    int status = -1;
    check(::waitpid(server, &status, 0), "waitpid");
    CHECK(status == 0);
    REQUIRE(outcome.reply.status);
    CHECK((outcome.reply.status->version == report.version));
}

TEST_CASE("where no daemon is, the run directory and the reason are named", "[control_client]")
{
    Client client;
    CHECK(client.ask().kind == Kind::unreachable);
    CHECK(client.ask().cause == "no daemon serves " + client.run_directory + ": No such file or directory");
    static_cast<void>(listen_at(client.socket)); // and is gone again
    CHECK(client.ask().cause == "no daemon serves " + client.run_directory + ": Connection refused");
    client.run_directory = std::string(200, 'x');
    CHECK(client.ask().cause == "no daemon serves " + client.run_directory + ": File name too long");
}

TEST_CASE("who may not ask is told who may", "[control_client]")
{
    const Client client;
    const UniqueFd listener = listen_at(client.socket);
    check(::chmod(client.socket.c_str(), 0000), "chmod");
    check(::chmod(client.run_directory.c_str(), 0755), "chmod");
    const ProgramRun run = run_child("", [&] {
        if (::geteuid() == 0) {
            check(::setresgid(65534, 65534, 65534), "setresgid");
            check(::setresuid(65534, 65534, 65534), "setresuid");
        }
        const ControlOutcome outcome = client.ask();
        return outcome.kind == Kind::forbidden ? report_trouble(outcome) : 0;
    });
    CHECK(run.status == 77);
    CHECK(run.errors == "postern: only root may ask the daemon that serves " + client.run_directory + "\n");
}

TEST_CASE("a request that is not answered, or not even accepted, is given up in time", "[control_client]")
{
    const Client client;
    const std::string daemon = "the daemon that serves " + client.run_directory;
    const UniqueFd listener = listen_at(client.socket);
    CHECK(client.ask(1020ms).cause == daemon + " has not answered within 1 s");
    for (int i = 0; i < 8; ++i)
        CHECK(client.ask(1ms).kind == Kind::unreachable); // until its queue is full
    CHECK(client.ask(20ms).cause == daemon + " accepts no connection");
}

TEST_CASE("a daemon that leaves before its answer is whole has not answered", "[control_client]")
{
    const Client client;
    const std::string reply =
        GENERATE(""s, control::write_done().substr(0, control::write_done().size() - 1));
    const ReplyServer server{client.socket, {reply}};
    CHECK(client.ask().kind == Kind::unreachable);
    CHECK(client.ask().cause ==
          "the daemon that serves " + client.run_directory + " has closed the connection without an answer");
}

TEST_CASE("what speaks another language is no daemon of ours", "[control_client]")
{
    const Client client;
    const std::string reply = GENERATE("\n"s, "hello\n"s, "{\"version\":2,\"ok\":true}\n"s);
    const ReplyServer server{client.socket, {reply}};
    CHECK(client.ask().kind == Kind::unreachable);
    CHECK(client.ask().cause ==
          "what serves " + client.run_directory + " does not speak version 1 of the control protocol");
}

TEST_CASE("a status without a status is no answer", "[control_client]")
{
    const Client client;
    const ReplyServer server{client.socket, {control::write_done()}};
    CHECK(client.ask(10s, control::Command::status).kind == Kind::unreachable);
}

TEST_CASE("no request leaves a descriptor behind", "[control_client]")
{
    const Client client;
    const ReplyServer server{client.socket, {control::write_done(), "nonsense\n"s, ""s}};
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 6; ++i)
        static_cast<void>(client.ask());
    CHECK(open_descriptors() == before);
}

TEST_CASE("the first run directory is taken when it has a control socket", "[control_client]")
{
    const Client first;
    CHECK(run_directory_of(first.run_directory, "second") == "second");
    CHECK(run_directory_of("/no/such/directory", "second") == "second");
    const UniqueFd listener = listen_at(first.socket);
    CHECK(run_directory_of(first.run_directory, "second") == first.run_directory);
}

TEST_CASE("nothing that a daemon says can steer the terminal", "[control_client]")
{
    CHECK(printable("plain c\u00e9 text") == "plain c\u00e9 text");
    CHECK(printable("a\x1b[31mb\r\n\tc\x7f\0d"s) == "a?[31mb???c??d");
    CHECK(printable("a\u009b31m\u0080\u009f\u00a0") == "a?31m??\u00a0");
    CHECK(printable("\xc2") == "\xc2");
}

} // namespace postern
