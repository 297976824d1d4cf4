// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "daemon/listening_socket.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <optional>

using namespace postern;
namespace fs = std::filesystem;

namespace {

constexpr auto beside = ListeningSocket::Placement::beside;
constexpr auto beside_ours = ListeningSocket::Placement::beside_ours;
const SocketRights for_all{{}, {}, 0777};

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

private:
    TemporaryDirectory directory_;
};

/// 0, or why nobody could connect.
int connect_to(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0
                                                                                                     : errno;
}

/// As a daemon that was killed leaves it.
void leave_dead_socket(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
}

bool has_peer(const ListeningSocket& socket)
{
    return UniqueFd{::accept4(socket.fd(), nullptr, nullptr, SOCK_CLOEXEC)}.is_open();
}

} // namespace

TEST_CASE("a listening socket takes the place of a dead one, and goes with its owner", "[socket]")
{
    Place place;
    leave_dead_socket(place.path());
    {
        const ListeningSocket socket{place.path(), for_all};
        CHECK(fs::is_socket(place.path()));
        CHECK(place.mode() == 0777);
        CHECK(connect_to(place.path()) == 0);
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
    successor.emplace(place.path(), for_all, beside_ours);
    CHECK(connect_to(place.path()) == 0);
    CHECK(has_peer(served));
    CHECK_FALSE(has_peer(*successor));

    successor->take_place();
    CHECK(connect_to(place.path()) == 0);
    CHECK(has_peer(*successor));
    CHECK_FALSE(has_peer(served));
    CHECK(std::distance(fs::directory_iterator{fs::path{place.path()}.parent_path()}, {}) == 1);
}

TEST_CASE("the end of an old socket does not take the name from the new one", "[socket]")
{
    Place place;
    std::optional<ListeningSocket> served;
    served.emplace(place.path(), for_all);
    ListeningSocket successor{place.path(), for_all, beside_ours};
    successor.take_place();
    served.reset();
    CHECK(connect_to(place.path()) == 0);
}

TEST_CASE("a socket that never took its place leaves nothing behind", "[socket]")
{
    Place place;
    {
        const ListeningSocket served{place.path(), for_all};
        const ListeningSocket successor{place.path(), for_all, beside_ours};
    }
    CHECK(fs::is_empty(fs::path{place.path()}.parent_path()));
}

TEST_CASE("a path that is too long for a socket is refused, not cut", "[socket]")
{
    Place place;
    const std::string directory = fs::path{place.path()}.parent_path();
    const std::string path = directory + "/" + std::string(107 - directory.size() - 1, 'x');
    REQUIRE(path.size() == 107);
    CHECK_NOTHROW(ListeningSocket{path, for_all});
    CHECK_THROWS_AS((ListeningSocket{path + "x", for_all}), std::system_error);
}

TEST_CASE("what is no socket is never touched, in no placement", "[socket]")
{
    const auto placement = GENERATE(ListeningSocket::Placement::at_path, beside, beside_ours);
    Place place;
    std::ofstream{place.path()} << "precious";
    CHECK_THROWS_WITH((ListeningSocket{place.path(), for_all, placement}), Catch::Contains(place.path()));
    CHECK(fs::file_size(place.path()) == 8);
    CHECK(std::distance(fs::directory_iterator{fs::path{place.path()}.parent_path()}, {}) == 1);
}

TEST_CASE("a socket that somebody else serves is left to him", "[socket]")
{
    const auto placement = GENERATE(ListeningSocket::Placement::at_path, beside);
    Place place;
    const ListeningSocket served{place.path(), for_all};
    CHECK_THROWS_AS((ListeningSocket{place.path(), for_all, placement}), SocketInUse);
    REQUIRE(has_peer(served)); // who asked whether it is served
    CHECK(connect_to(place.path()) == 0);
    CHECK(has_peer(served));
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
