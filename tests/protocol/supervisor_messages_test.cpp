// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/supervisor_messages.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

using namespace postern;

namespace {

/// No more memory than the supervisor gives to it.
std::string written(const FrontMessage& message)
{
    std::array<char, front_message_bytes_max> memory{};
    return std::string{write_front_message(memory, message)};
}

std::string written(const SupervisorMessage& message)
{
    std::array<char, supervisor_message_bytes_max> memory{};
    return std::string{write_supervisor_message(memory, message)};
}

/// What the supervisor understands of what a front says.
template <typename Message>
Message understood(const Message& message) requires std::is_constructible_v<FrontMessage, Message>
{
    return std::get<Message>(parse_front_message(written(FrontMessage{message})).value());
}

/// What the front understands of what a supervisor says.
template <typename Message>
Message understood(const Message& message) requires std::is_constructible_v<SupervisorMessage, Message>
{
    return std::get<Message>(parse_supervisor_message(written(SupervisorMessage{message})).value());
}

const std::vector<FrontMessage> every_front_message{
    FrontReady{}, StartWorker{1, 2},  KillWorker{7}, ReleaseWorker{8}, RetireWorker{10}, NeedSyslog{},
    Pong{},       RefusedCall{0x101}, Finishing{},   Reload{9},
};

const std::vector<SupervisorMessage> every_supervisor_message{
    WorkerStarted{7, 4711},
    WorkerEnded{8},
    SyslogSocket{},
    Ping{},
    Open{},
    Finish{},
    Finish{true},
    ReloadEnded{9, ""},
    ReloadEnded{9, "postern.conf:1: what is this?"},
};

} // namespace

TEST_CASE("what a front says is understood as it was meant", "[supervisor]")
{
    understood(FrontReady{});
    understood(Pong{});
    understood(NeedSyslog{});
    understood(Finishing{});
    CHECK(understood(StartWorker{65'535, 1}).backend == 65'535);
    CHECK(understood(StartWorker{1, UINT32_MAX}).worker == UINT32_MAX);
    CHECK(understood(KillWorker{7}).worker == 7);
    CHECK(understood(ReleaseWorker{8}).worker == 8);
    CHECK(understood(RefusedCall{257}).number == 257);
    CHECK(understood(Reload{UINT32_MAX}).request == UINT32_MAX);
}

TEST_CASE("what a supervisor says is understood as it was meant", "[supervisor]")
{
    understood(SyslogSocket{});
    understood(Ping{});
    understood(Open{});
    understood(Finish{});
    CHECK(understood(WorkerStarted{7, 4'194'303}).worker == 7);
    CHECK(understood(WorkerStarted{7, 4'194'303}).pid == 4'194'303);
    CHECK(understood(WorkerEnded{8}).worker == 8);
    CHECK(understood(ReloadEnded{UINT32_MAX, ""}).request == UINT32_MAX);
    CHECK(understood(ReloadEnded{9, ""}).problem.empty());
    CHECK(understood(ReloadEnded{9, "a:1: what?\nb:2: \xff"}).problem == "a:1: what?\nb:2: \xff");
}

TEST_CASE("a problem is cut rather than making its message too long", "[supervisor]")
{
    const std::string endless(100'000, 'x');
    const std::string told = understood(ReloadEnded{9, endless}).problem;
    CHECK(told == std::string(told.size(), 'x'));
    CHECK(told.size() >= 8000);
}

TEST_CASE("neither side can speak for the other", "[supervisor]")
{
    for (const FrontMessage& message : every_front_message) {
        CAPTURE(message.index());
        CHECK_FALSE(parse_supervisor_message(written(message)));
    }
    for (const SupervisorMessage& message : every_supervisor_message) {
        CAPTURE(message.index());
        CHECK_FALSE(parse_front_message(written(message)));
    }
}

TEST_CASE("a message that is cut or too long is none", "[supervisor]")
{
    for (const FrontMessage& message : every_front_message) {
        const std::string wire = written(message);
        CHECK(parse_front_message(wire));
        for (std::size_t size = 0; size < wire.size(); ++size)
            CHECK_FALSE(parse_front_message(wire.substr(0, size)));
        CHECK_FALSE(parse_front_message(wire + 'x'));
    }
    for (const SupervisorMessage& message : every_supervisor_message) {
        const std::string wire = written(message);
        CHECK(parse_supervisor_message(wire));
        for (std::size_t size = 0; size < wire.size(); ++size)
            CHECK_FALSE(parse_supervisor_message(wire.substr(0, size)));
        CHECK_FALSE(parse_supervisor_message(wire + 'x'));
    }
}

TEST_CASE("of messages without fields there are these and no others", "[supervisor]")
{
    for (int type = 0; type < 256; ++type) {
        CAPTURE(type);
        const std::string message(1, static_cast<char>(type));
        CHECK(parse_front_message(message).has_value() == (type == 1 || type == 5 || type == 7 || type == 8));
        CHECK(parse_supervisor_message(message).has_value() == (type == 18 || type == 20 || type == 21));
    }
}
