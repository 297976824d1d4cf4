// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/server_health.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/recording_log.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

/// A backend with three servers, or with others.
struct Site {
    explicit Site(std::vector<std::string> names = {"one", "two", "three"})
        : health{clock, log, [this](std::uint32_t bound) { return chance(bound); }, "staff", std::move(names)}
    {
    }

    /// Half of the bound is no jitter.
    std::uint32_t chance(std::uint32_t bound) { return is_lowest ? 0 : is_highest ? bound - 1 : bound / 2; }

    /// Probes the server that is due.
    void probe(const std::optional<std::string>& problem)
    {
        const auto due = health.probe_due();
        REQUIRE(due);
        health.on_probe_started(*due);
        health.on_probe_ended(*due, problem);
    }

    /// The time until the next probe, which has come then.
    Duration wait()
    {
        const Duration pause = health.next_event() - clock.now();
        CHECK_FALSE(health.probe_due());
        clock.advance(pause);
        return pause;
    }

    [[nodiscard]] const ServerHealth::Server& server(std::size_t number) const
    {
        return health.servers().at(number);
    }

    ManualClock clock;
    RecordingLog log;
    bool is_lowest = false;
    bool is_highest = false;
    ServerHealth health;
};

constexpr ServerSet set_of(std::initializer_list<std::size_t> servers)
{
    ServerSet set;
    for (const std::size_t server : servers)
        set.add(server);
    return set;
}

BackendConfig ldap(const std::string& servers)
{
    return {"staff", find_backend_type("ldap"), {{"ldap_servers", servers}}, {}};
}

} // namespace

TEST_CASE("a server that fails once is left alone at once, and the others are not", "[servers]")
{
    Site site;
    CHECK(site.health.left_alone().is_empty());
    site.health.failed(1, "connection refused");
    CHECK(site.health.left_alone() == set_of({1}));
    CHECK_FALSE(site.health.are_all_down());
    CHECK(site.server(1).down_since == site.clock.now());
    CHECK(site.server(1).problem == "connection refused");
}

TEST_CASE("only a probe that goes well brings a server back", "[servers]")
{
    Site site;
    site.health.failed(0, "connection refused");
    site.clock.advance(1h);
    CHECK(site.health.left_alone() == set_of({0}));
    site.probe("connection refused");
    CHECK(site.health.left_alone() == set_of({0}));
    site.wait();
    site.probe(std::nullopt);
    CHECK(site.health.left_alone().is_empty());
    CHECK(site.health.next_event() == TimePoint::max());
}

TEST_CASE("the pauses between probes double from a quarter of a second to fifteen", "[servers]")
{
    Site site;
    site.health.failed(0, "");
    for (const auto pause : {250ms, 500ms, 1'000ms, 2'000ms, 4'000ms, 8'000ms, 15'000ms, 15'000ms}) {
        CHECK(site.wait() == pause);
        site.probe("");
    }
}

TEST_CASE("a pause is up to a fifth longer or shorter", "[servers]")
{
    Site site;
    SECTION("shorter")
    {
        site.is_lowest = true;
        site.health.failed(0, "");
        CHECK(site.wait() == 200ms);
        site.probe("");
        CHECK(site.wait() == 400ms);
    }
    SECTION("longer")
    {
        site.is_highest = true;
        site.health.failed(0, "");
        CHECK(site.wait() == 300ms);
        site.probe("");
        CHECK(site.wait() == 600ms);
    }
}

TEST_CASE("more failures of a server that is down neither hasten nor delay its probe", "[servers]")
{
    Site site;
    site.health.failed(0, "first");
    const TimePoint due = site.health.next_event();
    site.clock.advance(100ms);
    site.health.failed(0, "second");
    CHECK(site.health.next_event() == due);
    CHECK(site.server(0).failures == 2);
    CHECK(site.server(0).problem == "second");
    CHECK(site.server(0).down_since == site.clock.now() - 100ms);
}

TEST_CASE("a server that fails soon after it came back is probed as if it had been down all the time",
          "[servers]")
{
    Site site;
    for (const auto pause : {250ms, 500ms, 1'000ms}) {
        site.health.failed(0, "");
        CHECK(site.wait() == pause);
        site.probe(std::nullopt);
        site.clock.advance(15s - 1ns);
    }
    site.clock.advance(1ns);
    site.health.failed(0, "");
    CHECK(site.wait() == 250ms);
}

TEST_CASE("one server is probed at a time, the one that has waited longest first", "[servers]")
{
    Site site;
    site.health.failed(2, "");
    site.clock.advance(10ms);
    site.health.failed(0, "");
    site.clock.advance(1s);
    CHECK(site.health.probe_due() == 2U);
    site.health.on_probe_started(2);
    CHECK(site.health.is_probed(2));
    CHECK_FALSE(site.health.probe_due());
    CHECK(site.health.next_event() == TimePoint::max());
    CHECK(site.health.left_alone() == set_of({0, 2}));
    site.health.on_probe_ended(2, std::nullopt);
    CHECK(site.health.probe_due() == 0U);
}

TEST_CASE("while all servers are down each is probed by itself, whatever the probes of others do",
          "[servers]")
{
    Site site;
    for (const std::size_t server : {0U, 1U, 2U})
        site.health.failed(server, "");
    site.probe("");
    REQUIRE(site.health.are_all_down());
    site.clock.advance(1s);
    for (int i = 0; i < 3; ++i) {
        const auto due = site.health.probe_due();
        REQUIRE(due);
        site.health.on_probe_started(*due);
    }
    CHECK_FALSE(site.health.probe_due());
    CHECK(site.health.next_event() == TimePoint::max());
    site.health.on_probe_ended(1, std::nullopt);
    CHECK(site.health.left_alone() == set_of({0, 2}));
    CHECK(site.health.is_probed(0));
    CHECK_FALSE(site.health.is_probed(1));
    site.health.on_probe_ended(0, "");
    site.clock.advance(15s);
    CHECK_FALSE(site.health.probe_due()); // the third is being probed, and one is up
    site.health.on_probe_ended(2, "");
    CHECK(site.health.probe_due() == 0U);
}

TEST_CASE("a server that fails somebody while it is probed has the probe's word", "[servers]")
{
    Site site;
    site.health.failed(0, "");
    site.wait();
    site.health.on_probe_started(0);
    site.health.failed(0, "too slow");
    site.health.on_probe_ended(0, std::nullopt);
    CHECK(site.health.left_alone().is_empty());
    CHECK(site.server(0).failures == 2);
}

TEST_CASE("the end of a probe that nobody began changes nothing", "[servers]")
{
    Site site;
    site.health.failed(0, "");
    site.health.on_probe_ended(0, std::nullopt);
    CHECK(site.health.left_alone() == set_of({0}));
}

TEST_CASE("when all servers are down it is said which failed last, and why", "[servers]")
{
    Site site;
    site.health.failed(2, "no route to host");
    site.health.failed(0, "connection refused");
    CHECK_FALSE(site.health.are_all_down());
    site.health.failed(1, "connection reset");
    CHECK_FALSE(site.health.are_all_down());
    site.probe("timed out");
    CHECK(site.health.are_all_down());
    CHECK(site.health.outage() == "none of its servers can be asked; two: timed out");
    site.wait();
    site.probe("no route at all");
    CHECK(site.health.outage() == "none of its servers can be asked; one: no route at all");
}

TEST_CASE("a backend without servers is never out of them, and probes nothing", "[servers]")
{
    Site site{{}};
    CHECK_FALSE(site.health.are_all_down());
    CHECK(site.health.left_alone().is_empty());
    CHECK_FALSE(site.health.first_outside({}));
    CHECK(site.health.next_event() == TimePoint::max());
}

TEST_CASE("who hangs was asking the first server that he had not given up", "[servers]")
{
    const Site site;
    CHECK(site.health.first_outside({}) == 0U);
    CHECK(site.health.first_outside(set_of({0})) == 1U);
    CHECK(site.health.first_outside(set_of({0, 2})) == 1U);
    CHECK_FALSE(site.health.first_outside(set_of({0, 1, 2})));
    CHECK(site.health.all_but(1) == set_of({0, 2}));
    CHECK(site.health.count_outside({}) == 3);
    CHECK(site.health.count_outside(set_of({0, 2})) == 1);
}

TEST_CASE("the last server that is up is asked until a probe has failed as well", "[servers]")
{
    Site site{{"the only one"}};
    site.health.failed(0, "timed out");
    CHECK(site.health.left_alone().is_empty());
    CHECK_FALSE(site.health.are_all_down());
    CHECK(site.health.next_event() == site.clock.now());
    SECTION("it fails")
    {
        site.probe("connection refused");
        CHECK(site.health.are_all_down());
        CHECK(site.log.lines == Lines{"5 staff: server the only one is in doubt: timed out",
                                      "4 staff: server the only one is down: connection refused"});
    }
    SECTION("it does not")
    {
        site.probe(std::nullopt);
        CHECK(site.health.left_alone().is_empty());
        CHECK(site.health.next_event() == TimePoint::max());
        CHECK(site.log.lines == Lines{"5 staff: server the only one is in doubt: timed out"});
    }
}

TEST_CASE("a server in doubt is probed at once, and left alone while another one is beyond doubt",
          "[servers]")
{
    Site site;
    site.health.doubt(0, "connection closed");
    CHECK(site.health.probe_due() == 0U);
    CHECK_FALSE(site.server(0).is_down);
    CHECK(site.health.left_alone() == set_of({0}));
    site.health.doubt(1, "");
    site.health.doubt(2, "");
    CHECK(site.health.left_alone().is_empty());
    site.probe(std::nullopt);
    CHECK(site.health.left_alone() == set_of({1, 2}));
    site.probe("no route to host");
    CHECK(site.server(1).is_down);
}

TEST_CASE("a server that is doubted again and again is probed four times a second", "[servers]")
{
    Site site;
    site.health.doubt(0, "");
    site.probe(std::nullopt);
    site.health.doubt(0, "");
    CHECK(site.wait() == 250ms);
    CHECK(site.health.probe_due() == 0U);
}

TEST_CASE("of a server that is doubted again and again the log says so once", "[servers]")
{
    Site site;
    const auto doubt_in_vain = [&site] {
        site.health.doubt(0, "timed out");
        if (!site.health.probe_due())
            site.wait();
        site.probe(std::nullopt);
    };
    for (int i = 0; i < 50; ++i)
        doubt_in_vain();
    CHECK(site.log.lines == Lines{"5 staff: server one is in doubt: timed out"});
    site.clock.advance(15s);
    doubt_in_vain();
    CHECK(site.log.lines.size() == 2);
}

TEST_CASE("what began before the last good probe ended is counted, and no news", "[servers]")
{
    Site site;
    const TimePoint before = site.clock.now();
    site.health.failed(0, "");
    site.wait();
    site.probe(std::nullopt);
    site.health.failed(0, "timed out", before);
    site.health.doubt(0, "timed out", before);
    CHECK(site.health.left_alone().is_empty());
    CHECK(site.health.next_event() == TimePoint::max());
    CHECK(site.server(0).failures == 3);
    site.health.failed(0, "timed out", site.clock.now());
    CHECK(site.health.left_alone() == set_of({0}));
}

TEST_CASE("while all servers are down the pauses between their probes are a second at most", "[servers]")
{
    Site site{{"the only one"}};
    site.health.failed(0, "");
    site.probe("");
    for (const auto pause : {250ms, 500ms, 1'000ms, 1'000ms, 1'000ms}) {
        CHECK(site.wait() == pause);
        site.probe("");
    }
}

TEST_CASE("when the last server goes down the others are probed within a second", "[servers]")
{
    Site site{{"one", "two"}};
    site.health.failed(0, "");
    for (int i = 0; i < 6; ++i) {
        site.wait();
        site.probe("");
    }
    CHECK(site.health.next_event() == site.clock.now() + 15s);
    site.health.failed(1, "");
    site.probe("");
    CHECK(site.wait() == 250ms);
    site.probe(""); // of the second
    CHECK(site.server(0).probe_at == site.clock.now() + 750ms);
}

TEST_CASE("the log has one line when a server goes down and one when it is back", "[servers]")
{
    Site site;
    site.health.failed(0, "connection refused");
    site.health.failed(0, "connection refused");
    site.wait();
    site.probe("connection refused");
    site.clock.advance(90s);
    site.probe(std::nullopt);
    site.health.failed(1, "");
    site.wait();
    site.probe(std::nullopt);
    CHECK(site.log.lines ==
          Lines{"4 staff: server one is down: connection refused", "5 staff: server one is back after 90 s",
                "4 staff: server two is down: ", "5 staff: server two is back after 250 ms"});
}

TEST_CASE("what a server is called and what it says can forge no line, and flood none", "[servers]")
{
    Site site{{"a\nb]", "another"}};
    site.health.failed(0, "x\ny" + std::string(10'000, 'z'));
    REQUIRE(site.log.lines.size() == 1);
    CHECK_THAT(site.log.lines[0], Catch::StartsWith("4 staff: server a\\x0ab\\x5d is down: x\\x0ay"));
    CHECK(site.log.lines[0].size() < 400);
    CHECK(site.server(0).problem.size() == 256);
}

TEST_CASE("servers are called as the admin wrote them, but for what may be a secret", "[servers]")
{
    const auto [written, shown] = GENERATE(table<std::string, Lines>({
        {"ldap://a.example.org/, ldaps://b:636", {"ldap://a.example.org/", "ldaps://b:636"}},
        {"ldapi://%2Frun%2Fslapd%2Fldapi", {"ldapi://%2Frun%2Fslapd%2Fldapi"}},
        {"ldap://admin:hunter2@a", {"ldap://a"}},
        {"ldap://admin:hun/ter@2@a", {"ldap://a"}},
        {"admin:hunter2@a/143 b", {"a/143", "b"}},
        {"ldap://a/????x-bindpw=hunter2", {"ldap://a/"}},
        {"ldap://" + std::string(1000, 'a'), {"ldap://" + std::string(server_name_bytes_max - 7, 'a')}},
    }));
    CAPTURE(written);
    CHECK(server_names(ldap(written)) == shown);
}

TEST_CASE("a backend whose type has no servers has none", "[servers]")
{
    const BackendType* const sasldb = find_backend_type("sasldb");
    CHECK(server_names({"local", sasldb, {{"sasldb_path", "/etc/sasldb2"}}, {}}).empty());
}

} // namespace postern
