// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/gsasl_peer.hpp"
#include "tests/support/sasl_server.hpp"
#include "tools/sasl_client.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

using namespace postern;
using namespace std::string_literals;
using sasl::Mechanism;
using TakesData = SaslServer::TakesData;

namespace {

constexpr std::size_t slot_bytes = 1024;

/// A client and what it needs.
struct Caller {
    SecretArena arena{slot_bytes, 6};
    Secret password;
    SaslLogin login;
    std::unique_ptr<SaslClient> client;

    explicit Caller(Mechanism mechanism, const std::string& user = "alice",
                    const std::string& with_password = "s3cret", const std::string& nonce = "nonce")
        : password{arena, with_password}
        , login{user, password}
        , client{make_sasl_client(mechanism, login, nonce, arena)}
    {
    }

    /// Nothing: it has nothing to say to that.
    std::optional<std::string> answer(const std::string& challenge)
    {
        const auto response = client->respond(challenge);
        return response ? std::optional{std::string{response->view()}} : std::nullopt;
    }

    std::optional<std::string> first_words()
    {
        const auto response = client->initial_response();
        return response ? std::optional{std::string{response->view()}} : std::nullopt;
    }
};

/// Whether the client believes that it is in.
bool is_let_in(SaslServer& server, Caller& caller, bool with_initial_response)
{
    auto said = server.begin(with_initial_response ? caller.first_words() : std::nullopt);
    while (said) {
        const auto answer = caller.answer(*said);
        if (!answer)
            return false;
        said = server.take(*answer);
    }
    return server.has_accepted() && caller.client->accepts(server.additional_data());
}

/// SCRAM-SHA-1 up to what the server has to prove (RFC 5802, 5).
struct Rfc5802 : Caller {
    Rfc5802() : Caller{Mechanism::scram_sha_1, "user", "pencil", "fyko+d2lbbFgONRv9qkxdawL"}
    {
        CHECK(first_words() == "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL");
        CHECK(answer("r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096") ==
              "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    }
};

} // namespace

TEST_CASE("the client goes as in section 5 of RFC 5802", "[sasl_client]")
{
    Rfc5802 scram;
    CHECK(scram.answer("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == "");
    CHECK(scram.client->accepts(std::nullopt));
}

TEST_CASE("the client goes as in section 3 of RFC 7677", "[sasl_client]")
{
    Caller scram{Mechanism::scram_sha_256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO"};
    CHECK(scram.first_words() == "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    CHECK(scram.answer(
              "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096") ==
          "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
          "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    CHECK(scram.client->accepts("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

TEST_CASE("the client goes as in section 2 of RFC 2195", "[sasl_client]")
{
    Caller cram{Mechanism::cram_md5, "tim", "tanstaaftanstaaf"};
    CHECK(cram.first_words() == std::nullopt);
    CHECK_FALSE(cram.client->accepts(std::nullopt));
    CHECK(cram.answer("<1896.697170952@postoffice.reston.mci.net>") ==
          "tim b913a602c7eda7a495b4e6e7334d3890");
    CHECK(cram.client->accepts(std::nullopt));
    CHECK(cram.answer("<1896.697170952@postoffice.reston.mci.net>") == std::nullopt);
}

TEST_CASE("the client says its password by PLAIN, once", "[sasl_client]")
{
    Caller plain{Mechanism::plain};
    CHECK_FALSE(plain.client->accepts(std::nullopt));
    CHECK(plain.first_words() == "\0alice\0s3cret"s);
    CHECK(plain.client->accepts(std::nullopt));
    CHECK(plain.answer("") == std::nullopt);
    CHECK(Caller{Mechanism::plain}.answer("Password:") == std::nullopt);
}

TEST_CASE("the client answers LOGIN twice, whatever the prompts are", "[sasl_client]")
{
    Caller login{Mechanism::login};
    CHECK(login.first_words() == std::nullopt);
    CHECK(login.answer("User Name") == "alice");
    CHECK_FALSE(login.client->accepts(std::nullopt));
    CHECK(login.answer("") == "s3cret");
    CHECK(login.client->accepts(std::nullopt));
    CHECK(login.answer("Password:") == std::nullopt);
}

TEST_CASE("the client logs in by each mechanism, with every kind of name", "[sasl_client]")
{
    const Mechanism mechanism = GENERATE(from_range(sasl::all_mechanisms));
    const auto takes_data = GENERATE(TakesData::no, TakesData::yes);
    const bool with_initial_response = GENERATE(true, false);
    const std::string user = GENERATE("alice"s, "a,b=c"s, "=2C"s, "a b"s, "j\xc3\xb6hn"s);
    CAPTURE(sasl::mechanism_name(mechanism), user, with_initial_response);

    SaslServer server{mechanism, {user, "s3cret"}, takes_data};
    Caller caller{mechanism, user};
    CHECK(is_let_in(server, caller, with_initial_response));
    CHECK(server.failure().empty());
}

TEST_CASE("the client is not let in with a wrong password", "[sasl_client]")
{
    const Mechanism mechanism = GENERATE(from_range(sasl::all_mechanisms));
    SaslServer server{mechanism, {"alice", "other"}};
    Caller caller{mechanism};
    CHECK_FALSE(is_let_in(server, caller, true));
    CHECK(server.failure().empty());
}

TEST_CASE("libgsasl's server lets the client in by each mechanism", "[sasl_client]")
{
    const Mechanism mechanism = GENERATE(from_range(sasl::all_mechanisms));
    const bool is_right = GENERATE(true, false);
    CAPTURE(sasl::mechanism_name(mechanism), is_right);
    Caller caller{mechanism, "a,b=j\xc3\xb6hn", is_right ? "s3cret" : "S3cret"};
    GsaslPeer server{GsaslPeer::Side::server, mechanism};
    server.set_password("s3cret");

    const auto initial = caller.first_words();
    std::string said = server.step(initial ? *initial : "");
    while (!server.is_content() && !server.is_angry()) {
        const auto answer = caller.answer(said);
        REQUIRE(answer);
        said = server.step(*answer);
    }
    CHECK(server.is_content() == is_right);
    if (is_right) {
        CHECK(server.get(GSASL_AUTHID) == "a,b=j\xc3\xb6hn");
        CHECK(caller.client->accepts(said.empty() ? std::nullopt : std::optional<std::string_view>{said}));
    }
}

TEST_CASE("the client believes no server that does not prove that it knows the user", "[sasl_client]")
{
    CHECK_FALSE(Rfc5802{}.client->accepts(std::nullopt));
    for (const auto* data :
         {"", "v=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ", "v=rmF9pqV8S7suAoZWja4dJRkFsKU=",
          "v=rmF9pqV8S7suAoZWja4dJRkFsA==", "e=other-error", "x=1,v=rmF9pqV8S7suAoZWja4dJRkFsKQ="}) {
        CAPTURE(data);
        CHECK_FALSE(Rfc5802{}.client->accepts(data));
        Rfc5802 scram;
        CHECK(scram.answer(data) == std::nullopt);
        CHECK_FALSE(scram.client->accepts(std::nullopt));
        CHECK_FALSE(scram.client->accepts("v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
    }
    Caller early{Mechanism::scram_sha_1};
    CHECK(early.first_words());
    CHECK_FALSE(early.client->accepts(std::nullopt));
}

TEST_CASE("the client proves nothing to a SCRAM server that makes no sense", "[sasl_client]")
{
    const auto server_first =
        GENERATE(""s, "s=QSXC,i=4096"s, "r=nonce,s=QSXC,i=4096"s, "r=nonc,s=QSXC,i=4096"s,
                 "r=Nonceserver,s=QSXC,i=4096"s, "r=servernonce,s=QSXC,i=4096"s, "r=nonceserver"s,
                 "r=nonceserver,i=4096"s, "r=nonceserver,s=QSXC"s, "r=nonceserver,s=,i=4096"s,
                 "r=nonceserver,s=QSX,i=4096"s, "r=nonceserver,s=QSXC,i=0"s, "r=nonceserver,s=QSXC,i=-1"s,
                 "r=nonceserver,s=QSXC,i="s, "r=nonceserver,s=QSXC,i=1x"s, "r=nonceserver,s=QSXC,i=1000001"s,
                 "r=nonceserver,s=QSXC,i=99999999999999999999"s, "m=1,r=nonceserver,s=QSXC,i=4096"s,
                 "e=unknown-user"s);
    CAPTURE(server_first);
    Caller scram{Mechanism::scram_sha_256};
    CHECK(scram.first_words());
    CHECK(scram.answer(server_first) == std::nullopt);
    CHECK_FALSE(scram.client->accepts(std::nullopt));
}

TEST_CASE("the client answers no SCRAM server that asks for less work than RFC 7677 does, or for too much",
          "[sasl_client]")
{
    const Mechanism mechanism = GENERATE(Mechanism::scram_sha_1, Mechanism::scram_sha_256);
    const auto [count, complaint] = GENERATE(table<std::string, std::string>({
        {"0", "it asks for 0 rounds of PBKDF2, and 4096 are the fewest (RFC 7677)"},
        {"1", "it asks for 1 rounds of PBKDF2, and 4096 are the fewest (RFC 7677)"},
        {"4095", "it asks for 4095 rounds of PBKDF2, and 4096 are the fewest (RFC 7677)"},
        {"4096", ""},
        {"1000000", ""},
        {"1000001", "it asks for 1000001 rounds of PBKDF2, and 1000000 are the most that are made"},
        {"4294967295", "it asks for 4294967295 rounds of PBKDF2, and 1000000 are the most that are made"},
        {"-4096", "makes no sense"},
    }));
    CAPTURE(count);
    Caller scram{mechanism};
    CHECK(scram.first_words());
    CHECK(scram.answer("r=nonceserver,s=QSXC,i=" + count).has_value() == complaint.empty());
    CHECK(scram.client->complaint() == (complaint == "makes no sense" ? "" : complaint));
}

TEST_CASE("a response that is longer than a slot is never sent in part", "[sasl_client]")
{
    const std::string name(slot_bytes - 8, 'x'); // and two NULs and a password of six bytes
    CHECK(Caller{Mechanism::plain, name}.first_words());
    CHECK_THROWS_AS(Caller(Mechanism::plain, name + 'x').first_words(), std::length_error);
}
