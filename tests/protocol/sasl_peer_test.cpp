// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/gsasl_peer.hpp"
#include "tests/support/sasl_server.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using sasl::Mechanism;
using TakesData = SaslServer::TakesData;

namespace {

const SaslServer::Account alice{"alice", "s3cret"};

GsaslPeer& logging_in(GsaslPeer& client, const SaslServer::Account& login)
{
    return client.set(GSASL_AUTHID, login.user).set_password(login.password);
}

bool client_may_speak_first(Mechanism mechanism)
{
    return mechanism != Mechanism::cram_md5;
}

/// Until one of both has nothing more to say.
void talk(SaslServer& server, GsaslPeer& client, bool client_speaks_first)
{
    auto said = client_speaks_first ? server.begin(client.step("")) : server.begin(std::nullopt);
    while (said && !client.is_angry())
        said = server.take(client.step(*said));
    if (server.additional_data())
        client.step(*server.additional_data());
}

} // namespace

TEST_CASE("libgsasl's client logs in by each mechanism, whoever speaks first", "[sasl][peer]")
{
    const auto [mechanism, client_speaks_first] = GENERATE(table<Mechanism, bool>({
        {Mechanism::plain, true},
        {Mechanism::plain, false},
        {Mechanism::login, true},
        {Mechanism::login, false},
        {Mechanism::cram_md5, false},
        {Mechanism::scram_sha_1, true},
        {Mechanism::scram_sha_1, false},
        {Mechanism::scram_sha_256, true},
        {Mechanism::scram_sha_256, false},
    }));
    CAPTURE(sasl::mechanism_name(mechanism), client_speaks_first);

    SaslServer server{mechanism, alice};
    GsaslPeer client{GsaslPeer::Side::client, mechanism};
    talk(server, logging_in(client, alice), client_speaks_first);
    CHECK(server.failure().empty());
    CHECK(server.has_accepted());
    CHECK(client.is_content());
}

TEST_CASE("libgsasl's client believes the server's signature beside its OK", "[sasl][peer]")
{
    const Mechanism mechanism = GENERATE(Mechanism::scram_sha_1, Mechanism::scram_sha_256);
    SaslServer server{mechanism, alice, TakesData::yes};
    GsaslPeer client{GsaslPeer::Side::client, mechanism};
    talk(server, logging_in(client, alice), true);
    CHECK(server.has_accepted());
    CHECK(server.additional_data());
    CHECK(client.is_content());
}

TEST_CASE("libgsasl's client with a wrong password or name is not let in", "[sasl][peer]")
{
    const Mechanism mechanism = GENERATE(from_range(sasl::all_mechanisms));
    const SaslServer::Account login =
        GENERATE(SaslServer::Account{"alice", "S3cret"}, SaslServer::Account{"alice", "s3cret "},
                 SaslServer::Account{"alicf", "s3cret"});
    CAPTURE(sasl::mechanism_name(mechanism), login.user, login.password);

    SaslServer server{mechanism, alice};
    GsaslPeer client{GsaslPeer::Side::client, mechanism};
    talk(server, logging_in(client, login), client_may_speak_first(mechanism));
    CHECK(server.failure().empty());
    CHECK_FALSE(server.has_accepted());
    CHECK_FALSE(server.additional_data());
}

TEST_CASE("libgsasl's client logs in with every kind of name and password", "[sasl][peer]")
{
    const Mechanism mechanism = GENERATE(from_range(sasl::all_mechanisms));
    const SaslServer::Account login =
        GENERATE(SaslServer::Account{"a,b", "p,q"}, SaslServer::Account{"a=b", "p=q"},
                 SaslServer::Account{"=2C,=3D=", "=2C"}, SaslServer::Account{"a b", "p q"},
                 SaslServer::Account{"j\xc3\xb6hn@b\xc3\xbc"
                                     "cher.example",
                                     "p\xc3\xa4ss"},
                 SaslServer::Account{"\xe5\xb1\xb1\xe7\x94\xb0", "\xe7\xa7\x98\xe5\xaf\x86"});
    CAPTURE(sasl::mechanism_name(mechanism), login.user, login.password);

    SaslServer server{mechanism, login};
    GsaslPeer client{GsaslPeer::Side::client, mechanism};
    talk(server, logging_in(client, login), client_may_speak_first(mechanism));
    CHECK(server.failure().empty());
    CHECK(server.has_accepted());
    CHECK(client.is_content());
}

TEST_CASE("libgsasl's client acts for itself and for nobody else", "[sasl][peer]")
{
    const Mechanism mechanism = GENERATE(Mechanism::plain, Mechanism::scram_sha_1, Mechanism::scram_sha_256);
    const auto [authzid, is_allowed] =
        GENERATE(table<std::string, bool>({{"a=l,ice", true}, {"root", false}}));
    const SaslServer::Account account{"a=l,ice", "s3cret"};
    CAPTURE(sasl::mechanism_name(mechanism), authzid);

    SaslServer server{mechanism, account};
    GsaslPeer client{GsaslPeer::Side::client, mechanism};
    talk(server, logging_in(client, account).set(GSASL_AUTHZID, authzid), true);
    CHECK(server.has_accepted() == is_allowed);
    CHECK(server.failure() == (is_allowed ? "" : "the client wants to act for somebody else"));
}
