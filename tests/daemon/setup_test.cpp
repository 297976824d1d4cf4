// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/setup.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::chrono_literals;

namespace {

FrontSetup told_to_front(const FrontSetup& setup)
{
    auto [ours, theirs] = make_message_sockets();
    send_setup(ours, setup, {});
    auto [got, descriptors] = receive_front_setup(theirs);
    CHECK(descriptors.empty());
    return std::move(got);
}

} // namespace

TEST_CASE("a front is told what it is and how it logs", "[setup]")
{
    FrontSetup sent;
    sent.account = {1, 2};
    sent.drops_privileges = true;
    sent.log_style = {"ident", "prefix", true, true};
    sent.uses_syslog = true;
    sent.has_stream = true;
    sent.lets_go_of_stderr = true;
    sent.delayed_max = 5;
    sent.sessions_max = 6;
    sent.challenge_key = {7};
    sent.host_name = "mail";

    const FrontSetup got = told_to_front(sent);

    CHECK(got.account.uid == 1);
    CHECK(got.account.gid == 2);
    CHECK(got.drops_privileges);
    CHECK(got.log_style.ident == "ident");
    CHECK(got.log_style.text_prefix == "prefix");
    CHECK(got.log_style.with_debug);
    CHECK(got.log_style.is_json);
    CHECK(got.uses_syslog);
    CHECK_FALSE(got.has_syslog);
    CHECK(got.has_stream);
    CHECK(got.lets_go_of_stderr);
    CHECK(got.delayed_max == 5);
    CHECK(got.sessions_max == 6);
    CHECK(got.challenge_key == ChallengeKey{7});
    CHECK(got.host_name == "mail");
    CHECK(got.listeners.empty());
    CHECK(got.pools.empty());
    CHECK(got.routes.empty());
}

TEST_CASE("a front is told of each listener what it needs, and not to whom the socket belongs", "[setup]")
{
    ListenerConfig postfix;
    postfix.name = "postfix";
    postfix.socket = "/run/mux";
    postfix.deadline = 7s;
    postfix.field_bytes_max = 8;
    postfix.when_unavailable = saslauthd::WhenUnavailable::say_no;
    postfix.reply_texts = {"well done", "no such luck"};
    postfix.names = {true, "example.org", true, true};
    postfix.protocol = ListenerProtocol::dovecot;
    postfix.dovecot = {{"PLAIN", "SCRAM-SHA-256"}, DovecotUnavailable::fail, true, "no"};
    postfix.route = 3;
    ListenerConfig other;
    other.name = "other";
    FrontSetup sent;
    sent.listeners = {postfix, other};
    sent.listeners[0].owner = 4;
    sent.listeners[0].group = 5;
    sent.listeners[0].mode = 0600;
    CHECK(told_to_front(sent).listeners == std::vector{postfix, other});
}

TEST_CASE("a front is told of each backend how many workers it has, which servers, and what of realms",
          "[setup]")
{
    const PoolConfig config{
        .workers = 1, .workers_max = 2, .worker_requests_max = 3, .worker_idle = 4ms, .queue_max = 5};
    FrontSetup sent;
    sent.pools = {{"local", "sasldb", config, {}, RealmUse::always},
                  {"staff", "ldap", {}, {"ldap://a", "ldap://b"}, RealmUse::in_user}};
    const FrontSetup got = told_to_front(sent);
    REQUIRE(got.pools.size() == 2);
    CHECK(got.pools[0].backend == "local");
    CHECK(got.pools[0].type == "sasldb");
    CHECK(got.pools[0].config == config);
    CHECK(got.pools[0].servers.empty());
    CHECK(got.pools[0].realm_use == RealmUse::always);
    CHECK(got.pools[1].backend == "staff");
    CHECK(got.pools[1].config == PoolConfig{});
    CHECK(got.pools[1].servers == std::vector<std::string>{"ldap://a", "ldap://b"});
    CHECK(got.pools[1].realm_use == RealmUse::in_user);
}

TEST_CASE("a front is told what it may remember, and what is watched for it", "[setup]")
{
    FrontSetup sent;
    sent.cache = {true, 7, 8ms};
    sent.pools = {{"local", "sasldb", {}, {}, RealmUse::always, true, false},
                  {"host", "pam", {}, {}, RealmUse::never, false, true}};
    sent.stores = {{0, 5, "sasldb2"}, {0, 6, "etc", true}, {1, 7, "", false, true}};
    sent.has_store_events = true;
    const FrontSetup got = told_to_front(sent);
    CHECK(got.cache == sent.cache);
    CHECK(got.stores == sent.stores);
    CHECK(got.has_store_events);
    REQUIRE(got.pools.size() == 2);
    CHECK(got.pools[0].is_cached);
    CHECK_FALSE(got.pools[0].heeds_client);
    CHECK_FALSE(got.pools[1].is_cached);
    CHECK(got.pools[1].heeds_client);
}

TEST_CASE("a front is told each route with its realms", "[setup]")
{
    FrontSetup sent;
    sent.routes = {
        {"default",
         {ChainLink{1, {Verdict::rejected}}, ChainLink{0}},
         {{"example.org", {ChainLink{0}}}, {std::string{"a\0b", 3}, {}}},
         9ms},
        {"submission", {}, {}, 0ms},
    };
    const FrontSetup got = told_to_front(sent);
    REQUIRE(got.routes.size() == 2);
    const RouteConfig& route = got.routes[0];
    CHECK(route.name == "default");
    REQUIRE(route.chain.size() == 2);
    CHECK(route.chain[0].backend == 1);
    CHECK(route.chain[0].next_on.contains(Verdict::rejected));
    CHECK_FALSE(route.chain[0].next_on.contains(Verdict::unavailable));
    CHECK(route.chain[1].backend == 0);
    CHECK(route.chain[1].next_on.contains(Verdict::unavailable));
    CHECK(route.failure_delay == 9ms);
    CHECK(route.realms.size() == 2);
    CHECK(route.chain_for("example.org").size() == 1);
    CHECK(route.chain_for(std::string_view{"a\0b", 3}).empty());
    CHECK(route.chain_for("example.com").size() == 2);
    CHECK(got.routes[1].name == "submission");
    CHECK(got.routes[1].chain.empty());
    CHECK(got.routes[1].failure_delay == 0ms);
}

TEST_CASE("a worker is told its backend, and gets its plug-in as a descriptor", "[setup]")
{
    WorkerSetup sent;
    sent.account = {1, 2};
    sent.lets_go_of_stderr = true;
    sent.is_verbose = true;
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
    CHECK(got.account.uid == 1);
    CHECK(got.account.gid == 2);
    CHECK(got.lets_go_of_stderr);
    CHECK(got.is_verbose);
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
