// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_socket.hpp"
#include "tests/support/descriptors.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <vector>

namespace postern {

namespace {

using Received = MessageSocket::Received;

struct Channel {
    std::pair<MessageSocket, MessageSocket> ends = make_message_sockets();
    MessageSocket& ours = ends.first;
    MessageSocket& theirs = ends.second;
    std::array<char, 16> buffer{};

    Channel() { theirs.set_non_blocking(); }

    MessageSocket::Incoming receive() { return theirs.receive_with_descriptors(buffer); }
};

/// Sends more descriptors at once than a MessageSocket would.
void send_descriptors(int socket, const std::vector<int>& descriptors)
{
    const std::size_t size = descriptors.size() * sizeof(int);
    std::vector<char> control(CMSG_SPACE(size));
    char byte = 'x';
    iovec data{&byte, 1};
    msghdr header{};
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(size);
    std::memcpy(CMSG_DATA(rights), descriptors.data(), size);
    REQUIRE(::sendmsg(socket, &header, 0) == 1);
}

} // namespace

TEST_CASE("messages arrive whole, one at a time and in order", "[message_socket]")
{
    Channel channel;
    REQUIRE(channel.ours.send("first"));
    REQUIRE(channel.ours.send("second"));

    CHECK(channel.receive().bytes == "first");
    CHECK(channel.receive().bytes == "second");
    CHECK(channel.receive().state == Received::nothing);
}

TEST_CASE("a message fills the buffer and has not a byte more", "[message_socket]")
{
    const auto [length, state] = GENERATE(table<std::size_t, Received>({
        {15, Received::message},
        {16, Received::message},
        {17, Received::broken},
    }));
    CAPTURE(length);
    Channel channel;
    REQUIRE(channel.ours.send(std::string(length, 'x')));

    const auto incoming = channel.receive();
    CHECK(incoming.state == state);
    CHECK(incoming.bytes == std::string(state == Received::message ? length : 0, 'x'));
}

TEST_CASE("what follows a message that was too long is received as ever", "[message_socket]")
{
    Channel channel;
    REQUIRE(channel.ours.send(std::string(17, 'x')));
    REQUIRE(channel.ours.send("next"));
    CHECK(channel.receive().state == Received::broken);
    CHECK(channel.receive().bytes == "next");
}

TEST_CASE("a descriptor travels with its message and belongs to the receiver", "[message_socket]")
{
    Channel channel;
    Pipe pipe = make_pipe();
    REQUIRE(channel.ours.send("take this", std::array{pipe.write_end.get()}));
    pipe.write_end.reset();
    char byte = 0;
    {
        auto incoming = channel.receive();
        REQUIRE(incoming.descriptors.size() == 1);
        const int received = incoming.descriptors.front().get();
        CHECK((::fcntl(received, F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(::write(received, "!", 1) == 1);
        CHECK(::read(pipe.read_end.get(), &byte, 1) == 1);
    }
    CHECK(::read(pipe.read_end.get(), &byte, 1) == 0); // the end of the file: its last writer is closed
}

TEST_CASE("as many descriptors as are allowed travel in one message", "[message_socket]")
{
    Channel channel;
    const Pipe pipe = make_pipe();
    const std::vector<int> descriptors(MessageSocket::descriptors_max, pipe.write_end.get());
    REQUIRE(channel.ours.send("all", descriptors));
    CHECK(channel.receive().descriptors.size() == descriptors.size());
}

TEST_CASE("descriptors of a message that is none of ours are closed", "[message_socket]")
{
    Channel channel;
    const Pipe pipe = make_pipe();
    const std::size_t before = open_descriptors();

    SECTION("too many of them")
    {
        send_descriptors(channel.ours.fd(), std::vector<int>(200, pipe.write_end.get()));
        CHECK(channel.receive().state == Received::broken);
    }
    SECTION("with a message that is too long")
    {
        REQUIRE(channel.ours.send(std::string(17, 'x'), std::array{pipe.write_end.get()}));
        CHECK(channel.receive().state == Received::broken);
    }
    SECTION("with an empty message")
    {
        REQUIRE(channel.ours.send("", std::array{pipe.write_end.get()}));
        CHECK(channel.receive().state == Received::end);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("messages sent before the end are received before it", "[message_socket]")
{
    Channel channel;
    REQUIRE(channel.ours.send("last words"));
    channel.ours.close();
    CHECK(channel.receive().bytes == "last words");
    CHECK(channel.receive().state == Received::end);
    CHECK(channel.receive().state == Received::end);
}

TEST_CASE("last words are received from one who has left something unread", "[message_socket]")
{
    Channel channel;
    REQUIRE(channel.theirs.send("never read"));
    REQUIRE(channel.ours.send("last words"));
    channel.ours.close();
    CHECK(channel.receive().bytes == "last words");
    CHECK(channel.receive().state == Received::end);
}

TEST_CASE("sending to one who is gone fails and kills nobody", "[message_socket]")
{
    Channel channel;
    channel.theirs.close();
    CHECK_FALSE(channel.ours.send("hello?"));
}

TEST_CASE("sending to one who does not read fails without blocking", "[message_socket]")
{
    Channel channel;
    channel.ours.set_non_blocking();
    int sent = 0;
    while (sent < 1'000'000 && channel.ours.send("message"))
        ++sent;
    CHECK(sent < 1'000'000);

    CHECK(channel.receive().bytes == "message");
    CHECK(channel.ours.send("room again"));
}

TEST_CASE("both ends of a channel are closed on exec", "[message_socket]")
{
    const Channel channel;
    CHECK((::fcntl(channel.ours.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(channel.theirs.fd(), F_GETFD) & FD_CLOEXEC) != 0);
}

} // namespace postern
