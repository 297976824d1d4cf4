// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/setup.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::chrono_literals;

TEST_CASE("a front is told its part of the configuration, to the last field", "[setup]")
{
    FrontSetup sent;
    sent.account = {1, 2};
    sent.drops_privileges = true;
    sent.log_style = {"ident", "prefix", true};
    sent.uses_syslog = true;
    sent.has_stream = true;
    sent.workers = 3;
    sent.queue_max = 4;
    sent.delayed_max = 5;
    sent.sessions_max = 6;
    sent.listeners = {{"/run/mux", 7s, 8, saslauthd::WhenUnavailable::say_no, true}, {"/run/other"}};
    sent.backends = {"sasldb", "ldap"};
    sent.route = {{ChainLink{1, {Verdict::rejected}}, ChainLink{0}}, 9ms};

    auto [ours, theirs] = make_message_sockets();
    send_setup(ours, sent, {});
    const auto [got, descriptors] = receive_front_setup(theirs);

    CHECK(descriptors.empty());
    CHECK(got.account.uid == 1);
    CHECK(got.account.gid == 2);
    CHECK(got.drops_privileges);
    CHECK(got.log_style.ident == "ident");
    CHECK(got.log_style.text_prefix == "prefix");
    CHECK(got.log_style.with_debug);
    CHECK(got.uses_syslog);
    CHECK_FALSE(got.has_syslog);
    CHECK(got.has_stream);
    CHECK(std::tuple{got.workers, got.queue_max, got.delayed_max, got.sessions_max} ==
          std::tuple{3U, 4U, 5U, 6U});
    REQUIRE(got.listeners.size() == 2);
    CHECK(got.listeners[0].socket == "/run/mux");
    CHECK(got.listeners[0].deadline == 7s);
    CHECK(got.listeners[0].field_bytes_max == 8);
    CHECK(got.listeners[0].when_unavailable == saslauthd::WhenUnavailable::say_no);
    CHECK(got.listeners[0].joins_realm);
    CHECK(got.listeners[1].socket == "/run/other");
    CHECK(got.backends == sent.backends);
    REQUIRE(got.route.chain.size() == 2);
    CHECK(got.route.chain[0].backend == 1);
    CHECK(got.route.chain[0].next_on.contains(Verdict::rejected));
    CHECK_FALSE(got.route.chain[0].next_on.contains(Verdict::unavailable));
    CHECK(got.route.failure_delay == 9ms);
}

TEST_CASE("a worker is told its backend, and gets its plug-in as a descriptor", "[setup]")
{
    WorkerSetup sent;
    sent.account = {1, 2};
    sent.backend = "local";
    sent.type = "sasldb";
    sent.options = {{"sasldb_path", "/etc/sasldb2"}, {"empty", ""}};
    sent.field_bytes_max = 1024;
    const UniqueFd plugin{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const int fd = plugin.get();

    auto [ours, theirs] = make_message_sockets();
    send_setup(ours, sent, {&fd, 1});
    const auto [got, descriptors] = receive_worker_setup(theirs);

    CHECK(descriptors.size() == 1);
    CHECK(got.backend == "local");
    CHECK(got.type == "sasldb");
    CHECK(got.options == sent.options);
    CHECK(got.field_bytes_max == 1024);
    CHECK_FALSE(got.drops_privileges);
}

TEST_CASE("a role whose first message is anything else does not start", "[setup]")
{
    auto [ours, theirs] = make_message_sockets();
    const auto bytes = GENERATE(as<std::string>{}, "x", std::string(5000, '\0'), std::string(5000, '\xff'));
    REQUIRE(ours.send(bytes));
    CHECK_THROWS(receive_front_setup(theirs));
}

TEST_CASE("a role without a supervisor does not start", "[setup]")
{
    auto [ours, theirs] = make_message_sockets();
    ours.close();
    CHECK_THROWS(receive_worker_setup(theirs));
}
