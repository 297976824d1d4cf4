// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/store_changes.hpp"
#include "daemon/store_watch.hpp"
#include "tests/support/temporary_directory.hpp"

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

using namespace postern;
namespace fs = std::filesystem;

namespace {

/// What somebody does in the moment before each watch is made.
std::function<void()> before_watch;

} // namespace

/// In the place of the C library's.
extern "C" int inotify_add_watch(int events, const char* name, std::uint32_t mask) noexcept
{
    if (before_watch)
        before_watch();
    return static_cast<int>(::syscall(SYS_inotify_add_watch, events, name, mask));
}

namespace {

void write(const fs::path& file, const std::string& text = "x")
{
    std::ofstream{file, std::ios::app} << text;
}

BackendConfig backend_at(const std::string& path)
{
    BackendConfig backend;
    backend.name = "local";
    backend.type = find_backend_type("sasldb");
    backend.options = {{"sasldb_path", path}};
    return backend;
}

BackendConfig backend_elsewhere()
{
    BackendConfig backend;
    backend.type = find_backend_type("ldap");
    return backend;
}

/// A sasldb at DIR/etc/db in a directory of its own, watched as a supervisor does, and a directory server.
class Watched {
public:
    explicit Watched(const std::string& path = "etc/db",
                     const std::function<void(const fs::path&)>& prepare = {})
    {
        fs::create_directories(root() / "etc");
        write(root() / "etc/db");
        if (prepare)
            prepare(root());
        const std::vector<BackendConfig> backends{backend_at(root() / path), backend_elsewhere()};
        StoreWatch watch = watch_stores(backends);
        CHECK(watch.problems == std::vector<std::string>(2));
        changes_.emplace(std::move(watch.events), std::move(watch.stores), 2,
                         [this](std::size_t backend) { lost.push_back(backend); });
    }

    [[nodiscard]] const fs::path& root() const { return directory_.path(); }

    [[nodiscard]] fs::path db() const { return root() / "etc/db"; }

    /// Whether something has changed since the last time.
    bool has_changed()
    {
        changes_->look();
        CHECK(changes_->of(1) == 0);
        const std::uint64_t before = std::exchange(seen_, changes_->of(0));
        return seen_ != before;
    }

    std::vector<std::size_t> lost;

private:
    TemporaryDirectory directory_;
    std::optional<StoreChanges> changes_;
    std::uint64_t seen_ = 0;
};

void replace(const fs::path& file)
{
    const fs::path other = file.string() + ".new";
    write(other);
    fs::rename(other, file);
}

} // namespace

TEST_CASE("whatever is done to a store is a change, each time, as soon as it is done", "[store_changes]")
{
    using Act = std::function<void(const fs::path&)>;
    const auto [what, act] = GENERATE(table<std::string, Act>({
        {"written in place", [](const fs::path& db) { write(db); }},
        {"one byte", [](const fs::path& db) {
             const UniqueFd file{::open(db.c_str(), O_RDWR | O_CLOEXEC)};
             REQUIRE(::pwrite(file.get(), "y", 1, 0) == 1);
         }},
        {"cut", [](const fs::path& db) { fs::resize_file(db, fs::file_size(db) == 0 ? 1 : 0); }},
        {"replaced", replace},
        {"deleted and made anew", [](const fs::path& db) {
             fs::remove(db);
             write(db);
         }},
        {"moved away and back", [](const fs::path& db) {
             fs::rename(db, db.string() + ".old");
             fs::rename(db.string() + ".old", db);
         }},
        {"made unreadable", [](const fs::path& db) { ::chmod(db.c_str(), ::rand() % 2 == 0 ? 0600 : 0640); }},
        {"another file linked there", [](const fs::path& db) {
             write(db.string() + ".other");
             fs::remove(db);
             fs::create_hard_link(db.string() + ".other", db);
         }},
    }));
    CAPTURE(what);
    Watched store;
    CHECK_FALSE(store.has_changed());
    for (int i = 0; i < 3; ++i) {
        act(store.db());
        CHECK(store.has_changed());
        CHECK_FALSE(store.has_changed());
    }
    CHECK(store.lost.empty());
}

TEST_CASE("a write is seen before the file is closed", "[store_changes]")
{
    Watched store;
    const UniqueFd file{::open(store.db().c_str(), O_RDWR | O_CLOEXEC)};
    for (int i = 0; i < 10; ++i) {
        REQUIRE(::pwrite(file.get(), "y", 1, i) == 1);
        CHECK(store.has_changed());
    }
}

TEST_CASE("what is done to a store by its other name, in another directory, is a change", "[store_changes]")
{
    Watched store{"etc/db", [](const fs::path& root) {
                      fs::create_directory(root / "other");
                      fs::create_hard_link(root / "etc/db", root / "other/name");
                  }};
    CHECK_FALSE(store.has_changed());
    for (int i = 0; i < 3; ++i) {
        write(store.root() / "other/name");
        CHECK(store.has_changed());
        CHECK_FALSE(store.has_changed());
    }
    fs::remove(store.root() / "other/name");
    static_cast<void>(store.has_changed());
    fs::remove(store.db());
    CHECK(store.has_changed());
    CHECK_FALSE(store.has_changed());
    write(store.db());
    CHECK(store.has_changed());
    CHECK_FALSE(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("what is done to others in the directory, and reading, is no change", "[store_changes]")
{
    Watched store;
    write(store.root() / "etc/db2");
    write(store.root() / "etc/d");
    replace(store.root() / "etc/db2");
    fs::create_directory(store.root() / "etc/more");
    fs::remove(store.root() / "etc/db2");
    write(store.root() / "beside");
    std::string text;
    std::ifstream{store.db()} >> text;
    CHECK_FALSE(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("a store that is not there yet is seen when it comes", "[store_changes]")
{
    Watched store{"etc/db", [](const fs::path& root) { fs::remove(root / "etc/db"); }};
    write(store.db());
    CHECK(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("behind a link the file it leads to is watched", "[store_changes]")
{
    Watched store{"link", [](const fs::path& root) { fs::create_symlink("etc/db", root / "link"); }};
    write(store.db());
    CHECK(store.has_changed());
    replace(store.db());
    CHECK(store.has_changed());
    CHECK_FALSE(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("every link of a path is followed, relative or not", "[store_changes]")
{
    Watched store{"links/one/db", [](const fs::path& root) {
                      fs::create_directories(root / "links/deep");
                      fs::create_directory_symlink("deep/../two", root / "links/one");
                      fs::create_directory_symlink(root / "etc", root / "links/two");
                  }};
    write(store.db());
    CHECK(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("when a step of the path leads elsewhere, nothing is ever believed again", "[store_changes]")
{
    const auto prepare = [](const fs::path& root) {
        fs::create_directories(root / "v1");
        fs::create_directories(root / "v2");
        fs::create_directory_symlink("v1", root / "now");
        write(root / "v1/db");
        fs::create_symlink("now/db", root / "link");
    };
    using Act = std::function<void(const fs::path&)>;
    const auto [path, what, act] = GENERATE_COPY(table<std::string, std::string, Act>({
        {"etc/db", "directory moved away",
         [](const fs::path& root) { fs::rename(root / "etc", root / "etc.old"); }},
        {"etc/db", "directory deleted", [](const fs::path& root) { fs::remove_all(root / "etc"); }},
        {"etc/db", "directory exchanged", [](const fs::path& root) {
             fs::rename(root / "etc", root / "etc.old");
             fs::create_directory(root / "etc");
             write(root / "etc/db");
         }},
        {"now/db", "link to another directory", [](const fs::path& root) {
             fs::create_directory_symlink("v2", root / "next");
             fs::rename(root / "next", root / "now");
         }},
        {"link", "link of links to another file", [](const fs::path& root) {
             fs::create_symlink("v2/db", root / "next");
             fs::rename(root / "next", root / "link");
         }},
        {"link", "link on the way of a link", [](const fs::path& root) {
             fs::remove(root / "now");
             fs::create_directory_symlink("v2", root / "now");
         }},
    }));
    CAPTURE(what);
    Watched store{path, prepare};
    CHECK_FALSE(store.has_changed());
    act(store.root());
    for (int i = 0; i < 3; ++i)
        CHECK(store.has_changed());
    CHECK(store.lost == std::vector<std::size_t>{0});
}

TEST_CASE("a directory on the path that is only touched leads where it did", "[store_changes]")
{
    Watched store;
    REQUIRE(::chmod((store.root() / "etc").c_str(), 0755) == 0);
    REQUIRE(::utimensat(AT_FDCWD, (store.root() / "etc").c_str(), nullptr, 0) == 0);
    static_cast<void>(store.has_changed());
    CHECK_FALSE(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("a link that is only touched leads where it did, also beside what it leads to", "[store_changes]")
{
    Watched store{"etc/link", [](const fs::path& root) { fs::create_symlink("db", root / "etc/link"); }};
    REQUIRE(::utimensat(AT_FDCWD, (store.root() / "etc/link").c_str(), nullptr, AT_SYMLINK_NOFOLLOW) == 0);
    CHECK_FALSE(store.has_changed());
    write(store.db());
    CHECK(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("a whole directory is watched when its path ends in a slash", "[store_changes]")
{
    Watched store{"etc/"};
    write(store.root() / "etc/anything");
    CHECK(store.has_changed());
    fs::remove(store.root() / "etc/anything");
    CHECK(store.has_changed());
    write(store.root() / "beside");
    CHECK_FALSE(store.has_changed());
    fs::rename(store.root() / "etc", store.root() / "etc.old");
    CHECK(store.has_changed());
    CHECK(store.has_changed());
    CHECK(store.lost == std::vector<std::size_t>{0});
}

TEST_CASE("when events were lost, nothing is ever believed again", "[store_changes]")
{
    std::size_t events_max = 0;
    std::ifstream{"/proc/sys/fs/inotify/max_queued_events"} >> events_max;
    REQUIRE(events_max > 0);
    Watched store;
    for (std::size_t i = 0; i <= events_max / 2; ++i) {
        const fs::path other = store.root() / "etc" / std::to_string(i % 2);
        write(other);
        fs::remove(other);
    }
    CHECK(store.has_changed());
    CHECK(store.has_changed());
    CHECK(store.lost == std::vector<std::size_t>{0});
}

TEST_CASE("a link that is replaced while the watches are made is watched as it leads then", "[store_watch]")
{
    const auto path = GENERATE("now/db", "now/later/db"); // the second one is not there before
    int watches = 0;
    fs::path root;
    Watched store{path, [&](const fs::path& directory) {
                      root = directory;
                      fs::create_directory(root / "v1");
                      fs::create_directories(root / "v2/later");
                      fs::create_directory_symlink("v1", root / "now");
                      before_watch = [&] {
                          if (++watches != 1)
                              return;
                          fs::create_directory_symlink("v2", root / "next");
                          fs::rename(root / "next", root / "now");
                      };
                  }};
    before_watch = {};
    CHECK_FALSE(store.has_changed());
    write(root / path);
    CHECK(store.has_changed());
    CHECK(store.lost.empty());
}

TEST_CASE("a path that keeps changing while the watches are made is a problem of its backend alone",
          "[store_watch]")
{
    const TemporaryDirectory directory;
    const fs::path link = directory.file("now");
    fs::create_directory_symlink("0", link);
    const std::vector<BackendConfig> backends{backend_at(link / "db"), backend_at(directory.file("db"))};
    int watches = 0;
    before_watch = [&] {
        const std::string target = std::to_string(++watches);
        fs::create_directory(directory.file(target));
        fs::remove(link);
        fs::create_directory_symlink(target, link);
    };
    const StoreWatch watch = watch_stores(backends);
    before_watch = {};
    CHECK(watch.problems ==
          std::vector<std::string>{
              link.string() + "/db cannot be watched: the path to it changes all the time", ""});
    const auto is_of_first = [](const WatchedStore& of) { return of.backend == 0; };
    CHECK(std::ranges::none_of(watch.stores, is_of_first));
    CHECK_FALSE(watch.stores.empty());
}

TEST_CASE("a store that cannot be watched is a problem of its backend alone", "[store_watch]")
{
    const TemporaryDirectory directory;
    write(directory.file("file"));
    const std::vector<BackendConfig> backends{backend_at(directory.file("no/such/db")), backend_elsewhere(),
                                              backend_at(directory.file("db")),
                                              backend_at(directory.file("file/db"))};
    const StoreWatch watch = watch_stores(backends);
    CHECK(watch.problems ==
          std::vector<std::string>{directory.file("no") + " cannot be watched: No such file or directory", "",
                                   "", directory.file("file") + " cannot be watched: Not a directory"});
    CHECK(watch.events.is_open());
}

TEST_CASE("nothing is watched for those whose logins are not kept, or who keep none here", "[store_watch]")
{
    const TemporaryDirectory directory;
    std::vector<BackendConfig> backends{backend_elsewhere(), backend_at(directory.file("no/such"))};
    backends[1].is_cached = false;
    const StoreWatch watch = watch_stores(backends);
    CHECK_FALSE(watch.events.is_open());
    CHECK(watch.stores.empty());
    CHECK(watch.problems == std::vector<std::string>(2));
    StoreChanges changes{{}, {}, 2, {}};
    changes.look();
    CHECK(changes.of(0) == 0);
}

TEST_CASE("every type says where its accounts are", "[store_watch]")
{
    const auto stores = [](const std::string& type) {
        BackendConfig backend = backend_at("/etc/sasldb2");
        backend.type = find_backend_type(type);
        return stores_of(backend);
    };
    CHECK(stores("sasldb") == std::vector<std::string>{"/etc/sasldb2"});
    CHECK(stores("shadow") == std::vector<std::string>{"/etc/passwd", "/etc/shadow"});
    CHECK(stores("getpwent") == std::vector<std::string>{"/etc/passwd", "/etc/shadow"});
    CHECK(stores("pam") == std::vector<std::string>{"/etc/pam.d/", "/etc/passwd", "/etc/shadow"});
    for (const std::string elsewhere : {"ldap", "rimap", "kerberos5"})
        CHECK(stores(elsewhere).empty());
    for (const BackendType& type : backend_types())
        CHECK(type.is_cached_by_default == (type.name != "pam"));
}
