// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/descriptors.hpp"
#include "tests/support/dovecot_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/daemon_socket.hpp"
#include "tools/dovecot_login.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Greeting = SocketGreeting::Kind;
using Kind = LoginOutcome::Kind;
using Peer = LineServer::Peer;
using TakesData = SaslServer::TakesData;
using sasl::Mechanism;

constexpr std::size_t secrets_max = 8;

struct Client {
    TemporaryDirectory directory;
    std::string socket = directory.file("auth");
    SecretArena secrets{login_bytes_max, secrets_max};
    dovecot::Parameters parameters{.service = "smtp", .takes_final_response = true};

    LoginOutcome log_in(Mechanism mechanism, std::string_view with_password = "hush",
                        std::chrono::milliseconds patience = 10s)
    {
        const Secret password{secrets, with_password};
        const SaslLogin who{"alice", password};
        return try_dovecot_login(socket, {mechanism, who, parameters}, secrets, patience);
    }
};

std::string with_false_signature(std::string words)
{
    if (words.starts_with("v="))
        words.at(2) = words.at(2) == 'A' ? 'B' : 'A';
    return words;
}

std::string without_nonce(std::string words)
{
    return words.starts_with("r=") ? words.substr(words.find(',') + 1) : words;
}

std::string with_little_work(std::string words)
{
    const std::size_t at = words.find(",i=4096");
    return at == std::string::npos ? words : words.substr(0, at) + ",i=4095";
}

} // namespace

TEST_CASE("a Dovecot-type server lets the right password in by each mechanism, and no other",
          "[dovecot_login]")
{
    const Mechanism mechanism = GENERATE(from_range(sasl::all_mechanisms));
    const auto takes_data = GENERATE(TakesData::no, TakesData::yes);
    CAPTURE(sasl::mechanism_name(mechanism));
    Client client;
    const LineServer server{client.socket, dovecot_server(mechanism, takes_data)};
    const LoginOutcome accepted = client.log_in(mechanism);
    CHECK(accepted.kind == Kind::accepted);
    CHECK(accepted.cause.empty());
    const LoginOutcome refused = client.log_in(mechanism, "wrong");
    CHECK(refused.kind == Kind::refused);
    CHECK(refused.cause.empty());
}

TEST_CASE("a Dovecot-type server is told all that is known of a login", "[dovecot_login]")
{
    Client client;
    client.parameters = {.service = "smtp",
                         .client_address = "192.0.2.7",
                         .server_address = "2001:db8::1",
                         .is_secured = true,
                         .takes_final_response = true};
    const LineServer server{client.socket, [](const Peer& peer) {
                                std::string auth = greet_until_auth(peer);
                                std::ranges::replace(auth, ' ', '|');
                                peer.say("FAIL 1 reason=" + auth + "\n");
                            }};
    CHECK(client.log_in(Mechanism::plain).cause == "AUTH|1|PLAIN|service=smtp|secured|lip=2001:db8::1|rip="
                                                   "192.0.2.7|final-resp-ok|resp=AGFsaWNlAGh1c2g=");
}

TEST_CASE("a reply of a Dovecot-type server means what it means to Postfix", "[dovecot_login]")
{
    const std::string nonsense = "the daemon's reply makes no sense";
    const std::string closed = "the daemon closed the connection without an answer";
    const std::string outage = "the daemon could not ask its backend (code=temp_fail)";
    const auto [reply, kind, cause] = GENERATE_COPY(table<std::string, Kind, std::string>({
        {"OK 1 user=alice\n", Kind::accepted, ""},
        {"OK 1 user=alice@example.org\n", Kind::accepted, ""},
        {"OK 1\n", Kind::unavailable,
         "the daemon's OK does not name the user, which Postfix takes for an outage"},
        {"OK 2 user=alice\n", Kind::unavailable, nonsense},
        {"OK 1 user=alice resp=!\n", Kind::unavailable, nonsense},
        {"OK 1 user=alice", Kind::unavailable, closed},
        {"FAIL 1\n", Kind::refused, ""},
        {"FAIL 1 user=alice reason=later\n", Kind::refused, "later"},
        {"FAIL 1 code=user_disabled\n", Kind::refused, "code=user_disabled"},
        {"FAIL 1 reason=go code=pass_expired\n", Kind::refused, "go (code=pass_expired)"},
        {"FAIL 1 reason=\x1b[31m\n", Kind::refused, "?[31m"},
        {"FAIL 1 temp\n", Kind::unavailable, outage},
        {"FAIL 1 user=alice temp code=temp_fail\n", Kind::unavailable, outage},
        {"FAIL 2\n", Kind::unavailable, nonsense},
        {"CONT 1 \n", Kind::unavailable, nonsense},
        {"CONT 1 !\n", Kind::unavailable, nonsense},
        {"OK x\n", Kind::unavailable, "what serves the socket cannot be asked: it sends a malformed line"},
        {"", Kind::unavailable, closed},
    }));
    CAPTURE(reply);
    Client client;
    const LineServer server{client.socket, dovecot_replying(reply)};
    const LoginOutcome outcome = client.log_in(Mechanism::plain);
    CHECK(outcome.kind == kind);
    CHECK(outcome.cause == cause);
}

TEST_CASE("a server with a false signature is an impostor, wherever the signature stands", "[dovecot_login]")
{
    const Mechanism mechanism = GENERATE(Mechanism::scram_sha_1, Mechanism::scram_sha_256);
    const auto takes_data = GENERATE(TakesData::no, TakesData::yes);
    Client client;
    const LineServer server{client.socket, dovecot_server(mechanism, takes_data, with_false_signature)};
    const LoginOutcome outcome = client.log_in(mechanism);
    CHECK(outcome.kind == Kind::impostor);
    CHECK(outcome.cause == "the server's signature is wrong: it does not know the user's password");
}

TEST_CASE("a server that lets the user in before it can know is an impostor", "[dovecot_login]")
{
    const Mechanism mechanism = GENERATE(Mechanism::login, Mechanism::cram_md5, Mechanism::scram_sha_256);
    Client client;
    const LineServer server{client.socket, dovecot_replying("OK 1 user=alice\n")};
    const LoginOutcome outcome = client.log_in(mechanism);
    CHECK(outcome.kind == Kind::impostor);
    CHECK_THAT(outcome.cause, Catch::StartsWith("the server lets the user in without "));
}

TEST_CASE("a challenge that is none is trouble of the daemon, not of the password", "[dovecot_login]")
{
    Client client;
    const LineServer server{client.socket,
                            dovecot_server(Mechanism::scram_sha_1, TakesData::no, without_nonce)};
    CHECK(client.log_in(Mechanism::scram_sha_1).cause == "the daemon's reply makes no sense");
}

TEST_CASE("a server that asks a SCRAM client for too little work is told of, and gets no proof",
          "[dovecot_login]")
{
    const Mechanism mechanism = GENERATE(Mechanism::scram_sha_1, Mechanism::scram_sha_256);
    Client client;
    const LineServer server{client.socket, dovecot_server(mechanism, TakesData::no, with_little_work)};
    const LoginOutcome outcome = client.log_in(mechanism);
    CHECK(outcome.kind == Kind::unavailable);
    CHECK(outcome.cause == "the daemon's reply makes no sense: it asks for 4095 rounds of PBKDF2, and 4096 "
                           "are the fewest (RFC 7677)");
}

TEST_CASE("a challenge to another login is not answered", "[dovecot_login]")
{
    Client client;
    const LineServer server{client.socket, dovecot_replying("CONT 2 VXNlcm5hbWU6\n")};
    CHECK(client.log_in(Mechanism::login).cause == "the daemon's reply makes no sense");
}

TEST_CASE("a mechanism that is not offered is not tried", "[dovecot_login]")
{
    Client client;
    const LineServer server{client.socket, [](const Peer& peer) {
                                peer.say("VERSION 1 2\nMECH LOGIN\nMECH \x01n\nMECH PLAIN\nDONE\n");
                                peer.say("FAIL 1 reason=" + peer.line() + "\n");
                            }};
    CHECK(client.log_in(Mechanism::cram_md5).cause == "it offers LOGIN, ? and PLAIN, but not CRAM-MD5");
}

TEST_CASE("a socket that greets, one that is silent and one that speaks otherwise are told apart",
          "[dovecot_login]")
{
    const auto [words, kind, cause] = GENERATE(table<std::string, Greeting, std::string>({
        {dovecot_greeting, Greeting::dovecot, ""},
        {"", Greeting::silence, ""},
        {"VERSION 1", Greeting::trouble, "the daemon closed the connection without an answer"},
        {"VERSION 1 2\nSPID 1\n", Greeting::trouble,
         "what serves the socket cannot be asked: it offers no mechanism: it may be a socket for user "
         "lookups (auth-master)"},
        {"220 mail.example.org\n", Greeting::trouble,
         "what serves the socket cannot be asked: it does not begin with VERSION and two numbers: it speaks "
         "something else"},
        {std::string(20000, 'x'), Greeting::trouble,
         "what serves the socket cannot be asked: it sends a line of more than 16384 bytes"},
    }));
    CAPTURE(words);
    Client client;
    const LineServer server{client.socket, [words = words](const Peer& peer) {
                                peer.say(words);
                                peer.line(); // waits for the end, as a saslauthd does
                            }};
    const SocketGreeting greeting = listen_to(client.socket, 10s);
    CHECK(greeting.kind == kind);
    CHECK(greeting.trouble.cause == cause);
    CHECK(greeting.mechanisms.size() == (kind == Greeting::dovecot ? 6 : 0));
}

TEST_CASE("nobody's socket is an outage at the first step, in either way", "[dovecot_login]")
{
    Client client;
    CHECK(client.log_in(Mechanism::plain).step == LoginStep::connect);
    CHECK(listen_to(client.socket, 10s).trouble.step == LoginStep::connect);
}

TEST_CASE("a Dovecot-type server that is silent is given up in time, wherever it stops", "[dovecot_login]")
{
    Client client;
    const auto wait = [](const Peer& peer) {
        while (true)
            peer.line();
    };
    SECTION("before its greeting")
    {
        const UniqueFd listener = listen_at(client.socket);
        CHECK(listen_to(client.socket, 20ms).trouble.cause == "no answer within 0 s");
        CHECK(client.log_in(Mechanism::plain, "hush", 20ms).cause == "no answer within 0 s");
    }
    SECTION("behind its greeting")
    {
        const LineServer server{client.socket, [wait](const Peer& peer) {
                                    peer.say(dovecot_greeting);
                                    wait(peer);
                                }};
        CHECK(client.log_in(Mechanism::plain, "hush", 1s).cause == "no answer within 1 s");
    }
    SECTION("behind a challenge")
    {
        const LineServer server{client.socket, [wait](const Peer& peer) {
                                    greet_until_auth(peer);
                                    peer.say("CONT 1 VXNlcm5hbWU6\n");
                                    wait(peer);
                                }};
        CHECK(client.log_in(Mechanism::login, "hush", 1s).cause == "no answer within 1 s");
    }
}

TEST_CASE("a Dovecot-type server that never stops talking is given up in time", "[dovecot_login]")
{
    Client client;
    const std::string before = GENERATE("VERSION 1 2\n"s, dovecot_greeting);
    std::string noise;
    while (noise.size() < 200'000) // faster than anybody can listen to it
        noise += "X\n";
    const LineServer server{client.socket, [&](const Peer& peer) {
                                peer.say(before);
                                while (peer.say(noise))
                                    ;
                            }};
    CHECK(client.log_in(Mechanism::plain, "hush", 200ms).cause == "no answer within 0 s");
}

TEST_CASE("bytes that come one by one gain a Dovecot-type server no time", "[dovecot_login]")
{
    Client client;
    const std::string before = GENERATE("VERSION 1 2\n"s, dovecot_greeting);
    const LineServer server{client.socket, [&](const Peer& peer) {
                                peer.say(before);
                                while (peer.say("\n")) // a whole line, and nothing that is known
                                    ;
                            }};
    CHECK(client.log_in(Mechanism::plain, "hush", 200ms).cause == "no answer within 0 s");
}

TEST_CASE("a login over a Dovecot-type socket leaves no descriptor and no secret behind", "[dovecot_login]")
{
    Client client;
    const LineServer server{client.socket, dovecot_server(Mechanism::scram_sha_256)};
    const std::size_t before = open_descriptors();
    for (const auto* const password : {"hush", "wrong"}) {
        static_cast<void>(client.log_in(Mechanism::scram_sha_256, password));
        static_cast<void>(client.log_in(Mechanism::plain, password));
        static_cast<void>(listen_to(client.socket, 10s));
    }
    CHECK(open_descriptors() == before);
    CHECK(client.secrets.slots_free() == secrets_max);
}

TEST_CASE("a password too long for a line is refused before it is sent", "[dovecot_login]")
{
    Client client;
    const LineServer server{client.socket, dovecot_server(Mechanism::plain)};
    CHECK_THROWS_AS(client.log_in(Mechanism::plain, std::string(13000, 'x')), std::length_error);
}

} // namespace postern
