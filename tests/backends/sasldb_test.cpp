// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"
#include "backends/stores/sasldb_reader.hpp"
#include "backends/stores/sasldb_writer.hpp"
#include "protocol/scram_challenge.hpp"
#include "tests/support/backend_contract.hpp"
#include "tests/support/sasldb_tools.hpp"
#include "tests/support/scram_client.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sodium.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace postern {

namespace {

std::string host_name()
{
    std::array<char, 256> name{};
    check(::gethostname(name.data(), name.size()), "gethostname");
    return name.data();
}

/// A database with such users, whatever has made its file.
class UsersInFile : public ContractSource {
public:
    [[nodiscard]] std::string file() const { return directory_.file("sasldb2"); }

    [[nodiscard]] std::string type() const override { return "sasldb"; }

    [[nodiscard]] BackendOptions options() const override { return {{"sasldb_path", file()}}; }

    [[nodiscard]] Login known() const override { return {"alice", "s3cret pass", "example.org"}; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass", "example.org"}; }

    [[nodiscard]] Login eight_bit() const override
    {
        return {"al\xefs\xff", "\xc3\xa9\x80\xff\x01", "m\xfcnchen"};
    }

private:
    TemporaryDirectory directory_;
};

/// One that Debian's saslpasswd2 has written.
class SasldbSource : public UsersInFile {
public:
    SasldbSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            saslpasswd2(file(), login.user, login.realm, login.password);
    }

    [[nodiscard]] Login maximal() const override
    {
        // Debian's saslpasswd2 takes names of 1024 bytes, its password is ours to measure
        return {std::string(1000, 'u'), std::string(1024, 'p'), std::string(1000, 'r')};
    }

    [[nodiscard]] std::optional<Login> without_password() override
    {
        db_load_entry(file(), "nopass\\00example.org\\00userPassword", "");
        return Login{"nopass", "", "example.org"};
    }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::remove(file());
        return known();
    }
};

/// The same users, with hashes in place of their passwords.
class HashedSasldbSource final : public SasldbSource {
public:
    HashedSasldbSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            set_sasldb_argon2id(file(), login.user, login.realm, Secret{secrets_, login.password});
    }

    [[nodiscard]] std::string hash_of(const Login& login)
    {
        return std::string{SasldbReader{file()}.credential(login.user, login.realm, secrets_)->bytes.view()};
    }

private:
    SecretArena secrets_{field_bytes_max, 2};
};

/// The same users, with verifiers in place of their passwords.
class ScramSasldbSource final : public SasldbSource {
public:
    ScramSasldbSource()
    {
        SecretArena secrets{field_bytes_max, 1};
        for (const Login& login : {known(), eight_bit(), maximal()})
            set_sasldb_scram(file(), login.user, login.realm, Secret{secrets, login.password});
    }
};

/// One in an LMDB file, whose names are shorter.
class LmdbSource final : public UsersInFile {
public:
    LmdbSource()
    {
        mdb_load_entry(file(), "somebody\\00example.org\\00userPassword", "else");
        SecretArena secrets{field_bytes_max, 1};
        for (const Login& login : {known(), eight_bit(), maximal()})
            set_sasldb_password(file(), login.user, login.realm, Secret{secrets, login.password});
    }

    [[nodiscard]] Login maximal() const override
    {
        return {std::string(240, 'u'), std::string(1024, 'p'), std::string(240, 'r')};
    }

    [[nodiscard]] std::optional<Login> without_password() override
    {
        mdb_load_entry(file(), "nopass\\00example.org\\00userPassword", "");
        return Login{"nopass", "", "example.org"};
    }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::resize_file(file(), 4096);
        return known();
    }
};

enum class Kept : std::uint8_t { plain, scram, argon2id, in_lmdb };

std::unique_ptr<ContractSource> make_source(Kept kept)
{
    switch (kept) {
    case Kept::plain: return std::make_unique<SasldbSource>();
    case Kept::scram: return std::make_unique<ScramSasldbSource>();
    case Kept::argon2id: return std::make_unique<HashedSasldbSource>();
    case Kept::in_lmdb: return std::make_unique<LmdbSource>();
    }
    return nullptr;
}

const std::vector<std::string> all_mechanisms{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"};

/// What a client proves by, for whatever it was challenged with, and what it proves then.
std::string proof_by(const std::string& mechanism, const std::string& password, const std::string& challenge,
                     const std::string& transcript)
{
    if (mechanism != "CRAM-MD5")
        return client_proof(mechanism == "SCRAM-SHA-256", password, challenge, transcript);
    std::array<unsigned char, 16> digest{};
    HMAC(EVP_md5(), password.data(), static_cast<int>(password.size()),
         reinterpret_cast<const unsigned char*>(transcript.data()), transcript.size(), digest.data(),
         nullptr);
    std::array<char, 33> text{};
    return sodium_bin2hex(text.data(), text.size(), digest.data(), digest.size());
}

/// How far a login by that mechanism comes: as far as the challenge, or the proof.
Verdict verdict_by(const std::string& mechanism, LoadedBackend& backend, const Login& login)
{
    const std::string transcript = "n=alice,r=abc,r=abcdef,…,c=biws,r=abcdef";
    const Decision challenge = backend.challenge(login, mechanism);
    CHECK(challenge.reply.size() <= decision_reply_bytes_max);
    if (challenge.verdict != Verdict::accepted) {
        CHECK(challenge.reply.empty());
        return challenge.verdict;
    }
    const std::string proof = proof_by(mechanism, login.password, challenge.reply, transcript);
    const Decision proven = backend.prove(with_password(login, proof), mechanism, transcript);
    CHECK(proven.reply.empty() == (proven.verdict != Verdict::accepted || mechanism == "CRAM-MD5"));
    CHECK(proven.reason.find(login.password) == std::string::npos);
    CHECK(backend.secrets_held() == 0);
    return proven.verdict;
}

std::chrono::nanoseconds processor_time()
{
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec};
}

} // namespace

TEST_CASE("sasldb keeps the backend contract", "[sasldb]")
{
    SasldbSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("sasldb keeps the backend contract with hashes", "[sasldb]")
{
    HashedSasldbSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("sasldb keeps the backend contract with verifiers", "[sasldb]")
{
    ScramSasldbSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("sasldb keeps the backend contract with an LMDB file", "[sasldb]")
{
    LmdbSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("a password as it is serves every mechanism, a verifier its own, a hash none", "[sasldb]")
{
    const auto [kept, mechanism, serves] = GENERATE(table<Kept, std::string, bool>({
        {Kept::plain, "SCRAM-SHA-256", true},
        {Kept::plain, "SCRAM-SHA-1", true},
        {Kept::plain, "CRAM-MD5", true},
        {Kept::in_lmdb, "SCRAM-SHA-256", true},
        {Kept::scram, "SCRAM-SHA-256", true},
        {Kept::scram, "SCRAM-SHA-1", false},
        {Kept::scram, "CRAM-MD5", false},
        {Kept::argon2id, "SCRAM-SHA-256", false},
        {Kept::argon2id, "SCRAM-SHA-1", false},
        {Kept::argon2id, "CRAM-MD5", false},
        {Kept::plain, "SCRAM-SHA-512", false},
        {Kept::plain, "PLAIN", false},
    }));
    const auto source = make_source(kept);
    CAPTURE(mechanism, serves);
    LoadedBackend backend{"sasldb", source->options()};
    for (const Login& login : {source->known(), source->eight_bit(), source->maximal()}) {
        CHECK(verdict_by(mechanism, backend, login) == (serves ? Verdict::accepted : Verdict::rejected));
        if (serves)
            CHECK(verdict_by(mechanism, backend, with_password(login, "not-it")) == Verdict::rejected);
        else
            CHECK(backend.prove(with_password(login, "x"), mechanism, "x").reason ==
                  "the form in which the password is stored does not serve " + mechanism);
    }
}

TEST_CASE("the mechanisms of sasldb's row are those that it serves", "[sasldb]")
{
    const auto mechanisms = find_backend_type("sasldb")->mechanisms;
    CHECK(std::vector<std::string>{mechanisms.begin(), mechanisms.end()} == all_mechanisms);
}

TEST_CASE("nobody proves anything for an unknown user, or without a name, a proof or a transcript",
          "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const std::string mechanism = GENERATE("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5");
    const Login alice = source.known();
    CHECK(verdict_by(mechanism, backend, source.unknown()) == Verdict::unknown_user);
    CHECK(backend.prove(with_password(source.unknown(), "x"), mechanism, "x").verdict ==
          Verdict::unknown_user);
    CHECK(verdict_by(mechanism, backend, with_user(alice, "")) == Verdict::rejected);
    CHECK(backend.prove(with_user(alice, ""), mechanism, "x").verdict == Verdict::rejected);
    CHECK(backend.prove(with_password(alice, ""), mechanism, "x").verdict == Verdict::rejected);
    const std::string about_nothing =
        proof_by(mechanism, alice.password, backend.challenge(alice, mechanism).reply, "");
    CHECK(backend.prove(with_password(alice, about_nothing), mechanism, "").verdict == Verdict::rejected);
}

TEST_CASE("a stored password of no bytes is proven by nobody", "[sasldb]")
{
    SasldbSource source;
    const Login nobodys = source.without_password().value();
    saslpasswd2(source.file(), nobodys.user, nobodys.realm, "for the challenge");
    LoadedBackend backend{"sasldb", source.options()};
    const std::string mechanism = GENERATE("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5");
    const std::string challenge = backend.challenge(nobodys, mechanism).reply; // whatever the password is
    static_cast<void>(source.without_password());
    const std::string proof = proof_by(mechanism, "", challenge, "this");
    CHECK(backend.prove(with_password(nobodys, proof), mechanism, "this").verdict == Verdict::rejected);
}

TEST_CASE("a proof is good for its user, its mechanism and its transcript alone", "[sasldb]")
{
    SasldbSource source;
    const Login alice = source.known();
    saslpasswd2(source.file(), "bob", alice.realm, alice.password);
    LoadedBackend backend{"sasldb", source.options()};
    const auto prove = [&](const std::string& user, const std::string& mechanism,
                           const std::string& transcript) {
        backend.salt = std::string(scram_salt_bytes, 'a');
        const std::string proof = proof_by("SCRAM-SHA-256", alice.password,
                                           backend.challenge(alice, "SCRAM-SHA-256").reply, "this");
        backend.salt = std::string(scram_salt_bytes, user.front()); // as the front gives each user his own
        return backend.prove(with_password(with_user(alice, user), proof), mechanism, transcript).verdict;
    };
    CHECK(prove("alice", "SCRAM-SHA-256", "this") == Verdict::accepted);
    CHECK(prove("alice", "SCRAM-SHA-256", "that") == Verdict::rejected);
    CHECK(prove("bob", "SCRAM-SHA-256", "this") == Verdict::rejected);
    CHECK(prove("alice", "SCRAM-SHA-1", "this") == Verdict::rejected);
    CHECK(prove("alice", "CRAM-MD5", "this") == Verdict::rejected);
}

TEST_CASE("the challenge of a password as it is has the salt of the question, and tells no password",
          "[sasldb]")
{
    SasldbSource source;
    const Login alice = source.known();
    const std::string mechanism = GENERATE("SCRAM-SHA-256", "SCRAM-SHA-1");
    const auto challenge_with = [&](const std::string& salt) {
        LoadedBackend backend{"sasldb", source.options()};
        backend.salt = salt;
        return backend.challenge(alice, mechanism).reply;
    };
    const std::string salt(scram_salt_bytes, '\xfe');
    const std::string first = challenge_with(salt);
    CHECK(from_base64(attribute(first, 's')) == salt);
    CHECK(attribute(first, 'i') == std::to_string(scram_iterations));
    saslpasswd2(source.file(), alice.user, alice.realm, "another");
    CHECK(challenge_with(salt) == first); // else it could be guessed from
}

TEST_CASE("a verifier has a salt of its own, whatever that of the question is", "[sasldb]")
{
    ScramSasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const std::string first = backend.challenge(source.known(), "SCRAM-SHA-256").reply;
    backend.salt = std::string(scram_salt_bytes, 'x');
    CHECK(backend.challenge(source.known(), "SCRAM-SHA-256").reply == first);
}

TEST_CASE("a password as it is and no salt for it is an outage, and no challenge with a salt of nothing",
          "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    backend.salt.clear();
    CHECK_THROWS_AS(backend.challenge(source.known(), "SCRAM-SHA-256"), BackendError);
    CHECK_THROWS_AS(backend.prove(with_password(source.known(), "x"), "SCRAM-SHA-256", "x"), BackendError);
    CHECK(verdict_by("CRAM-MD5", backend, source.known()) == Verdict::accepted);
}

TEST_CASE("a verifier that is none lets nobody in, not even by an older hash", "[sasldb]")
{
    HashedSasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const Login alice = source.known();
    db_load_entry(source.file(), "alice\\00example.org\\00authPassword", "SCRAM-SHA-256$what is this");
    CHECK(verdict_of(backend, alice) == Verdict::rejected);
    CHECK(verdict_of(backend, with_password(alice, "SCRAM-SHA-256$what is this")) == Verdict::rejected);
    for (const std::string& mechanism : all_mechanisms)
        CHECK(verdict_by(mechanism, backend, alice) == Verdict::rejected);
}

TEST_CASE("a source that is down is an outage for challenges and proofs too", "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const Login alice = source.break_down();
    for (const std::string& mechanism : all_mechanisms) {
        CHECK_THROWS_AS(backend.challenge(alice, mechanism), BackendError);
        CHECK_THROWS_AS(backend.prove(alice, mechanism, "x"), BackendError);
    }
    CHECK(backend.secrets_held() == 0);
}

TEST_CASE("a challenge and a proof without a realm are of the host's name", "[sasldb]")
{
    SasldbSource source;
    saslpasswd2(source.file(), "bob", "", "bobs");
    LoadedBackend backend{"sasldb", source.options()};
    for (const std::string& mechanism : all_mechanisms)
        CHECK(verdict_by(mechanism, backend, {"bob", "bobs"}) == Verdict::accepted);
    CHECK(backend.challenge({"bob", ""}, "SCRAM-SHA-256").reply ==
          backend.challenge({"bob", "", host_name()}, "SCRAM-SHA-256").reply);
}

TEST_CASE("the password that saslpasswd2 sets is right, and that of an older hash no more", "[sasldb]")
{
    HashedSasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const Login alice = source.known();
    saslpasswd2(source.file(), alice.user, alice.realm, "newer");
    CHECK(verdict_of(backend, with_password(alice, "newer")) == Verdict::accepted);
    CHECK(verdict_of(backend, alice) == Verdict::rejected);
}

TEST_CASE("a hash itself is not the password", "[sasldb]")
{
    HashedSasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const Login alice = source.known();
    CHECK(verdict_of(backend, with_password(alice, source.hash_of(alice))) == Verdict::rejected);
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
}

TEST_CASE("an unknown user costs a hash, or a verifier, where known ones do", "[sasldb]")
{
    const auto source = make_source(GENERATE(Kept::scram, Kept::argon2id));
    LoadedBackend backend{"sasldb", source->options()};
    const auto cost_of = [&](const Login& login, Verdict expected) {
        const auto before = processor_time();
        CHECK(verdict_of(backend, login) == expected);
        return processor_time() - before;
    };
    const auto known = cost_of(with_password(source->known(), "not-it"), Verdict::rejected);
    CHECK(cost_of(source->unknown(), Verdict::unknown_user) > known / 4);
}

TEST_CASE("a proof for an unknown user costs what one for a known user does", "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const auto cost_of = [&](const Login& login, Verdict expected) {
        const auto before = processor_time();
        CHECK(backend.prove(login, "SCRAM-SHA-256", "x").verdict == expected);
        return processor_time() - before;
    };
    static_cast<void>(cost_of(source.known(), Verdict::rejected)); // what is done once: the file is opened
    const auto known = cost_of(source.known(), Verdict::rejected);
    CHECK(cost_of(source.unknown(), Verdict::unknown_user) > known / 4);
}

TEST_CASE("an empty realm is the host's name", "[sasldb]")
{
    SasldbSource source;
    saslpasswd2(source.file(), "bob", "", "bobs");
    LoadedBackend backend{"sasldb", source.options()};
    CHECK(verdict_of(backend, {"bob", "bobs"}) == Verdict::accepted);
    CHECK(verdict_of(backend, {"bob", "bobs", host_name()}) == Verdict::accepted);
    CHECK(verdict_of(backend, {"alice", "s3cret pass"}) == Verdict::unknown_user);
}

TEST_CASE("names are compared byte for byte, and a user with an @ is not taken apart", "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const auto [user, realm] = GENERATE(table<std::string, std::string>({
        {"Alice", "example.org"},
        {"alice", "Example.org"},
        {"alice", "example.org."},
        {"alice ", "example.org"},
        {"alic", "eexample.org"},
        {"alice@example.org", ""},
        {"alice@example.org", "example.org"},
        {std::string{"alice\0example.org", 17}, ""},
    }));
    CHECK(verdict_of(backend, {user, "s3cret pass", realm}) == Verdict::unknown_user);
}

TEST_CASE("an outage names the file and the cause", "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const std::string text = outage_of(backend, source.break_down());
    CHECK(text == source.file() + ": cannot be opened: No such file or directory");
}

TEST_CASE("a source that comes back serves without a restart", "[sasldb]")
{
    SasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    std::filesystem::rename(source.file(), source.file() + ".away");
    outage_of(backend, source.known());
    std::ofstream{source.file()} << "this is no database";
    outage_of(backend, source.known());
    std::filesystem::rename(source.file() + ".away", source.file());
    CHECK(verdict_of(backend, source.known()) == Verdict::accepted);
}

TEST_CASE("sasldb wants to know which file", "[sasldb]")
{
    CHECK_THROWS_AS((LoadedBackend{"sasldb", {{"sasldb_path", ""}}}), BackendError);
    CHECK_THROWS_AS((LoadedBackend{"sasldb", {}}), BackendError);
}

} // namespace postern
