// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sasldb_store.hpp"
#include "tests/support/sasldb_tools.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

/// What somebody else does while a new file is on its way to the disk, once.
std::function<void()> at_next_sync;

/// Sets passwords of users of its own, as a program beside others.
int write_as(Store& store, int writer, int users)
{
    try {
        for (int user = 0; user < users; ++user) {
            const std::string name = "user" + std::to_string(writer) + "-" + std::to_string(user);
            set_sasldb_password(store.file, name, "example.org", Secret{store.secrets, name}, 60s);
        }
        return 0;
    } catch (const std::exception&) {
        return 1;
    }
}

/// Starts so many programs, lets them all go at the same moment, and waits for their end.
void write_at_once(Store& store, int writers, int users)
{
    std::array<int, 2> gate{};
    check(::pipe(gate.data()), "pipe");
    std::vector<pid_t> children;
    for (int writer = 0; writer < writers; ++writer) {
        children.push_back(check(::fork(), "fork"));
        if (children.back() != 0)
            continue;
        ::close(gate[1]);
        char opened = 0;
        check(::read(gate[0], &opened, 1), "read"); // ends when the gate does
        ::_exit(write_as(store, writer, users));
    }
    ::close(gate[1]);
    ::close(gate[0]);
    for (const pid_t child : children) {
        int status = -1;
        check(::waitpid(child, &status, 0), "waitpid");
        CHECK(status == 0);
    }
}

} // namespace

/// libc's, for the whole program.
extern "C" int fsync(int fd)
{
    if (at_next_sync)
        std::exchange(at_next_sync, nullptr)();
    return static_cast<int>(::syscall(SYS_fsync, fd));
}

TEST_CASE("a first password makes the database, the next changes it", "[sasldb-writer]")
{
    Store store;
    CHECK(store.set("alice", "first") == SasldbChange::created);
    CHECK(store.set("alice", "second") == SasldbChange::changed);
    CHECK(store.set("alice", "other", "example.net") == SasldbChange::created);
    CHECK(store.password("alice") == "second");
    CHECK(store.password("alice", "example.net") == "other");
    CHECK(sasldblistusers2(store.file) ==
          std::vector<std::string>{"alice@example.net: userPassword", "alice@example.org: userPassword"});
    CHECK(store.files() == 1);
}

TEST_CASE("what our writer wrote, saslpasswd2 changes", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "ours");
    saslpasswd2(store.file, "alice", "example.org", "theirs");
    saslpasswd2(store.file, "bob", "example.org", "bobs");
    CHECK(store.password("alice") == "theirs");
    CHECK(store.set("bob", "ours again") == SasldbChange::changed);
    CHECK(store.password("alice") == "theirs");
    CHECK(store.password("bob") == "ours again");
}

TEST_CASE("a hash takes the place of the password, and a password that of the hash", "[sasldb-writer]")
{
    Store store;
    CHECK(store.set("alice", "plain") == SasldbChange::created);
    CHECK(store.set_argon2id("alice", "hashed") == SasldbChange::changed);
    CHECK(sasldblistusers2(store.file) == std::vector<std::string>{"alice@example.org: posternArgon2id"});
    CHECK(store.has_hash_of("alice", "hashed"));
    CHECK(read_file(store.file).find("plain") == std::string::npos);
    CHECK(read_file(store.file).find("hashed") == std::string::npos);
    CHECK(store.set_argon2id("alice", "again") == SasldbChange::changed);
    CHECK(store.has_hash_of("alice", "again"));
    CHECK(store.set("alice", "plain") == SasldbChange::changed);
    CHECK(sasldblistusers2(store.file) == std::vector<std::string>{"alice@example.org: userPassword"});
    CHECK(store.password("alice") == "plain");
    CHECK(store.set_argon2id("bob", "hashed") == SasldbChange::created);
    CHECK(store.files() == 1);
}

TEST_CASE("whichever of password, verifier and hash is set, the others go", "[sasldb-writer]")
{
    Store store;
    using Set = SasldbChange (Store::*)(const std::string&, const std::string&, const std::string&);
    const std::vector<std::pair<Set, std::string>> forms{{&Store::set, "userPassword"},
                                                         {&Store::set_scram, "authPassword"},
                                                         {&Store::set_argon2id, "posternArgon2id"}};
    for (const auto& [first, first_property] : forms) {
        for (const auto& [second, second_property] : forms) {
            (store.*first)("alice", "first", "example.org");
            CHECK((store.*second)("alice", "second", "example.org") == SasldbChange::changed);
            CHECK(sasldblistusers2(store.file) ==
                  std::vector<std::string>{"alice@example.org: " + second_property});
        }
        CHECK(store.remove("alice"));
    }
    store.set_scram("alice", "verified");
    CHECK(store.has_verifier_of("alice", "verified"));
    CHECK_FALSE(store.has_verifier_of("alice", "verifief"));
    CHECK(read_file(store.file).find("verified") == std::string::npos);
}

TEST_CASE("a first hash makes the database", "[sasldb-writer]")
{
    Store store;
    CHECK(store.set_argon2id("alice", "hashed") == SasldbChange::created);
    CHECK(store.has_hash_of("alice", "hashed"));
}

TEST_CASE("a password that saslpasswd2 sets counts more than a hash", "[sasldb-writer]")
{
    Store store;
    store.set_argon2id("alice", "hashed");
    saslpasswd2(store.file, "alice", "example.org", "theirs");
    CHECK(store.password("alice") == "theirs");
    CHECK(sasldblistusers2(store.file) ==
          std::vector<std::string>{"alice@example.org: posternArgon2id", "alice@example.org: userPassword"});
    CHECK(store.set_argon2id("alice", "hashed again") == SasldbChange::changed);
    CHECK(store.has_hash_of("alice", "hashed again"));
}

TEST_CASE("saslpasswd2 does not delete a hash, and we do", "[sasldb-writer]")
{
    Store store;
    store.set_argon2id("alice", "hashed");
    CHECK(saslpasswd2_delete(store.file, "alice", "example.org") == 0); // whatever it found
    CHECK(store.has_hash_of("alice", "hashed"));
    CHECK(store.remove("alice"));
    CHECK(store.password("alice") == std::nullopt);
    CHECK(sasldblistusers2(store.file).empty());
}

TEST_CASE("a user is deleted with password and hash, and nobody else is", "[sasldb-writer]")
{
    Store store;
    store.set_argon2id("alice", "hashed");
    saslpasswd2(store.file, "alice", "example.org", "theirs");
    store.set("alice", "elsewhere", "example.net");
    store.set("bob", "bobs");
    store.set_argon2id("carol", "carols");
    CHECK(store.remove("alice"));
    CHECK(sasldblistusers2(store.file) == std::vector<std::string>{"alice@example.net: userPassword",
                                                                   "bob@example.org: userPassword",
                                                                   "carol@example.org: posternArgon2id"});
    CHECK(store.password("alice") == std::nullopt);
    CHECK(store.has_hash_of("carol", "carols"));
    CHECK(store.files() == 1);
}

TEST_CASE("nobody is deleted twice, and a file in which nobody was found stays the same file",
          "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    CHECK(store.remove("alice"));
    const struct stat before = status_of(store.file);
    const std::string content = read_file(store.file);
    CHECK_FALSE(store.remove("alice"));
    CHECK_FALSE(store.remove("bob"));
    CHECK_FALSE(store.remove("alice", ""));
    CHECK(status_of(store.file).st_ino == before.st_ino);
    CHECK(read_file(store.file) == content);
    CHECK(store.files() == 1);
}

TEST_CASE("nobody is deleted from a file that is none", "[sasldb-writer]")
{
    Store store;
    CHECK(problem_of([&] { static_cast<void>(store.remove("alice")); }) ==
          store.file + ": cannot be opened: No such file or directory");
    CHECK(store.files() == 0);
    write_file(store.file, "alice:s3cret\nand enough bytes for a page to be read from it");
    CHECK_THROWS_AS(store.remove("alice"), SasldbError);
    CHECK_THROWS_AS(store.remove(""), SasldbError);
    CHECK(store.files() == 1);
}

TEST_CASE("properties of others are kept, whatever is done to their user", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    db_load_entry(store.file, "alice\\00example.org\\00cmusaslsecretOTP", "somebody else's");
    const std::vector<std::string> others{"alice@example.org: cmusaslsecretOTP"};
    store.set("alice", "changed");
    store.set_argon2id("alice", "hashed");
    CHECK(sasldblistusers2(store.file) ==
          std::vector<std::string>{others.front(), "alice@example.org: posternArgon2id"});
    CHECK(store.remove("alice"));
    CHECK(sasldblistusers2(store.file) == others);
    CHECK(read_file(store.file).find("somebody else's") != std::string::npos);
}

TEST_CASE("passwords that libsasl2 of old kept for single mechanisms go with the others", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    store.set("bob", "bobs");
    const std::vector<std::string> old{"cmusaslsecretCRAM-MD5", "cmusaslsecretDIGEST-MD5",
                                       "cmusaslsecretPLAIN"};
    const auto keep_old = [&] {
        for (const std::string& property : old)
            db_load_entry(store.file, "alice\\00example.org\\00" + property, "old");
    };
    keep_old();
    CHECK(store.set_scram("alice", "changed") == SasldbChange::changed);
    CHECK(sasldblistusers2(store.file) ==
          std::vector<std::string>{"alice@example.org: authPassword", "bob@example.org: userPassword"});
    keep_old();
    CHECK(store.remove("alice"));
    keep_old();
    CHECK(store.remove("alice")); // they are passwords too
    CHECK(sasldblistusers2(store.file) == std::vector<std::string>{"bob@example.org: userPassword"});
}

TEST_CASE("passwords of every length and byte come back as they were", "[sasldb-writer]")
{
    Store store;
    const std::string password =
        GENERATE(std::string{"x"}, std::string(1024, 'p'), std::string{"\x01\x80\xff \r\n\t"},
                 std::string{"\xc3\xa9\xe2\x82\xac"}, std::string{"%s%n"});
    store.set("alice", password);
    CHECK(store.password("alice") == password);
}

TEST_CASE("what Cyrus SASL could not read back is not written", "[sasldb-writer]")
{
    Store store;
    CHECK_THROWS_AS(store.set("alice", ""), SasldbError);
    CHECK_THROWS_AS(store.set("alice", std::string(1025, 'p')), SasldbError);
    CHECK_THROWS_AS(store.set("alice", std::string("a\0b", 3)), SasldbError);
    CHECK_THROWS_AS(store.set_scram("alice", ""), SasldbError);
    CHECK_THROWS_AS(store.set_scram("alice", std::string(1025, 'p')), SasldbError);
    CHECK_THROWS_AS(store.set_scram("alice", std::string("a\0b", 3)), SasldbError);
    CHECK_THROWS_AS(store.set_argon2id("alice", ""), SasldbError);
    CHECK_THROWS_AS(store.set_argon2id("alice", std::string(1025, 'p')), SasldbError);
    CHECK_THROWS_AS(store.set_argon2id("alice", std::string("a\0b", 3)), SasldbError);
    for (const std::string nothing : {"\xc2\xad", "\xe2\x81\xa0\xef\xbb\xbf"}) { // RFC 3454, B.1
        CHECK_THROWS_AS(store.set("alice", nothing), SasldbError);
        CHECK_THROWS_AS(store.set_scram("alice", nothing), SasldbError);
        CHECK_THROWS_AS(store.set_argon2id("alice", nothing), SasldbError);
    }
    CHECK_THROWS_AS(store.set("", "password"), SasldbError);
    CHECK_THROWS_AS(store.set(std::string("a\0b", 3), "password"), SasldbError);
    CHECK_THROWS_AS(store.set("alice", "password", std::string("a\0b", 3)), SasldbError);
    CHECK(store.files() == 0);
}

TEST_CASE("every other entry is kept, byte for byte", "[sasldb-writer]")
{
    Store store;
    for (int i = 0; i < 50; ++i)
        saslpasswd2(store.file, "user" + std::to_string(i), "example.org",
                    std::string(static_cast<std::size_t>(1 + i * 20), 'p'));
    const auto before = sasldblistusers2(store.file);
    store.set("user7", "changed");
    CHECK(sasldblistusers2(store.file) == before);
    for (int i = 0; i < 50; ++i)
        CHECK(store.password("user" + std::to_string(i)) ==
              (i == 7 ? "changed" : std::string(static_cast<std::size_t>(1 + i * 20), 'p')));
}

TEST_CASE("owner and mode stay when the file is replaced", "[sasldb-writer]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "s3cret");
    const bool is_root = ::geteuid() == 0;
    if (is_root)
        check(::chown(store.file.c_str(), 12345, 45), "chown");
    const auto mode = GENERATE(0600U, 0640U, 0660U, 0604U);
    check(::chmod(store.file.c_str(), mode), "chmod");
    const struct stat before = status_of(store.file);
    store.set("alice", "changed");
    const struct stat after = status_of(store.file);
    CHECK((after.st_mode & 07777U) == mode);
    CHECK(after.st_uid == before.st_uid);
    CHECK(after.st_gid == before.st_gid);
    CHECK(after.st_ino != before.st_ino);
}

TEST_CASE("an access list stays when the file is replaced", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    give_access_list(store.file, sasldb::access_list_attribute);
    store.set("alice", "changed");
    CHECK(access_list_of(store.file) == access_list());
}

TEST_CASE("what a directory gives its new files opens no database", "[sasldb-writer]")
{
    Store store;
    const bool exists_already = GENERATE(false, true);
    if (exists_already) {
        store.set("alice", "s3cret");
        fs::permissions(store.file, fs::perms{0640});
    }
    give_access_list(store.directory.path(), "system.posix_acl_default");
    store.set("alice", "changed");
    const bool has_group = ::geteuid() == 0 && ::getgrnam("sasl") != nullptr;
    CHECK(mode_of(store.file) == (exists_already || has_group ? 0640 : 0600));
    if (exists_already || has_group)
        CHECK(access_list_of(store.file).empty());
}

TEST_CASE("root writes in no directory that others can write to", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    const std::string content = read_file(store.file);
    const bool is_root = ::geteuid() == 0;
    const auto [mode, owner] =
        GENERATE(table<mode_t, uid_t>({{0720, 0}, {0702, 0}, {01777, 0}, {0700, 12345}}));
    check(::chmod(store.directory.path().c_str(), mode), "chmod");
    if (is_root)
        check(::chown(store.directory.path().c_str(), owner, 0), "chown");
    const bool exists = GENERATE(true, false);
    const std::string file = exists ? store.file : store.directory.file("new");
    const std::string problem = problem_of([&] {
        set_sasldb_password(file, "alice", "example.org", Secret{store.secrets, "changed"});
    });
    CHECK_THAT(problem,
               Catch::StartsWith(is_root ? file + ": others than root can write to its directory" : "none"));
    CHECK((read_file(store.file) == content) == (is_root || !exists));
    CHECK(store.files() == (is_root || exists ? 1 : 2));
}

TEST_CASE("a file with a second name is not replaced, since that would keep the old passwords",
          "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    fs::create_hard_link(store.file, store.directory.file("chroot"));
    CHECK_THAT(problem_of([&] { store.set("alice", "changed"); }),
               Catch::StartsWith(store.file + ": has another name (a hard link)"));
    CHECK_THROWS_AS(store.remove("alice"), SasldbError);
    CHECK(store.password("alice") == "s3cret");
    CHECK(store.files() == 2);
    fs::remove(store.directory.file("chroot"));
    CHECK(store.set("alice", "changed") == SasldbChange::changed);
}

TEST_CASE("a new file that somebody exchanges while it is written takes nobody's place", "[sasldb-writer]")
{
    Store store;
    const std::string others = store.directory.file("others");
    set_sasldb_password(others, "mallory", "example.org", Secret{store.secrets, "mallorys"});
    const bool exists_already = GENERATE(false, true);
    if (exists_already)
        store.set("alice", "s3cret");
    at_next_sync = [&] {
        for (const auto& entry : fs::directory_iterator{store.directory.path()}) {
            if (!entry.path().filename().string().starts_with('.'))
                continue;
            fs::remove(entry.path());
            fs::create_symlink(others, entry.path());
        }
    };
    CHECK(problem_of([&] { store.set("alice", "changed"); }) ==
          store.file + ": the new database was taken away by another program before it was in its place");
    CHECK_FALSE(at_next_sync);
    CHECK_FALSE(fs::is_symlink(store.file));
    CHECK(fs::exists(store.file) == exists_already);
    CHECK(store.files() == (exists_already ? 2 : 1));
}

TEST_CASE("a new database is for root and the group sasl", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    const struct stat status = status_of(store.file);
    if (::geteuid() == 0 && ::getgrnam("sasl") != nullptr) {
        CHECK((status.st_mode & 07777U) == 0640);
        CHECK(status.st_gid == ::getgrnam("sasl")->gr_gid);
    } else {
        CHECK((status.st_mode & 07777U) == 0600);
    }
    CHECK(status.st_uid == ::geteuid());
}

TEST_CASE("a new database of somebody who is not root is for him alone", "[sasldb-writer]")
{
    Store store;
    fs::permissions(store.directory.path(), fs::perms{0777});
    CHECK(as_nobody([&] {
              store.set("alice", "s3cret");
              return static_cast<int>(status_of(store.file).st_mode & 07777U) == 0600 ? 0 : 1;
          }) == 0);
}

TEST_CASE("a symbolic link stays and its target is replaced", "[sasldb-writer]")
{
    Store store;
    const std::string target = store.directory.file("target");
    const bool exists_already = GENERATE(true, false);
    if (exists_already)
        saslpasswd2(target, "bob", "example.org", "bobs");
    fs::create_symlink("target", store.directory.file("second"));
    fs::create_symlink(store.directory.file("second"), store.file);
    CHECK(store.set("alice", "s3cret") == SasldbChange::created);
    CHECK(fs::is_symlink(store.file));
    CHECK(fs::is_regular_file(fs::symlink_status(target)));
    CHECK(store.password("alice") == "s3cret");
    CHECK(store.files() == 3);
}

TEST_CASE("a database that is no database is not overwritten", "[sasldb-writer]")
{
    Store store;
    const std::string content = GENERATE("", "alice:s3cret\nand enough bytes for a page to be read from it");
    write_file(store.file, content);
    CHECK_THROWS_AS(store.set("alice", "s3cret"), SasldbError);
    CHECK(read_file(store.file) == content);
    CHECK(store.files() == 1);
}

TEST_CASE("a directory that cannot be written to leaves the file as it was", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    fs::permissions(store.directory.path(), fs::perms{0555});
    fs::permissions(store.file, fs::perms{0644});
    CHECK(as_nobody([&] {
              const std::string problem = problem_of([&] { store.set("alice", "changed"); });
              return problem == store.file + ": no new file can be made in its directory: Permission denied"
                         ? 0
                         : 1;
          }) == 0);
    CHECK(store.password("alice") == "s3cret");
    CHECK(store.files() == 1);
    fs::permissions(store.directory.path(), fs::perms{0755});
}

TEST_CASE("a writer waits for the lock only so long, and says what it waited for", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    const UniqueFd other{::open(store.file.c_str(), O_RDONLY | O_CLOEXEC)};
    check(::flock(other.get(), LOCK_EX), "flock");
    const std::string problem = problem_of([&] {
        set_sasldb_password(store.file, "alice", "example.org", Secret{store.secrets, "changed"}, 20ms);
    });
    CHECK(problem == store.file + ": another program holds the lock (flock) on it and does not let go");
    CHECK(store.password("alice") == "s3cret");
    ::flock(other.get(), LOCK_UN);
    CHECK(store.set("alice", "changed") == SasldbChange::changed);
}

TEST_CASE("what a killed writer leaves behind, the next clears away", "[sasldb-writer]")
{
    Store store;
    store.set("alice", "s3cret");
    const auto set_and_be_killed = [&] {
        at_next_sync = [] { ::raise(SIGKILL); };
        store.set("alice", "changed");
        return 0;
    };
    CHECK(run_child("", set_and_be_killed).status == 128 + SIGKILL);
    CHECK(store.files() == 2);
    CHECK(store.password("alice") == "s3cret");
    CHECK(store.set("alice", "changed") == SasldbChange::changed);
    CHECK(store.password("alice") == "changed");
    CHECK(store.files() == 1);
}

TEST_CASE("many writers at once lose nothing", "[sasldb-writer]")
{
    Store store;
    store.set("first", "first");
    write_at_once(store, 8, 12);
    CHECK(sasldblistusers2(store.file).size() == 8 * 12 + 1);
    CHECK(store.password("user3-4") == "user3-4");
    CHECK(store.files() == 1);
}

TEST_CASE("many who make the database at once lose nothing", "[sasldb-writer]")
{
    for (int round = 0; round < 10; ++round) {
        Store store;
        write_at_once(store, 8, 1);
        CHECK(sasldblistusers2(store.file).size() == 8);
        CHECK(store.files() == 1);
    }
}

} // namespace postern
