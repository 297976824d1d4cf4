// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/sasldb_file.hpp"
#include "tests/support/sasldb_tools.hpp"
#include "tests/support/temporary_directory.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

namespace postern {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

std::string read_file(const std::string& path)
{
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

void write_file(const std::string& path, std::string_view content)
{
    std::ofstream{path, std::ios::binary | std::ios::trunc} << content;
}

/// For a clock that files are older than.
std::chrono::system_clock::time_point long_after()
{
    return std::chrono::system_clock::now() + 1h;
}

struct Store {
    TemporaryDirectory directory;
    std::string file = directory.file("sasldb2");
    SecretArena secrets{2048, 4};
    SasldbReader reader{file};

    std::optional<std::string> password(const std::string& user, const std::string& realm = "example.org")
    {
        const auto found = reader.password(user, realm, secrets);
        return found ? std::optional{std::string{found->view()}} : std::nullopt;
    }

    SasldbChange set(const std::string& user, const std::string& password,
                     const std::string& realm = "example.org")
    {
        return set_sasldb_password(file, user, realm, Secret{secrets, password});
    }

    /// What is in the directory, to find what was left behind.
    [[nodiscard]] std::size_t files() const
    {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator{directory.path()}, {}));
    }
};

struct stat status_of(const std::string& path)
{
    struct stat status {};

    check(::stat(path.c_str(), &status), "stat");
    return status;
}

constexpr const char* access_list_name = "system.posix_acl_access";

/// As setfacl -m u:12345:r writes it (linux/posix_acl_xattr.h): a version, then a tag, rights and an id each.
std::string access_list()
{
    struct Entry {
        std::uint16_t tag;
        std::uint16_t rights;
        std::uint32_t id;
    };

    constexpr std::uint32_t version = 2;
    constexpr std::array entries{Entry{0x01, 6, UINT32_MAX}, Entry{0x02, 4, 12345},
                                 Entry{0x04, 4, UINT32_MAX}, Entry{0x10, 4, UINT32_MAX},
                                 Entry{0x20, 0, UINT32_MAX}};
    std::string list(sizeof version + sizeof entries, '\0');
    std::memcpy(list.data(), &version, sizeof version);
    std::memcpy(list.data() + sizeof version, entries.data(), sizeof entries);
    return list;
}

/// As somebody whom modes bind: not as root.
template <typename Work>
int as_nobody(Work work)
{
    const auto drop_root_and_work = [&] {
        if (::geteuid() == 0) {
            check(::setresgid(65534, 65534, 65534), "setresgid");
            check(::setresuid(65534, 65534, 65534), "setresuid");
        }
        return work();
    };
    return run_child("", drop_root_and_work).status;
}

template <typename Work>
std::string problem_of(Work work)
{
    try {
        work();
    } catch (const SasldbError& error) {
        return error.what();
    }
    return "none";
}

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

/// A database with entries of every shape: many, long enough for pages of their own, of other properties.
void fill(Store& store)
{
    for (int i = 0; i < 60; ++i)
        store.set("user" + std::to_string(i), std::string(1 + static_cast<std::size_t>(i) * 17, 'p'));
}

} // namespace

TEST_CASE("what saslpasswd2 writes is read", "[sasldb-file]")
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

TEST_CASE("a change is seen by the next look-up", "[sasldb-file]")
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

TEST_CASE("a file that has settled is opened once, one just changed each time", "[sasldb-file]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "s3cret");
    SasldbReader settled{store.file, long_after};
    SasldbReader racy{store.file, [&] {
                          return std::chrono::system_clock::time_point{
                              std::chrono::seconds{status_of(store.file).st_ctim.tv_sec + 1}};
                      }};
    for (std::size_t i = 1; i <= 5; ++i) {
        CHECK(settled.password("alice", "example.org", store.secrets)->view() == "s3cret");
        CHECK(settled.times_opened() == 1);
        CHECK(racy.password("alice", "example.org", store.secrets)->view() == "s3cret");
        CHECK(racy.times_opened() == i);
    }
    fs::permissions(store.file, fs::perms{0600}); // changes no byte, but who knows
    CHECK(settled.password("alice", "example.org", store.secrets)->view() == "s3cret");
    CHECK(settled.times_opened() == 2);
}

TEST_CASE("a file from before somebody set the clock back is still read afresh", "[sasldb-file]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", "s3cret");
    SasldbReader reader{store.file, [] { return std::chrono::system_clock::now() - 1h; }};
    CHECK(reader.password("alice", "example.org", store.secrets)->view() == "s3cret");
    saslpasswd2(store.file, "alice", "example.org", "after!");
    CHECK(reader.password("alice", "example.org", store.secrets)->view() == "after!");
}

TEST_CASE("a file that cannot be asked is named with what is wrong", "[sasldb-file]")
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
        CHECK(problem() == store.file + ": is not a Berkeley DB hash file");
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

TEST_CASE("a database cut short anywhere is an error", "[sasldb-file]")
{
    Store store;
    fill(store);
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

TEST_CASE("a damaged database neither crashes nor lets in nor prints", "[sasldb-file]")
{
    const ProgramRun run = run_child("", [] {
        Store store;
        saslpasswd2(store.file, "alice", "example.org", "s3cret");
        fill(store);
        const std::string whole = read_file(store.file);
        std::mt19937 random{20210907};
        int errors = 0;
        for (int round = 0; round < 400; ++round) {
            std::string damaged = whole;
            const std::size_t page = random() % (whole.size() / 4096) * 4096;
            for (auto bytes = 1 + random() % 8; bytes > 0; --bytes)
                damaged[page + random() % (round % 2 == 0 ? 64 : 4096)] = static_cast<char>(random());
            write_file(store.file, damaged);
            try {
                if (const auto found = store.password("alice"); found && *found != "s3cret")
                    return 1;
                static_cast<void>(store.password("nobody"));
            } catch (const SasldbError&) {
                ++errors;
            }
        }
        return errors > 100 ? 0 : 2; // a control: most damage is seen
    });
    CHECK(run.status == 0);
    CHECK(run.output.empty());
    CHECK(run.errors.empty());
}

TEST_CASE("a value longer than a password may be is an error, not a shorter password", "[sasldb-file]")
{
    Store store;
    saslpasswd2(store.file, "alice", "example.org", std::string(1024, 'p'));
    saslpasswd2(store.file, "mallory", "example.org", std::string(1025, 'p'));
    CHECK(store.password("alice") == std::string(1024, 'p'));
    CHECK_THROWS_AS(store.password("mallory"), SasldbError);
    SecretArena small{512, 1};
    CHECK_THROWS_AS(store.reader.password("alice", "example.org", small), SasldbError);
    CHECK(small.slots_free() == 1);
}

TEST_CASE("a first password makes the database, the next changes it", "[sasldb-file]")
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

TEST_CASE("what our writer wrote, saslpasswd2 changes", "[sasldb-file]")
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

TEST_CASE("passwords of every length and byte come back as they were", "[sasldb-file]")
{
    Store store;
    const std::string password =
        GENERATE(std::string{"x"}, std::string(1024, 'p'), std::string{"\x01\x80\xff \r\n\t"},
                 std::string{"\xc3\xa9\xe2\x82\xac"}, std::string{"%s%n"});
    store.set("alice", password);
    CHECK(store.password("alice") == password);
}

TEST_CASE("what Cyrus SASL could not read back is not written", "[sasldb-file]")
{
    Store store;
    CHECK_THROWS_AS(store.set("alice", ""), SasldbError);
    CHECK_THROWS_AS(store.set("alice", std::string(1025, 'p')), SasldbError);
    CHECK_THROWS_AS(store.set("alice", std::string("a\0b", 3)), SasldbError);
    CHECK_THROWS_AS(store.set("", "password"), SasldbError);
    CHECK_THROWS_AS(store.set(std::string("a\0b", 3), "password"), SasldbError);
    CHECK_THROWS_AS(store.set("alice", "password", std::string("a\0b", 3)), SasldbError);
    CHECK(store.files() == 0);
}

TEST_CASE("every other entry is kept, byte for byte", "[sasldb-file]")
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

TEST_CASE("owner and mode stay when the file is replaced", "[sasldb-file]")
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

TEST_CASE("an access list stays when the file is replaced", "[sasldb-file]")
{
    Store store;
    store.set("alice", "s3cret");
    const std::string list = access_list();
    check(::setxattr(store.file.c_str(), access_list_name, list.data(), list.size(), 0), "setxattr");
    store.set("alice", "changed");
    std::string kept(256, '\0');
    kept.resize(static_cast<std::size_t>(
        check(::getxattr(store.file.c_str(), access_list_name, kept.data(), kept.size()), "getxattr")));
    CHECK(kept == list);
}

TEST_CASE("a new database is for root and the group sasl", "[sasldb-file]")
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

TEST_CASE("a new database of somebody who is not root is for him alone", "[sasldb-file]")
{
    Store store;
    fs::permissions(store.directory.path(), fs::perms{0777});
    CHECK(as_nobody([&] {
              store.set("alice", "s3cret");
              return static_cast<int>(status_of(store.file).st_mode & 07777U) == 0600 ? 0 : 1;
          }) == 0);
}

TEST_CASE("a symbolic link stays and its target is replaced", "[sasldb-file]")
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

TEST_CASE("a database that is no database is not overwritten", "[sasldb-file]")
{
    Store store;
    const std::string content = GENERATE("", "alice:s3cret\nand enough bytes for a page to be read from it");
    write_file(store.file, content);
    CHECK_THROWS_AS(store.set("alice", "s3cret"), SasldbError);
    CHECK(read_file(store.file) == content);
    CHECK(store.files() == 1);
}

TEST_CASE("a directory that cannot be written to leaves the file as it was", "[sasldb-file]")
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

TEST_CASE("a writer waits for the lock only so long, and says what it waited for", "[sasldb-file]")
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

TEST_CASE("many writers at once lose nothing", "[sasldb-file]")
{
    Store store;
    store.set("first", "first");
    write_at_once(store, 8, 12);
    CHECK(sasldblistusers2(store.file).size() == 8 * 12 + 1);
    CHECK(store.password("user3-4") == "user3-4");
    CHECK(store.files() == 1);
}

TEST_CASE("many who make the database at once lose nothing", "[sasldb-file]")
{
    for (int round = 0; round < 10; ++round) {
        Store store;
        write_at_once(store, 8, 1);
        CHECK(sasldblistusers2(store.file).size() == 8);
        CHECK(store.files() == 1);
    }
}

TEST_CASE("a reader beside writers gets the old password or the new one, never an error", "[sasldb-file]")
{
    Store store;
    store.set("alice", "0");
    const pid_t writer = check(::fork(), "fork");
    if (writer == 0) {
        SecretArena secrets{2048, 1};
        for (int i = 1; i <= 60; ++i)
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
    CHECK(store.password("alice") == "60");
}

} // namespace postern
