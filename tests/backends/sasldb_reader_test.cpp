// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sasldb_files.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// For a clock that files are older than.
std::chrono::system_clock::time_point long_after()
{
    return std::chrono::system_clock::now() + 1h;
}

} // namespace

TEST_CASE("what saslpasswd2 writes is read", "[sasldb-reader]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "s3cret");
    saslpasswd2(store.file, "bob", "",
                "b\xf6"
                "b \xff");
    CHECK(store.password("alice") == "s3cret");
    CHECK(store.password("bob", sasldb_default_realm()) == "b\xf6"
                                                           "b \xff");
    CHECK(store.password("bob") == std::nullopt);
}

TEST_CASE("a change is seen by the next look-up", "[sasldb-reader]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "before");
    CHECK(store.password("alice") == "before");

    SECTION("made in place by saslpasswd2")
    {
        for (const std::string password : {"second", "third!", "fourth"}) {
            saslpasswd2(store.file, "alice", "example.org", password);
            CHECK(store.password("alice") == password);
        }
    }
    SECTION("made in place by saslpasswd2, which adds many")
    {
        for (int i = 0; i < 100; ++i) {
            const std::string user = "user" + std::to_string(i);
            saslpasswd2(store.file, user, "example.org", "secret");
            CHECK(store.password(user) == "secret");
        }
    }
    SECTION("made by our writer")
    {
        for (const std::string password : {"second", "third!", "fourth"}) {
            store.set("alice", password);
            CHECK(store.password("alice") == password);
        }
    }
    SECTION("by another file in its place")
    {
        saslpasswd2(store.file + ".new", "alice", "example.org", "after!");
        fs::rename(store.file + ".new", store.file);
        CHECK(store.password("alice") == "after!");
    }
    SECTION("by another file in its place, with the old one's times and size")
    {
        saslpasswd2(store.file + ".new", "alice", "example.org", "after!");
        fs::last_write_time(store.file + ".new", fs::last_write_time(store.file));
        fs::rename(store.file + ".new", store.file);
        CHECK(store.password("alice") == "after!");
    }
    SECTION("by removal")
    {
        fs::remove(store.file);
        CHECK_THROWS_AS(store.password("alice"), SasldbError);
    }
    SECTION("by damage")
    {
        write_file(store.file, "nothing of it is left");
        CHECK_THROWS_AS(store.password("alice"), SasldbError);
    }
}

TEST_CASE("a file that has settled is opened once, one just changed each time", "[sasldb-reader]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "s3cret");
    SasldbReader settled{store.file, long_after};
    SasldbReader racy{store.file, [&] {
                          return std::chrono::system_clock::time_point{
                              std::chrono::seconds{status_of(store.file).st_ctim.tv_sec + 1}};
                      }};
    for (std::size_t i = 1; i <= 5; ++i) {
        CHECK(settled.credential("alice", "example.org", store.secrets)->bytes.view() == "s3cret");
        CHECK(settled.times_opened() == 1);
        CHECK(racy.credential("alice", "example.org", store.secrets)->bytes.view() == "s3cret");
        CHECK(racy.times_opened() == i);
    }
    fs::permissions(store.file, fs::perms{0600}); // changes no byte, but who knows
    CHECK(settled.credential("alice", "example.org", store.secrets)->bytes.view() == "s3cret");
    CHECK(settled.times_opened() == 2);
}

TEST_CASE("a file from before somebody set the clock back is still read afresh", "[sasldb-reader]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "s3cret");
    SasldbReader reader{store.file, [] { return std::chrono::system_clock::now() - 1h; }};
    CHECK(reader.credential("alice", "example.org", store.secrets)->bytes.view() == "s3cret");
    saslpasswd2(store.file, "alice", "example.org", "after!");
    CHECK(reader.credential("alice", "example.org", store.secrets)->bytes.view() == "after!");
}

TEST_CASE("a file that cannot be asked is named with what is wrong", "[sasldb-reader]")
{
    Store store;
    const auto problem = [&store] {
        return problem_of([&store] { static_cast<void>(store.password("alice")); });
    };
    SECTION("missing")
    {
        CHECK(problem() == store.file + ": cannot be opened: No such file or directory");
    }
    SECTION("empty")
    {
        write_file(store.file, "");
        CHECK(problem() == store.file + ": is empty");
    }
    SECTION("a text")
    {
        write_file(store.file, "alice:s3cret\nand enough bytes for a page to be read from it");
        CHECK(problem() == store.file + ": is neither a Berkeley DB hash file nor an LMDB file");
    }
    SECTION("a directory")
    {
        fs::create_directory(store.file);
        CHECK(problem() == store.file + ": is not a regular file");
    }
    SECTION("a pipe, which would make us wait")
    {
        check(::mkfifo(store.file.c_str(), 0600), "mkfifo");
        CHECK(problem() == store.file + ": is not a regular file");
    }
    SECTION("unreadable")
    {
        saslpasswd2(store.file, "alice", "example.org", "s3cret");
        fs::permissions(store.directory.path(), fs::perms{0711});
        fs::permissions(store.file, fs::perms{0});
        CHECK(as_nobody([&] {
                  return problem() == store.file + ": cannot be opened: Permission denied" ? 0 : 1;
              }) == 0);
    }
}

TEST_CASE("a database cut short anywhere is an error", "[sasldb-reader]")
{
    BerkeleyStore store;
    store.fill();
    const std::string whole = read_file(store.file);
    for (std::size_t size = 0; size < whole.size(); size += size < 600 ? 37 : 1531) {
        CAPTURE(size);
        write_file(store.file, std::string_view{whole}.substr(0, size));
        CHECK_THROWS_AS(store.password("user1"), SasldbError);
        CHECK_THROWS_AS(store.set("user1", "changed"), SasldbError);
        CHECK(fs::file_size(store.file) == size);
    }
    CHECK(store.files() == 1);
}

TEST_CASE("of several properties the password counts, then the verifier, then the hash", "[sasldb-reader]")
{
    using Form = SasldbCredential::Form;
    Store store;
    const auto counts = [&store] {
        return store.reader.credential("alice", "example.org", store.secrets)->form;
    };
    db_load_entry(store.file, "alice\\00example.org\\00posternArgon2id", "$argon2id$");
    CHECK(counts() == Form::argon2id);
    db_load_entry(store.file, "alice\\00example.org\\00authPassword", "MD5$what we know nothing of");
    CHECK(counts() == Form::scram);
    saslpasswd2(store.file, "alice", "example.org", "plain");
    CHECK(counts() == Form::plain);
}

} // namespace postern
