// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/front_bounds.hpp"
#include "protocol/dovecot_wire.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

/// One listener, and two pools of five workers and ten that wait.
FrontSetup setup_of(ListenerProtocol protocol)
{
    FrontSetup setup;
    setup.sessions_max = 1000;
    setup.listeners.resize(1);
    setup.listeners[0].protocol = protocol;
    setup.pools.resize(2);
    for (PoolSetup& pool : setup.pools)
        pool.config = PoolConfig{.workers = 5, .workers_max = 5, .queue_max = 10};
    return setup;
}

} // namespace

TEST_CASE("sessions are as many as configured, or as there are descriptors left, or a few", "[front]")
{
    const FrontSetup setup = setup_of(ListenerProtocol::saslauthd);
    CHECK(sessions_possible(setup, UINT64_MAX) == 1000);
    CHECK(sessions_possible(setup, 4096) == 1000);
    const std::size_t left = sessions_possible(setup, 1024);
    CHECK(left < 1000);
    CHECK(sessions_possible(setup, 1023) == left - 1);
    CHECK(sessions_possible(setup, 16) == sessions_possible(setup, 0));
    CHECK(sessions_possible(setup, 0) > 0);
}

TEST_CASE("workers take descriptors from sessions", "[front]")
{
    FrontSetup setup = setup_of(ListenerProtocol::saslauthd);
    const std::size_t before = sessions_possible(setup, 1024);
    setup.pools[0].config.workers_max = 15;
    CHECK(sessions_possible(setup, 1024) == before - 20);
}

TEST_CASE("a session that speaks Dovecot can have all that the pools hold, and no more", "[front]")
{
    const std::size_t without = slots_max(setup_of(ListenerProtocol::saslauthd), 100);
    CHECK(slots_max(setup_of(ListenerProtocol::dovecot), 100) == without + 60);
    const FrontSetup setup = setup_of(ListenerProtocol::dovecot);
    CHECK(slots_max(setup, 0) == slots_max(setup_of(ListenerProtocol::saslauthd), 0));
}

TEST_CASE("a slot takes a line of Dovecot's protocol, and longer fields if they are configured", "[front]")
{
    FrontSetup setup = setup_of(ListenerProtocol::saslauthd);
    const std::size_t usual = slot_bytes(setup);
    CHECK(usual >= dovecot::line_bytes_max);
    setup.listeners[0].field_bytes_max = 65535;
    CHECK(slot_bytes(setup) > 65535);
}

} // namespace postern
