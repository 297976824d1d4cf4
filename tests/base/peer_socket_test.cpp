// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_socket.hpp"
#include "base/peer_socket.hpp"
#include "base/posix_error.hpp"
#include "tests/support/descriptors.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <string>

using namespace postern;

namespace {

/// A peer, and our end of its connection.
struct Connection {
    Connection()
    {
        std::array<int, 2> ends{};
        check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
        peer = UniqueFd{ends[0]};
        ours.emplace(UniqueFd{ends[1]});
    }

    /// From the peer: a byte with a descriptor.
    void send_descriptor(int fd)
    {
        MessageSocket sender{UniqueFd{::dup(peer.get())}};
        REQUIRE(sender.send("x", {&fd, 1}));
    }

    PeerSocket::Incoming receive() { return ours->receive(buffer); }

    UniqueFd peer;
    std::optional<PeerSocket> ours;
    std::array<char, 16> buffer{};
};

} // namespace

TEST_CASE("who a peer is can be asked, also when it has gone", "[peer]")
{
    Connection connection;
    const auto peer = connection.ours->peer();
    REQUIRE(peer);
    CHECK(peer->uid == ::getuid());
    CHECK(peer->pid == static_cast<std::uint32_t>(::getpid()));
    connection.peer.reset();
    CHECK(connection.ours->peer()->pid == peer->pid);
    CHECK_FALSE(PeerSocket{UniqueFd{}}.peer());
}

TEST_CASE("a peer's bytes, its silence and its end are told apart", "[peer]")
{
    Connection connection;
    CHECK(connection.receive().state == PeerSocket::Received::nothing);
    REQUIRE(::send(connection.peer.get(), "abc", 3, 0) == 3);
    CHECK(connection.receive().size == 3);
    CHECK(std::string(connection.buffer.data(), 3) == "abc");
    connection.peer.reset();
    CHECK(connection.receive().state == PeerSocket::Received::end);
}

TEST_CASE("who is not listened to any more is told so when it writes, and what it wrote before is still there",
          "[peer]")
{
    Connection connection;
    REQUIRE(::send(connection.peer.get(), "abc", 3, MSG_NOSIGNAL) == 3);
    connection.ours->end_receiving();
    CHECK(::send(connection.peer.get(), "d", 1, MSG_NOSIGNAL) == -1);
    CHECK(errno == EPIPE);
    CHECK(connection.receive().size == 3);
    CHECK(connection.receive().state == PeerSocket::Received::end);
    CHECK(connection.ours->send("OK"));
}

TEST_CASE("a peer reads what was sent, and the end", "[peer]")
{
    Connection connection;
    CHECK(connection.ours->send("OK"));
    connection.ours->end_sending();
    std::array<char, 8> got{};
    CHECK(::recv(connection.peer.get(), got.data(), got.size(), 0) == 2);
    CHECK(::recv(connection.peer.get(), got.data(), got.size(), 0) == 0);
}

TEST_CASE("sending to a peer that is gone is no signal, only false", "[peer]")
{
    Connection connection;
    connection.peer.reset();
    CHECK_FALSE(connection.ours->send("OK"));
    CHECK_FALSE(connection.ours->send_part("OK"));
}

TEST_CASE("what does not fit a peer's socket at once is sent in parts, and a full one takes none", "[peer]")
{
    Connection connection;
    const std::string much(16 << 20, 'x');
    const auto first = connection.ours->send_part(much);
    REQUIRE(first);
    CHECK(*first > 0);
    CHECK(*first < much.size());
    CHECK(connection.ours->send_part(much) == 0U);
    CHECK_FALSE(connection.ours->send(much));
}

TEST_CASE("a descriptor that a peer sends is never taken", "[peer]")
{
    Connection connection;
    const UniqueFd something{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const auto before = open_descriptors();
    connection.send_descriptor(something.get());
    CHECK(connection.receive().state == PeerSocket::Received::bytes);
    CHECK(open_descriptors() == before);
}

TEST_CASE("where the kernel can refuse descriptors, a peer that sends one is told", "[peer]")
{
    Connection connection;
    refuse_descriptors(connection.ours->fd());
    int passes = 1;
    socklen_t size = sizeof passes;
    if (::getsockopt(connection.ours->fd(), SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &passes, &size) < 0)
        return; // an older kernel
    MessageSocket sender{UniqueFd{::dup(connection.peer.get())}};
    const int fd = connection.peer.get();
    CHECK_FALSE(sender.send("x", {&fd, 1}));
}
