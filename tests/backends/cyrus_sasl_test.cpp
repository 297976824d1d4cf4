// SPDX-License-Identifier: BSD-2-Clause
//
// Debian's libsasl2 and its own plug-ins on the other side: its server reads what we wrote, its client proves
// to our plug-in what it must.
#include "backends/stores/scram_verifier.hpp"
#include "tests/support/backend_contract.hpp"
#include "tests/support/cyrus_sasl.hpp"
#include "tests/support/sasldb_store.hpp"
#include "tests/support/sasldb_tools.hpp"
#include "tests/support/scram_client.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

const std::string realm = "example.org";

bool cyrus_lets_in(const Store& store, const std::string& password, const std::string& mechanism)
{
    CyrusServer server{store.file};
    CyrusClient client{"alice", password};
    return log_in(client, server, mechanism);
}

/// What became of a login of Cyrus SASL's client at our plug-in.
struct Outcome {
    Verdict verdict = Verdict::unavailable;
    bool is_server_believed = false; ///< what SCRAM proves to the client

    bool operator==(const Outcome&) const = default;
};

constexpr Outcome let_in{Verdict::accepted, true};

/// The messages that a server adds to what the plug-in says.
Outcome log_in_by_scram(CyrusClient& client, LoadedBackend& backend, const std::string& mechanism)
{
    const std::string first = client.start(mechanism).message;
    const std::string bare = first.substr(first.find(",,") + 2);
    const Decision challenge = backend.challenge({"alice", "", realm}, mechanism);
    if (challenge.verdict != Verdict::accepted)
        return {challenge.verdict, false};
    const std::string nonce = attribute(bare, 'r') + "of-the-server";
    const std::string asked = "r=" + nonce + ',' + challenge.reply;
    const std::string final = client.step(asked).message;
    if (final.empty())
        return {Verdict::barred, false}; // by the client
    const std::string unproven = final.substr(0, final.find(",p="));
    const std::string transcript = bare + ',' + asked + ',' + unproven;
    const Decision proven =
        backend.prove({"alice", from_base64(attribute(final, 'p')), realm}, mechanism, transcript);
    CHECK(backend.secrets_held() == 0);
    if (proven.verdict != Verdict::accepted)
        return {proven.verdict, false};
    return {proven.verdict, client.step("v=" + proven.reply).is_done};
}

Outcome log_in_by_cram(CyrusClient& client, LoadedBackend& backend)
{
    const std::string challenge = "<1896.697170952@mail.example.org>";
    static_cast<void>(client.start("CRAM-MD5"));
    const Decision asked = backend.challenge({"alice", "", realm}, "CRAM-MD5");
    if (asked.verdict != Verdict::accepted)
        return {asked.verdict, false};
    const std::string answer = client.step(challenge).message; // "alice DIGEST"
    const Decision proven =
        backend.prove({"alice", answer.substr(answer.find(' ') + 1), realm}, "CRAM-MD5", challenge);
    return {proven.verdict, proven.verdict == Verdict::accepted};
}

Outcome log_in_at_ours(const Store& store, const std::string& password, const std::string& mechanism)
{
    LoadedBackend backend{"sasldb", {{"sasldb_path", store.file}}};
    CyrusClient client{"alice", password};
    return mechanism == "CRAM-MD5" ? log_in_by_cram(client, backend)
                                   : log_in_by_scram(client, backend, mechanism);
}

} // namespace

TEST_CASE("Cyrus SASL's own SCRAM lets in whom we gave a verifier", "[cyrus-sasl]")
{
    Store store;
    store.set_scram("alice", "s3cret p,=ss");
    CHECK(cyrus_lets_in(store, "s3cret p,=ss", "SCRAM-SHA-256"));
    CHECK_FALSE(cyrus_lets_in(store, "s3cret p,=st", "SCRAM-SHA-256"));
    CHECK_FALSE(cyrus_lets_in(store, "", "SCRAM-SHA-256"));
    store.set_scram("alice", "another");
    CHECK_FALSE(cyrus_lets_in(store, "s3cret p,=ss", "SCRAM-SHA-256"));
    CHECK(cyrus_lets_in(store, "another", "SCRAM-SHA-256"));
}

TEST_CASE("of a verifier Cyrus SASL makes nothing but that SCRAM", "[cyrus-sasl]")
{
    Store store;
    store.set_scram("alice", "s3cret");
    CHECK_FALSE(cyrus_lets_in(store, "s3cret", "SCRAM-SHA-1"));
    CHECK_FALSE(cyrus_lets_in(store, "s3cret", "CRAM-MD5"));
    CHECK_FALSE(cyrus_lets_in(store, "s3cret", "PLAIN"));
    store.set("alice", "s3cret");
    for (const std::string mechanism : {"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN"})
        CHECK(cyrus_lets_in(store, "s3cret", mechanism));
}

TEST_CASE("Cyrus SASL's client logs in with a password that saslpasswd2 has set", "[cyrus-sasl]")
{
    Store store;
    saslpasswd2(store.file, "alice", realm, "s3cret");
    const std::string mechanism = GENERATE("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5");
    CHECK(log_in_at_ours(store, "s3cret", mechanism) == let_in);
    CHECK(log_in_at_ours(store, "S3cret", mechanism) == Outcome{Verdict::rejected, false});
}

TEST_CASE("Cyrus SASL's client logs in with a verifier of ours", "[cyrus-sasl]")
{
    Store store;
    store.set_scram("alice", "s3cret");
    CHECK(log_in_at_ours(store, "s3cret", "SCRAM-SHA-256") == let_in);
    CHECK(log_in_at_ours(store, "S3cret", "SCRAM-SHA-256") == Outcome{Verdict::rejected, false});
    CHECK(log_in_at_ours(store, "s3cret", "SCRAM-SHA-1") == Outcome{Verdict::rejected, false});
    CHECK(log_in_at_ours(store, "s3cret", "CRAM-MD5") == Outcome{Verdict::rejected, false});
}

TEST_CASE("a verifier that Cyrus SASL has written serves us", "[cyrus-sasl]")
{
    Store store;
    CyrusServer{store.file, true}.set_password("alice", "s3cret", false);
    REQUIRE(sasldblistusers2(store.file) == std::vector<std::string>{"alice@example.org: authPassword"});
    const auto found = store.reader.credential("alice", realm, store.secrets);
    const auto verifier = ScramVerifier::parse(found->bytes.view());
    REQUIRE(verifier);
    const std::string mechanism =
        verifier->hash() == ScramHash::sha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-1"; // of both it keeps one
    CHECK(log_in_at_ours(store, "s3cret", mechanism) == let_in);
    CHECK(log_in_at_ours(store, "S3cret", mechanism) == Outcome{Verdict::rejected, false});
    CHECK(store.has_verifier_of("alice", "s3cret"));
}

TEST_CASE("a verifier that Cyrus SASL writes counts more than an older hash, and a password more than both",
          "[cyrus-sasl]")
{
    Store store;
    store.set_argon2id("alice", "hashed");
    CyrusServer{store.file, true}.set_password("alice", "verified", false);
    CHECK(store.has_verifier_of("alice", "verified"));
    saslpasswd2(store.file, "alice", realm, "plain");
    CHECK(store.password("alice") == "plain");
    CHECK(cyrus_lets_in(store, "plain", "SCRAM-SHA-256"));
    CHECK_FALSE(cyrus_lets_in(store, "verified", "SCRAM-SHA-256"));
}

TEST_CASE("with letters that SASLprep leaves alone all agree, and with others Cyrus SASL's client does not",
          "[cyrus-sasl]")
{
    Store store;
    store.set_scram("alice", "caf\xc3\xa9");
    CHECK(cyrus_lets_in(store, "caf\xc3\xa9", "SCRAM-SHA-256"));
    CHECK(log_in_at_ours(store, "caf\xc3\xa9", "SCRAM-SHA-256") == let_in);
    store.set_scram("alice", "cafe\xcc\x81"); // the accent follows its letter
    CHECK_FALSE(cyrus_lets_in(store, "cafe\xcc\x81", "SCRAM-SHA-256"));
    CHECK(cyrus_lets_in(store, "caf\xc3\xa9", "SCRAM-SHA-256"));
}

} // namespace postern
