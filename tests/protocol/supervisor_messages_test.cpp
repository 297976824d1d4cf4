// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/supervisor_messages.hpp"

#include <catch2/catch.hpp>

#include <array>
#include <string>

using namespace postern;

namespace {

std::string written(const FrontMessage& message)
{
    std::array<char, supervisor_message_bytes_max> memory{};
    return std::string{write_front_message(memory, message)};
}

std::string written(const SupervisorMessage& message)
{
    std::array<char, supervisor_message_bytes_max> memory{};
    return std::string{write_supervisor_message(memory, message)};
}

} // namespace

TEST_CASE("what a front says is understood as it was meant", "[supervisor]")
{
    CHECK(std::holds_alternative<FrontReady>(*parse_front_message(written(FrontReady{}))));
    CHECK(std::holds_alternative<Pong>(*parse_front_message(written(Pong{}))));
    CHECK(std::holds_alternative<NeedSyslog>(*parse_front_message(written(NeedSyslog{}))));
    const auto start = std::get<StartWorker>(*parse_front_message(written(StartWorker{65535, 0xfffffffe})));
    CHECK(start.backend == 65535);
    CHECK(start.worker == 0xfffffffe);
    CHECK(std::get<KillWorker>(*parse_front_message(written(KillWorker{7}))).worker == 7);
    CHECK(std::get<ReleaseWorker>(*parse_front_message(written(ReleaseWorker{8}))).worker == 8);
    CHECK(std::get<RefusedCall>(*parse_front_message(written(RefusedCall{257}))).number == 257);
}

TEST_CASE("what a supervisor says is understood as it was meant", "[supervisor]")
{
    CHECK(std::get<WorkerStarted>(*parse_supervisor_message(written(WorkerStarted{7}))).worker == 7);
    CHECK(std::get<WorkerEnded>(*parse_supervisor_message(written(WorkerEnded{8}))).worker == 8);
    CHECK(std::holds_alternative<SyslogSocket>(*parse_supervisor_message(written(SyslogSocket{}))));
    CHECK(std::holds_alternative<Ping>(*parse_supervisor_message(written(Ping{}))));
    CHECK(std::holds_alternative<Finish>(*parse_supervisor_message(written(Finish{}))));
}

TEST_CASE("neither side can speak for the other", "[supervisor]")
{
    CHECK_FALSE(parse_supervisor_message(written(KillWorker{7})));
    CHECK_FALSE(parse_front_message(written(WorkerEnded{7})));
}

TEST_CASE("a message that is cut, too long or unknown is none", "[supervisor]")
{
    const std::string start = written(StartWorker{1, 2});
    for (std::size_t size = 0; size < start.size(); ++size)
        CHECK_FALSE(parse_front_message(start.substr(0, size)));
    CHECK_FALSE(parse_front_message(start + 'x'));
    for (int type = 0; type < 256; ++type) {
        CAPTURE(type);
        const std::string message(1, static_cast<char>(type));
        CHECK(parse_front_message(message).has_value() == (type == 1 || type == 5 || type == 7));
        CHECK(parse_supervisor_message(message).has_value() == (type == 18 || type == 19 || type == 20));
    }
}
