// SPDX-License-Identifier: BSD-2-Clause
//
// Files made and read by OpenLDAP's own mdb_load and mdb_dump.
#include "backends/stores/lmdb_pages.hpp"
#include "tests/support/sasldb_files.hpp"

#include <catch2/catch.hpp>
#include <cstring>

namespace postern {

namespace {

namespace fs = std::filesystem;

/// An LMDB file, and where in it things are (lmdb_pages.cpp tells how).
struct Layout {
    std::string file;

    [[nodiscard]] std::uint64_t number(std::size_t place) const
    {
        std::uint64_t number = 0;
        std::memcpy(&number, &file.at(place), sizeof number);
        return number;
    }

    [[nodiscard]] std::string with(std::size_t place, std::uint64_t number) const
    {
        std::string changed = file;
        std::memcpy(&changed.at(place), &number, sizeof number);
        return changed;
    }

    [[nodiscard]] std::size_t meta() const { return number(144) > number(4096 + 144) ? 16 : 4096 + 16; }

    [[nodiscard]] std::uint64_t change() const { return number(meta() + 128); }

    [[nodiscard]] std::uint64_t last_page() const { return number(meta() + 120); }

    [[nodiscard]] std::uint64_t root_of_free_pages() const { return number(meta() + 24 + 40); }

    [[nodiscard]] std::uint64_t root_of_entries() const { return number(meta() + 72 + 40); }

    /// The key of the first list of free pages; its value follows.
    [[nodiscard]] std::size_t first_list() const
    {
        const std::size_t page = root_of_free_pages() * 4096;
        return page + (number(page + 16) & 0xFFFFU) + 8;
    }
};

} // namespace

TEST_CASE("what is in an LMDB file is read", "[lmdb]")
{
    LmdbStore store;
    store.load("bob", "b\\f6b \\ff");
    CHECK(store.password("alice") == "s3cret");
    CHECK(store.password("bob") == "b\xf6"
                                   "b \xff");
    CHECK(store.password("nobody") == std::nullopt);
    CHECK(store.password("alice", "example.net") == std::nullopt);
}

TEST_CASE("a change of an LMDB file is seen by the next look-up", "[lmdb]")
{
    LmdbStore store;
    CHECK(store.password("alice") == "s3cret");
    for (const std::string password : {"second", "third!", "fourth"}) {
        store.load("alice", password);
        CHECK(store.password("alice") == password);
    }
    fs::remove(store.file);
    CHECK_THROWS_AS(store.password("alice"), SasldbError);
    saslpasswd2(store.file, "alice", "example.org", "berkeley");
    CHECK(store.password("alice") == "berkeley");
}

TEST_CASE("of an LMDB file the same properties count in the same order", "[lmdb]")
{
    LmdbStore store;
    store.set_argon2id("alice", "hashed");
    CHECK(store.has_hash_of("alice", "hashed"));
    store.set_scram("alice", "verified");
    CHECK(store.has_verifier_of("alice", "verified"));
    CHECK(mdb_keys(store.file) == std::vector<std::string>{"alice\\00example.org\\00authPassword"});
    store.load("alice", "theirs");
    CHECK(store.password("alice") == "theirs");
}

TEST_CASE("an LMDB file is changed in place, and others' entries are kept", "[lmdb]")
{
    LmdbStore store;
    store.load("alice", "somebody else's", "cmusaslsecretOTP");
    const auto before = status_of(store.file).st_ino;
    CHECK(store.set("alice", "changed") == SasldbChange::changed);
    CHECK(store.set("bob", "bobs") == SasldbChange::created);
    CHECK(store.password("alice") == "changed");
    CHECK(status_of(store.file).st_ino == before);
    CHECK(store.remove("alice"));
    CHECK_FALSE(store.remove("alice"));
    CHECK(mdb_keys(store.file) == std::vector<std::string>{"alice\\00example.org\\00cmusaslsecretOTP",
                                                           "bob\\00example.org\\00userPassword"});
    CHECK(store.files() == 2);
}

TEST_CASE("a reader needs the LMDB file alone, and leaves no reader behind", "[lmdb]")
{
    LmdbStore store;
    fs::permissions(store.directory.path(), fs::perms{0755});
    fs::permissions(store.file, fs::perms{0644});
    const bool has_lock_file = GENERATE(true, false);
    if (has_lock_file)
        fs::permissions(store.lock_file(), fs::perms{0});
    else
        fs::remove(store.lock_file());
    CHECK(as_nobody([&] { return store.password("alice") == "s3cret" ? 0 : 1; }) == 0);
    CHECK(fs::exists(store.lock_file()) == has_lock_file);
    CHECK_THAT(run_program("/usr/bin/mdb_stat", {"mdb_stat", "-n", "-r", store.file}).output,
               Catch::Contains("(no active readers)"));
}

TEST_CASE("a lock file that a writer makes is for those whom the LMDB file is for", "[lmdb]")
{
    LmdbStore store;
    fs::remove(store.lock_file());
    fs::permissions(store.file, fs::perms{0660});
    if (::geteuid() == 0)
        check(::chown(store.file.c_str(), 12345, 45), "chown");
    store.set("alice", "changed");
    CHECK(mode_of(store.lock_file()) == 0660);
    CHECK(status_of(store.lock_file()).st_uid == status_of(store.file).st_uid);
    CHECK(status_of(store.lock_file()).st_gid == status_of(store.file).st_gid);

    fs::permissions(store.lock_file(), fs::perms{0600});
    store.set("alice", "changed again");
    CHECK(mode_of(store.lock_file()) == 0600); // was there: it is somebody's
}

TEST_CASE("what a directory gives its new files opens no lock file", "[lmdb]")
{
    LmdbStore store;
    fs::remove(store.lock_file());
    fs::permissions(store.file, fs::perms{0640});
    give_access_list(store.directory.path(), "system.posix_acl_default");
    store.set("alice", "changed");
    CHECK(mode_of(store.lock_file()) == 0640);
    CHECK(access_list_of(store.lock_file()).empty());
}

TEST_CASE("a lock file that is somebody else's, or no file of its own, is left alone", "[lmdb]")
{
    LmdbStore store;
    const std::string victim = store.directory.file("victim");
    write_file(victim, "somebody's");
    fs::permissions(victim, fs::perms{0600});
    fs::remove(store.lock_file());
    const int kind = GENERATE(0, 1, 2, 3, 4);
    switch (kind) {
    case 0: fs::create_symlink(victim, store.lock_file()); break;
    case 1: fs::create_hard_link(victim, store.lock_file()); break;
    case 2: fs::create_symlink(store.directory.file("nothing"), store.lock_file()); break;
    case 3: fs::create_directory(store.lock_file()); break;
    default:
        write_file(store.lock_file(), "");
        if (::geteuid() == 0)
            check(::chown(store.lock_file().c_str(), 12345, 45), "chown");
        else
            fs::remove(store.lock_file());
    }
    CAPTURE(kind);
    const std::size_t files = store.files();
    const std::string problem = problem_of([&] { store.set("alice", "changed"); });
    CHECK_THAT(problem,
               Catch::StartsWith(store.lock_file() + (kind == 4 ? ": belongs" : ": is no lock file")));
    CHECK(store.password("alice") == "s3cret");
    CHECK(read_file(victim) == "somebody's");
    CHECK(mode_of(victim) == 0600);
    CHECK(store.files() == files);
}

TEST_CASE("a writer that may not write an LMDB file says so", "[lmdb]")
{
    LmdbStore store;
    fs::permissions(store.directory.path(), fs::perms{0755});
    fs::permissions(store.file, fs::perms{0644});
    CHECK(as_nobody([&] {
              return problem_of([&] {
                         store.set("alice", "changed");
                     }) == store.file + ": it or its lock file " + store.lock_file() + " cannot be written to"
                         ? 0
                         : 1;
          }) == 0);
    CHECK(store.password("alice") == "s3cret");
}

TEST_CASE("a name that LMDB cannot have is nobody's, and is not written", "[lmdb]")
{
    LmdbStore store;
    const std::string longest(511 - std::string{".example.org.posternArgon2id"}.size(), 'u');
    store.set(longest, "s3cret");
    CHECK(store.password(longest) == "s3cret");
    CHECK(store.password(std::string(600, 'u')) == std::nullopt);
    CHECK_THROWS_AS(store.set(std::string(600, 'u'), "s3cret"), SasldbError);
}

TEST_CASE("a full LMDB file is an error, and everybody in it keeps the password", "[lmdb]")
{
    LmdbStore store;
    std::string problem = "none";
    int users = 0;
    constexpr int users_max = 1024; // of 1 MiB, with 1 KiB each
    while (problem == "none" && users < users_max)
        problem = problem_of([&] { store.set("user" + std::to_string(users++), std::string(1024, 'p')); });
    CHECK_THAT(problem, Catch::StartsWith(store.file + ": the database is full"));
    CHECK(store.password("user" + std::to_string(users - 1)) == std::nullopt);
    CHECK(store.password("user" + std::to_string(users - 2)) == std::string(1024, 'p'));
    CHECK(store.password("alice") == "s3cret");
}

TEST_CASE("every sound LMDB file is taken for one, and none that was cut short", "[lmdb]")
{
    LmdbStore store;
    CHECK(sasldb::is_sound_lmdb(read_file(store.file)));
    store.fill();
    const std::string whole = read_file(store.file);
    CHECK(sasldb::is_sound_lmdb(whole));
    CHECK(store.password("user119") == std::string(953, 'p'));
    for (std::size_t size = 0; size < whole.size(); size += size < 300 ? 7 : 1531) {
        CAPTURE(size);
        write_file(store.file, std::string_view{whole}.substr(0, size));
        // what is cut off may have been free
        if (sasldb::is_sound_lmdb(std::string_view{whole}.substr(0, size)))
            CHECK(store.password("user119") == std::string(953, 'p'));
        else
            CHECK_THROWS_AS(store.password("user119"), SasldbError);
    }
    CHECK_FALSE(sasldb::is_sound_lmdb(std::string_view{whole}.substr(0, whole.size() / 4)));
}

TEST_CASE("a list of free pages that a writer must not believe makes an LMDB file damaged", "[lmdb]")
{
    LmdbStore store;
    for (const std::string password : {"second", "third", "fourth"})
        store.set("alice", password);
    const Layout whole{read_file(store.file)};
    const std::size_t list = whole.first_list() + 8;
    REQUIRE(sasldb::is_sound_lmdb(whole.file));
    REQUIRE(whole.number(list) >= 2);
    REQUIRE(whole.number(list + 8) > whole.number(list + 16));
    const auto [place, number] = GENERATE_COPY(table<std::size_t, std::uint64_t>({
        {list - 8, whole.change() + 1},          // freed in the future
        {list, whole.number(list) + 1},          // more of them than there are
        {list, ~std::uint64_t{0}},               // many more
        {list + 8, whole.last_page() + 1},       // behind the last
        {list + 8, whole.number(list + 16)},     // one twice
        {list + 16, whole.number(list + 8) + 1}, // not in their order
        {list + 16, 1},                          // a meta
        {list + 8, whole.root_of_entries()},     // in use
        {list + 8, whole.root_of_free_pages()},  // in use
    }));
    CAPTURE(place - list, number);
    write_file(store.file, whole.with(place, number));
    CHECK_THROWS_AS(store.set("alice", "fifth"), SasldbError);
    CHECK_THROWS_AS(store.password("alice"), SasldbError);
}

TEST_CASE("an empty LMDB file has nobody in it", "[lmdb]")
{
    LmdbStore store;
    CHECK(store.remove("alice"));
    CHECK(sasldb::is_sound_lmdb(read_file(store.file)));
    CHECK(store.password("alice") == std::nullopt);
    CHECK(store.set("alice", "back") == SasldbChange::created);
    CHECK(store.password("alice") == "back");
}

} // namespace postern
