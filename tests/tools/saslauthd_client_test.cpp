// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/descriptors.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/saslauthd_client.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Kind = LoginOutcome::Kind;

struct Client {
    TemporaryDirectory directory;
    std::string socket = directory.file("mux");
    SecretArena secrets{login_bytes_max, 2};

    LoginOutcome try_password(std::string_view password, std::chrono::milliseconds patience = 10s)
    {
        return try_login(socket, {"alice", Secret{secrets, password}, "imap", ""}, secrets, patience);
    }
};

} // namespace

TEST_CASE("a reply means what it means to libsasl2", "[saslauthd-client]")
{
    const auto [text, kind] = GENERATE(table<std::string, Kind>({
        {"OK", Kind::accepted},
        {"OK welcome", Kind::accepted},
        {"OKAY", Kind::accepted},
        {"NO", Kind::refused},
        {"NO go away", Kind::refused},
        {"ok", Kind::refused},
        {"YES", Kind::refused},
        {" OK", Kind::refused},
        {"\0OK"s, Kind::refused},
        {"", Kind::unavailable},
        {"O", Kind::unavailable},
    }));
    CAPTURE(text);
    CHECK(reply_meaning(text).kind == kind);
}

TEST_CASE("a login that gets no whole reply says how far it came", "[saslauthd-client]")
{
    const auto [reply, step] = GENERATE(table<std::string, LoginStep>({
        {"", LoginStep::reply_length},
        {"\0"s, LoginStep::reply_length},
        {"\0\2"s, LoginStep::reply_text},
        {"\0\2O"s, LoginStep::reply_text},
        {"\0\0"s, LoginStep::reply_meaning},
        {"\0\1O"s, LoginStep::reply_meaning},
    }));
    Client client;
    const ReplyServer server{client.socket, {reply}};
    const LoginOutcome outcome = client.try_password("hush");
    CHECK(outcome.kind == Kind::unavailable);
    CHECK(outcome.step == step);
    CHECK_FALSE(outcome.cause.empty());
}

TEST_CASE("no daemon is an outage at the first step", "[saslauthd-client]")
{
    Client client;
    CHECK(client.try_password("hush").step == LoginStep::connect);
    client.socket = std::string(200, 'x');
    CHECK(client.try_password("hush").cause == "File name too long");
}

TEST_CASE("a daemon that does not answer, or does not even accept, is given up in time", "[saslauthd-client]")
{
    Client client;
    const UniqueFd listener = listen_at(client.socket);
    CHECK(client.try_password("hush", 20ms).step == LoginStep::reply_length);
    for (int i = 0; i < 8; ++i)
        static_cast<void>(client.try_password("hush", 1ms)); // until its queue is full
    const LoginOutcome outcome = client.try_password("hush", 1020ms);
    CHECK(outcome.step == LoginStep::connect);
    CHECK(outcome.cause == "no answer within 1 s");
}

TEST_CASE("a daemon that hangs up before it has read everything has still answered", "[saslauthd-client]")
{
    Client client;
    const UniqueFd listener = listen_at(client.socket);
    const pid_t server = check(::fork(), "fork");
    if (server == 0) {
        const UniqueFd connection{::accept(listener.get(), nullptr, nullptr)};
        check(::send(connection.get(), "\0\3NO ", 5, 0), "send");
        check(::shutdown(connection.get(), SHUT_WR), "shutdown");
        std::array<char, 16384> rest{};
        while (::recv(connection.get(), rest.data(), rest.size(), 0) > 0)
            ;
        ::_exit(0);
    }
    CHECK(client.try_password(std::string(9000, 'x')).kind == Kind::refused);
    ::waitpid(server, nullptr, 0);
}

TEST_CASE("a login too long for any daemon is refused before it is sent", "[saslauthd-client]")
{
    Client client;
    CHECK_THROWS_AS(client.try_password(std::string(login_bytes_max, 'x')), std::length_error);
}

TEST_CASE("no login leaves a descriptor or a secret behind", "[saslauthd-client]")
{
    Client client;
    const ReplyServer server{client.socket, {"\0\2OK"s, "\0\2NO"s, "\0\0"s, ""s}};
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 8; ++i)
        static_cast<void>(client.try_password("hush"));
    CHECK(open_descriptors() == before);
    CHECK(client.secrets.slots_free() == 2);
}

} // namespace postern
