// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_channel.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/manual_clock.hpp"

#include <sys/stat.h>

#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

using namespace postern;

namespace {

/// A channel, and the other side of it, which reads when a test says so.
struct Pair {
    Pair()
    {
        auto [ours, theirs] = make_message_sockets();
        other = std::move(theirs);
        channel.emplace(loop, std::move(ours), [this] { on_readable(); });
    }

    void on_readable()
    {
        got.push_back(std::string{channel->receive(buffer).bytes});
        if (got.back() == "stop")
            loop.stop();
    }

    /// All that the other side has been sent by now.
    std::size_t read_all()
    {
        other.set_non_blocking();
        std::size_t count = 0;
        for (auto incoming = other.receive_with_descriptors(buffer);
             incoming.state == MessageSocket::Received::message;
             incoming = other.receive_with_descriptors(buffer)) {
            read.emplace_back(incoming.bytes);
            descriptors_read += incoming.descriptors.size();
            ++count;
        }
        return count;
    }

    ManualClock clock;
    EventLoop loop{clock};
    MessageSocket other;
    std::optional<MessageChannel> channel;
    std::array<char, 64> buffer{};
    std::vector<std::string> got;
    std::vector<std::string> read;
    std::size_t descriptors_read = 0;
};

} // namespace

TEST_CASE("messages arrive on both sides of a channel", "[channel]")
{
    Pair pair;
    CHECK(pair.channel->send("hello"));
    CHECK(pair.read_all() == 1);
    REQUIRE(pair.other.send("a"));
    REQUIRE(pair.other.send("stop"));
    pair.loop.run();
    CHECK(pair.got == std::vector<std::string>{"a", "stop"});
}

TEST_CASE("what the other side does not read yet waits, in its order, and nothing is lost", "[channel]")
{
    Pair pair;
    constexpr int count = 2000; // far more than a socket holds
    for (int i = 0; i < count; ++i)
        REQUIRE(pair.channel->send(std::to_string(i)));
    pair.loop.at_turn_end([&pair] {
        pair.read_all();
        if (pair.read.size() == count)
            pair.loop.stop();
    });
    pair.loop.run();
    for (int i = 0; i < count; ++i)
        REQUIRE(pair.read[static_cast<std::size_t>(i)] == std::to_string(i));
}

TEST_CASE("descriptors wait with their message, and are the sender's own no longer", "[channel]")
{
    Pair pair;
    while (pair.channel->send("x") && pair.read.empty() && pair.descriptors_read < 1000)
        ++pair.descriptors_read; // until the socket is certainly full
    pair.descriptors_read = 0;
    const auto before = open_descriptors();
    CHECK(pair.channel->send("with", std::array{pair.other.fd(), pair.other.fd()}));
    CHECK(open_descriptors() == before + 2);
    pair.loop.at_turn_end([&pair] {
        pair.read_all();
        if (!pair.read.empty() && pair.read.back() == "with")
            pair.loop.stop();
    });
    pair.loop.run();
    CHECK(pair.descriptors_read == 2);
    CHECK(open_descriptors() == before);
}

TEST_CASE("a side that never reads is given up after a bound", "[channel]")
{
    Pair pair;
    std::size_t taken = 0;
    while (pair.channel->send("x"))
        REQUIRE(++taken < 2 * MessageChannel::waiting_max);
    CHECK(taken >= MessageChannel::waiting_max);
}

TEST_CASE("a side that never reads holds a bounded number of descriptors", "[channel]")
{
    Pair pair;
    const auto before = open_descriptors();
    const std::array descriptors{pair.other.fd(), pair.other.fd(), pair.other.fd()};
    while (pair.channel->send("with", descriptors)) {
    }
    CHECK(open_descriptors() <= before + MessageChannel::waiting_descriptors_max);
    CHECK(open_descriptors() > before + MessageChannel::waiting_descriptors_max - 3);
}

TEST_CASE("a side that is gone is known at once", "[channel]")
{
    Pair pair;
    pair.other.close();
    CHECK_FALSE(pair.channel->send("x"));
}
