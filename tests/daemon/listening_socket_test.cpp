// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "daemon/listening_socket.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/unix_sockets.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <deque>
#include <fstream>
#include <optional>

using namespace postern;
namespace fs = std::filesystem;

namespace {

constexpr auto beside = ListeningSocket::Placement::beside;
constexpr auto at_path = ListeningSocket::Placement::at_path;
const SocketRights for_all{{}, {}, 0777};
const SocketMaker us{::getpid(), ::geteuid()};

/// A directory for sockets.
class Place {
public:
    [[nodiscard]] std::string path(const std::string& name = "mux") const { return directory_.file(name); }

    [[nodiscard]] struct stat status(const std::string& name = "mux") const
    {
        struct stat found {};
        REQUIRE(::lstat(path(name).c_str(), &found) == 0);
        return found;
    }
    [[nodiscard]] mode_t mode(const std::string& name = "mux") const { return status(name).st_mode & 07777; }

    [[nodiscard]] std::string directory() const { return directory_.path(); }

    [[nodiscard]] auto files() const { return std::distance(fs::directory_iterator{directory()}, {}); }

private:
    TemporaryDirectory directory_;
};

/// 0, or why nobody could connect.
int try_connection(const std::string& path)
{
    return connect_to(path).is_open() ? 0 : errno;
}

/// As a daemon that was killed leaves it.
void leave_dead_socket(const std::string& path)
{
    make_bound_socket(path, SOCK_STREAM, false).reset();
}

bool has_peer(const ListeningSocket& socket)
{
    return UniqueFd{::accept4(socket.fd(), nullptr, nullptr, SOCK_CLOEXEC)}.is_open();
}

/// How often this process has given its processor away, to wait for something.
long times_asleep()
{
    rusage usage{};
    REQUIRE(::getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_nvcsw;
}

/// A file that whoever opens it has to wait for, until the kernel takes the lease away.
class Leased {
public:
    explicit Leased(const std::string& path) : file_{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)}
    {
        ::signal(SIGIO, SIG_IGN); // it says that somebody waits
        REQUIRE(::fcntl(file_.get(), F_SETLEASE, F_WRLCK) == 0);
    }

private:
    UniqueFd file_;
};

} // namespace

TEST_CASE("a listening socket takes the place of a dead one, and goes with its owner", "[socket]")
{
    Place place;
    leave_dead_socket(place.path());
    {
        const ListeningSocket socket{place.path(), for_all};
        CHECK(fs::is_socket(place.path()));
        CHECK(place.mode() == 0777);
        CHECK(try_connection(place.path()) == 0);
        CHECK(has_peer(socket));
    }
    CHECK_FALSE(fs::exists(place.path()));
}

TEST_CASE("a socket has the owner, the group and the mode that it is given, whatever the umask", "[socket]")
{
    const auto mode = GENERATE(0600U, 0620U, 0660U, 0666U, 0777U);
    const mode_t before = ::umask(0077);
    Place place;
    const SocketRights rights{::geteuid(), ::getegid(), mode};
    const ListeningSocket socket{place.path(), rights};
    ::umask(before);
    CHECK(place.mode() == mode);
    CHECK(place.status().st_uid == ::geteuid());
    CHECK(place.status().st_gid == ::getegid());
}

TEST_CASE("rights can change while the socket serves", "[socket]")
{
    Place place;
    ListeningSocket socket{place.path(), for_all};
    const ino_t inode = place.status().st_ino;
    socket.set_rights({{}, {}, 0640});
    CHECK(place.mode() == 0640);
    socket.set_rights({{}, {}, 0666});
    CHECK(place.mode() == 0666);
    CHECK(place.status().st_ino == inode);
}

TEST_CASE("the rights of what is no socket of ours are never changed", "[socket]")
{
    const bool is_link = GENERATE(true, false);
    Place place;
    ListeningSocket socket{place.path(), for_all};
    std::ofstream{place.path("precious")};
    fs::permissions(place.path("precious"), fs::perms{0600});
    fs::remove(place.path());
    if (is_link)
        fs::create_symlink(place.path("precious"), place.path());
    else
        fs::create_hard_link(place.path("precious"), place.path());
    CHECK_THROWS_AS(socket.set_rights({{}, {}, 0666}), std::system_error);
    CHECK(place.mode("precious") == 0600);
}

TEST_CASE("beside a socket that somebody serves, ours waits until it takes the place", "[socket]")
{
    Place place;
    ListeningSocket served{place.path(), for_all};
    std::optional<ListeningSocket> successor;
    successor.emplace(place.path(), for_all, beside, us);
    REQUIRE(has_peer(served)); // who asked whose it is
    CHECK(try_connection(place.path()) == 0);
    CHECK(has_peer(served));
    CHECK_FALSE(has_peer(*successor));

    successor->take_place();
    CHECK(try_connection(place.path()) == 0);
    CHECK(has_peer(*successor));
    CHECK_FALSE(has_peer(served));
    CHECK(place.files() == 1);
}

TEST_CASE("the end of an old socket does not take the name from the new one", "[socket]")
{
    Place place;
    std::optional<ListeningSocket> served;
    served.emplace(place.path(), for_all);
    ListeningSocket successor{place.path(), for_all, beside, us};
    successor.take_place();
    served.reset();
    CHECK(try_connection(place.path()) == 0);
}

TEST_CASE("a socket that never took its place leaves nothing behind", "[socket]")
{
    Place place;
    {
        const ListeningSocket served{place.path(), for_all};
        const ListeningSocket successor{place.path(), for_all, beside, us};
    }
    CHECK(fs::is_empty(place.directory()));
}

TEST_CASE("a path that is too long for a socket is refused, not cut", "[socket]")
{
    Place place;
    const std::string directory = place.directory();
    const std::string path = directory + "/" + std::string(107 - directory.size() - 1, 'x');
    REQUIRE(path.size() == 107);
    CHECK_NOTHROW(ListeningSocket{path, for_all});
    CHECK_THROWS_AS((ListeningSocket{path + "x", for_all}), std::system_error);
}

TEST_CASE("what is no socket is never touched, in no placement", "[socket]")
{
    const auto placement = GENERATE(at_path, beside);
    Place place;
    std::ofstream{place.path()} << "precious";
    CHECK_THROWS_WITH((ListeningSocket{place.path(), for_all, placement}), Catch::Contains(place.path()));
    CHECK(fs::file_size(place.path()) == 8);
    CHECK(place.files() == 1);
}

TEST_CASE("a socket that somebody else serves is left to him", "[socket]")
{
    const auto placement = GENERATE(at_path, beside);
    Place place;
    const ListeningSocket served{place.path(), for_all};
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, placement}), SocketInUse);
    REQUIRE(has_peer(served)); // who asked whether it is served
    CHECK(try_connection(place.path()) == 0);
    CHECK(has_peer(served));
}

TEST_CASE("beside a socket that a predecessor does not serve, none is made, whoever serves it", "[socket]")
{
    Place place;
    const Stranger stranger{place.path()};
    const pid_t pid = stranger.pid();
    const auto which = GENERATE(0U, 1U, 2U, 3U); // each has a stranger of its own
    const SocketMaker predecessor =
        std::array{us, SocketMaker{pid, ::geteuid() + 1}, SocketMaker{0, ::geteuid()}, SocketMaker{}}.at(
            which);
    CHECK_THROWS_WITH((ListeningSocket{place.path(), for_all, beside, predecessor}),
                      Catch::Contains(place.path()) && Catch::Contains("process " + std::to_string(pid)));
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, beside, predecessor}), SocketInUse);
    CHECK(place.files() == 1);
    REQUIRE(stranger.has_peer()); // who asked whose it is
    const ListeningSocket successor{place.path(), for_all, beside,
                                    SocketMaker{pid, ::geteuid()}}; // he was the predecessor
}

TEST_CASE("somebody who is too busy to say who he is, is somebody all the same", "[socket]")
{
    const auto predecessor = GENERATE(std::optional<SocketMaker>{}, std::optional{us});
    Place place;
    const UniqueFd busy = make_bound_socket(place.path());
    REQUIRE(::listen(busy.get(), 0) == 0);
    const UniqueFd waiting = connect_to(place.path());
    REQUIRE(waiting.is_open());
    REQUIRE(try_connection(place.path()) == EAGAIN);
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, beside, predecessor}), SocketInUse);
    CHECK(take_connection(busy.get()).is_open());
}

TEST_CASE("who comes to serve a path while ours waits beside it, keeps it", "[socket]")
{
    const bool has_predecessor = GENERATE(true, false);
    Place place;
    std::optional<ListeningSocket> served;
    if (has_predecessor)
        served.emplace(place.path(), for_all);
    ListeningSocket late{place.path(), for_all, beside, us};
    served.reset();
    const Stranger newcomer{place.path()};
    CHECK_THROWS_AS(late.take_place(), SocketInUse);
    REQUIRE(newcomer.has_peer()); // who asked whether it is served
    CHECK(try_connection(place.path()) == 0);
    CHECK(newcomer.has_peer());
    CHECK_FALSE(has_peer(late));
}

TEST_CASE("a dead socket that has come to stand at a path loses its place to ours", "[socket]")
{
    Place place;
    ListeningSocket socket{place.path(), for_all, beside};
    leave_dead_socket(place.path());
    socket.take_place();
    CHECK(try_connection(place.path()) == 0);
}

TEST_CASE("of two daemons that are about to serve one path, the second is refused", "[socket]")
{
    const auto placement = GENERATE(at_path, beside);
    const auto predecessor = GENERATE(std::optional<SocketMaker>{}, std::optional{us});
    Place place;
    std::optional<ListeningSocket> first;
    first.emplace(place.path(), for_all, beside);
    CHECK_THROWS_WITH((ListeningSocket{place.path(), for_all, placement, predecessor}),
                      Catch::Contains("another daemon is about to serve it"));
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, placement, predecessor}), SocketInUse);
    first->take_place();
    CHECK(place.files() == 1);
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, placement}), SocketInUse);
    first.reset();
    CHECK_NOTHROW(ListeningSocket{place.path(), for_all, placement});
    CHECK(fs::is_empty(place.directory()));
}

TEST_CASE("a socket that another daemon has bound, and does not serve yet, is not taken for a dead one",
          "[socket]")
{
    Place place;
    const UniqueFd bound = make_bound_socket(place.path(), SOCK_STREAM, false);
    const auto lock = LockFile::take(place.path(".mux.postern-lock"));
    REQUIRE(lock);
    const auto placement = GENERATE(at_path, beside);
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, placement}), SocketInUse);
    REQUIRE(::listen(bound.get(), 1) == 0);
    CHECK(try_connection(place.path()) == 0);
}

TEST_CASE("a name beside a path that another daemon has bound, and does not serve yet, stays its own",
          "[socket]")
{
    Place place;
    const UniqueFd bound = make_bound_socket(place.path(".0"), SOCK_STREAM, false);
    const auto lock = LockFile::take(place.path("..0.postern-lock"));
    REQUIRE(lock);
    ListeningSocket socket{place.path(), for_all, beside};
    REQUIRE(::listen(bound.get(), 1) == 0);
    const UniqueFd peer = connect_to(place.path(".0"));
    CHECK(take_connection(bound.get()).is_open());
    socket.take_place();
    CHECK(try_connection(place.path()) == 0);
    CHECK(has_peer(socket));
}

TEST_CASE("names beside a path that somebody else holds are passed by without waiting for any", "[socket]")
{
    constexpr int held_names = 100;
    Place place;
    std::vector<LockFile> locks;
    for (int i = 0; i < held_names; ++i) {
        auto lock = LockFile::take(place.path(".." + std::to_string(i) + ".postern-lock"));
        REQUIRE(lock);
        locks.push_back(std::move(*lock));
    }
    const long before = times_asleep();
    ListeningSocket socket{place.path(), for_all, beside};
    CHECK(times_asleep() - before < held_names);
    socket.take_place();
    CHECK(try_connection(place.path()) == 0);
}

TEST_CASE("a hundred sockets can wait beside their paths in one directory", "[socket]")
{
    Place place;
    std::deque<ListeningSocket> sockets;
    for (int i = 0; i < 100; ++i)
        sockets.emplace_back(place.path(std::to_string(i)), for_all, beside);
    for (ListeningSocket& socket : sockets)
        socket.take_place();
    CHECK(place.files() == 100);
}

TEST_CASE("a lock file on which its owner has a lease is somebody else's, and nobody waits for him",
          "[socket]")
{
    Place place;
    SECTION("of the path")
    {
        const Leased leased{place.path(".mux.postern-lock")};
        CHECK_THROWS_WITH((ListeningSocket{place.path(), for_all, beside}),
                          Catch::Contains("another daemon is about to serve it"));
    }
    SECTION("of a name beside it")
    {
        const Leased leased{place.path("..0.postern-lock")};
        const ListeningSocket socket{place.path(), for_all, beside};
        CHECK(fs::exists(place.path(".1")));
    }
    SECTION("of a daemon that may run")
    {
        const Leased leased{place.path("pid")};
        CHECK(LockFile::is_held(place.path("pid")));
    }
}

TEST_CASE("sockets wait beside their paths under names of their own", "[socket]")
{
    Place place;
    ListeningSocket one{place.path("one"), for_all, beside};
    ListeningSocket other{place.path("other"), for_all, beside};
    one.take_place();
    other.take_place();
    CHECK(try_connection(place.path("one")) == 0);
    CHECK(try_connection(place.path("other")) == 0);
    CHECK(place.files() == 2);
}

TEST_CASE("a lock, or a name beside, that a killed daemon has left keeps nobody out, and goes", "[socket]")
{
    Place place;
    leave_dead_socket(place.path(".0"));
    for (const char* lock : {".mux.postern-lock", "..0.postern-lock"})
        std::ofstream{place.path(lock)};
    ListeningSocket socket{place.path(), for_all, beside};
    socket.take_place();
    CHECK(place.files() == 1);
}

TEST_CASE("a socket on another file system is not taken for ours because of its number", "[socket]")
{
    if (::geteuid() != 0)
        return; // nobody else may mount
    Place place;
    REQUIRE(::unshare(CLONE_NEWNS) == 0);
    REQUIRE(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
    REQUIRE(::mount("none", place.directory().c_str(), "tmpfs", 0, nullptr) == 0);
    std::optional<ListeningSocket> ours;
    ours.emplace(place.path(), for_all);
    const ino_t inode = place.status().st_ino;
    REQUIRE(::mount("none", place.directory().c_str(), "tmpfs", 0, nullptr) == 0);
    {
        const ListeningSocket other{place.path(), for_all};
        REQUIRE(place.status().st_ino == inode);
        CHECK_THROWS_AS(ours->set_rights({{}, {}, 0600}), std::system_error);
        CHECK(place.mode() == 0777);
        ours.reset();
        CHECK(try_connection(place.path()) == 0);
    }
    CHECK(::umount(place.directory().c_str()) == 0);
    CHECK(::umount(place.directory().c_str()) == 0);
}

TEST_CASE("what stands at the place when it is to be taken is not replaced unless it is a socket", "[socket]")
{
    Place place;
    ListeningSocket socket{place.path(), for_all, beside};
    std::ofstream{place.path()} << "precious";
    CHECK_THROWS_AS(socket.take_place(), std::system_error);
    CHECK(fs::file_size(place.path()) == 8);
}

TEST_CASE("without an owner or a group a socket has those that it was made with, again", "[socket]")
{
    if (::geteuid() != 0)
        return; // nobody else may give a file away
    Place place;
    ListeningSocket socket{place.path(), for_all};
    socket.set_rights({65534, 65534, 0600});
    CHECK(place.status().st_uid == 65534);
    socket.set_rights({{}, {}, 0600});
    CHECK(place.status().st_uid == 0);
    CHECK(place.status().st_gid == ::getegid());
}
