// SPDX-License-Identifier: BSD-2-Clause
#include "base/peer_socket.hpp"

#include "base/message_socket.hpp"
#include "base/posix_error.hpp"
#include "base/received_descriptors.hpp"
#include "tests/support/descriptors.hpp"

#include <catch2/catch.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// A peer, and our end of its connection.
struct Connection {
    explicit Connection(bool brings_descriptors)
    {
        std::array<int, 2> ends{};
        check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
        peer = UniqueFd{ends[0]};
        ours.emplace(UniqueFd{ends[1]}, brings_descriptors);
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

/// A TCP socket whose last close() waits for a minute: it has more to send than anybody reads.
struct LingeringSocket {
    LingeringSocket()
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const any = reinterpret_cast<sockaddr*>(&address);
        check(::bind(listener.get(), any, size), "bind");
        check(::listen(listener.get(), 1), "listen");
        check(::getsockname(listener.get(), any, &size), "getsockname");
        check(::connect(sender.get(), any, size), "connect");
        constexpr linger a_minute{1, 60};
        check(::setsockopt(sender.get(), SOL_SOCKET, SO_LINGER, &a_minute, sizeof a_minute), "linger");
        const std::string much(1 << 16, 'x');
        while (::send(sender.get(), much.data(), much.size(), MSG_DONTWAIT) > 0) {
        }
    }

    UniqueFd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    UniqueFd sender{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
};

} // namespace

TEST_CASE("a peer's bytes, its silence and its end are told apart", "[peer]")
{
    Connection connection{GENERATE(false, true)};
    CHECK(connection.receive().state == PeerSocket::Received::nothing);
    REQUIRE(::send(connection.peer.get(), "abc", 3, 0) == 3);
    CHECK(connection.receive().size == 3);
    CHECK(std::string(connection.buffer.data(), 3) == "abc");
    connection.peer.reset();
    CHECK(connection.receive().state == PeerSocket::Received::end);
}

TEST_CASE("a peer reads what was sent, and the end", "[peer]")
{
    Connection connection{GENERATE(false, true)};
    CHECK(connection.ours->send("OK"));
    connection.ours->end_sending();
    std::array<char, 8> got{};
    CHECK(::recv(connection.peer.get(), got.data(), got.size(), 0) == 2);
    CHECK(::recv(connection.peer.get(), got.data(), got.size(), 0) == 0);
}

TEST_CASE("sending to a peer that is gone is no signal, only false", "[peer]")
{
    Connection connection{true};
    connection.peer.reset();
    CHECK_FALSE(connection.ours->send("OK"));
}

TEST_CASE("a peer that sends descriptors is at its end, and they are closed", "[peer]")
{
    Connection connection{true};
    const UniqueFd something{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const auto before = open_descriptors();
    connection.send_descriptor(something.get());
    CHECK(connection.receive().state == PeerSocket::Received::end);
    CHECK(open_descriptors() == before);
}

TEST_CASE("no descriptor that a peer sends makes us wait, read or unread", "[peer]")
{
    const bool is_read = GENERATE(true, false);
    Connection connection{true};
    LingeringSocket lingering;
    connection.send_descriptor(lingering.sender.get());
    lingering.sender.reset(); // the one in the message is the last
    const auto began = std::chrono::steady_clock::now();
    if (is_read)
        CHECK(connection.receive().state == PeerSocket::Received::end);
    connection.ours.reset();
    CHECK(std::chrono::steady_clock::now() - began < 30s); // it would be a minute
}

TEST_CASE("where the kernel can refuse descriptors, a peer that sends one is told", "[peer]")
{
    Connection connection{false};
    CHECK_FALSE(refuses_descriptors(connection.ours->fd()));
    refuse_descriptors(connection.ours->fd());
    if (!refuses_descriptors(connection.ours->fd()))
        return; // an older kernel
    MessageSocket sender{UniqueFd{::dup(connection.peer.get())}};
    const int fd = connection.peer.get();
    CHECK_FALSE(sender.send("x", {&fd, 1}));
}
