// SPDX-License-Identifier: BSD-2-Clause
//
// What holds for a reader of a sasldb, of whichever kind its file is.
#include "tests/support/sasldb_files.hpp"

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <random>

namespace postern {

namespace {

/// One to eight bytes of a page are others, every second time among its first 64, where its header is.
std::string damaged(std::string file, std::mt19937& random, int round)
{
    const std::size_t page = random() % (file.size() / 4096) * 4096;
    for (auto bytes = 1 + random() % 8; bytes > 0; --bytes)
        file[page + random() % (round % 2 == 0 ? 64 : 4096)] = static_cast<char>(random());
    return file;
}

} // namespace

TEMPLATE_TEST_CASE("a damaged database neither crashes nor lets in nor prints", "[sasldb-file]",
                   BerkeleyStore, LmdbStore)
{
    const ProgramRun run = run_child("", [] {
        TestType store;
        store.fill();
        const std::string whole = read_file(store.file);
        std::mt19937 random{20210907};
        int errors = 0;
        for (int round = 0; round < TestType::damages; ++round) {
            write_file(store.file, damaged(whole, random, round));
            try {
                if (const auto found = store.password("alice"); found && *found != "s3cret")
                    return 1;
                static_cast<void>(store.password("nobody"));
                static_cast<void>(store.password("user99"));
            } catch (const SasldbError&) {
                ++errors;
            }
        }
        return errors > TestType::errors_min ? 0 : 2;
    });
    CHECK(run.status == 0);
    CHECK(run.output.empty());
    CHECK(run.errors.empty());
}

TEMPLATE_TEST_CASE("a value longer than a password may be is an error, not a shorter password",
                   "[sasldb-file]", BerkeleyStore, LmdbStore)
{
    TestType store;
    store.load("bob", std::string(1024, 'p'));
    store.load("mallory", std::string(1025, 'p'));
    store.load("trudy", std::string(9000, 'p'));
    CHECK(store.password("bob") == std::string(1024, 'p'));
    CHECK_THROWS_AS(store.password("mallory"), SasldbError);
    CHECK_THROWS_AS(store.password("trudy"), SasldbError);
    SecretArena small{512, 1};
    CHECK_THROWS_AS(store.reader.credential("bob", "example.org", small), SasldbError);
    CHECK(small.slots_free() == 1);
}

TEMPLATE_TEST_CASE("a reader beside a writer gets the old password or the new one, never an error",
                   "[sasldb-file]", BerkeleyStore, LmdbStore)
{
    TestType store;
    store.set("alice", "0");
    const pid_t writer = check(::fork(), "fork");
    if (writer == 0) {
        SecretArena secrets{2048, 1};
        for (int i = 1; i <= 100; ++i)
            set_sasldb_password(store.file, "alice", "example.org", Secret{secrets, std::to_string(i)});
        ::_exit(0);
    }
    int last = 0;
    while (::waitpid(writer, nullptr, WNOHANG) == 0) {
        const auto password = store.password("alice");
        REQUIRE(password);
        CHECK(std::stoi(*password) >= last);
        last = std::stoi(*password);
    }
    CHECK(store.password("alice") == "100");
}

} // namespace postern
