// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/sasldb_reader.hpp"
#include "backends/stores/sasldb_writer.hpp"
#include "tests/support/backend_contract.hpp"
#include "tests/support/sasldb_tools.hpp"
#include "tests/support/temporary_directory.hpp"

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

/// A database that Debian's saslpasswd2 has written.
class SasldbSource : public ContractSource {
public:
    SasldbSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            saslpasswd2(file(), login.user, login.realm, login.password);
    }

    [[nodiscard]] std::string file() const { return directory_.file("sasldb2"); }

    [[nodiscard]] std::string type() const override { return "sasldb"; }

    [[nodiscard]] BackendOptions options() const override { return {{"sasldb_path", file()}}; }

    [[nodiscard]] Login known() const override { return {"alice", "s3cret pass", "example.org"}; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass", "example.org"}; }

    [[nodiscard]] Login eight_bit() const override
    {
        return {"al\xefs\xff", "\xc3\xa9\x80\xff\x01", "m\xfcnchen"};
    }

    [[nodiscard]] Login maximal() const override
    {
        // Debian's saslpasswd2 takes names of 1024 bytes, its password is ours to measure
        return {std::string(1000, 'u'), std::string(1024, 'p'), std::string(1000, 'r')};
    }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::remove(file());
        return known();
    }

private:
    TemporaryDirectory directory_;
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

TEST_CASE("an unknown user costs a hash where known ones do", "[sasldb]")
{
    HashedSasldbSource source;
    LoadedBackend backend{"sasldb", source.options()};
    const auto cost_of = [&](const Login& login, Verdict expected) {
        const auto before = processor_time();
        CHECK(verdict_of(backend, login) == expected);
        return processor_time() - before;
    };
    const auto known = cost_of(with_password(source.known(), "not-it"), Verdict::rejected);
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
