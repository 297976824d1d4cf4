// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listeners.hpp"
#include "tests/support/saslauthd_wire.hpp"
#include "tests/support/scripted_front.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/unix_sockets.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <list>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t workers_max = 2;

ListenerConfig of_protocol(ListenerProtocol protocol)
{
    ListenerConfig listener;
    listener.protocol = protocol;
    listener.dovecot.mechanisms = {"PLAIN"};
    return listener;
}

const std::string introduction = "VERSION\t1\t0\nCPID\t4711\n";

/// A login of alice, with an empty name in front and a password behind it.
const std::string dovecot_login = "AUTH\t1\tPLAIN\tservice=smtp\tresp=AGFsaWNlAHNlY3JldA==\n";
const std::string saslauthd_login = request_wire("alice", "secret", "smtp", "");

/// Two listeners, of the Dovecot protocol and of saslauthd's, and as many sessions as a test allows.
struct Hall : ScriptedFront {
    explicit Hall(std::size_t sessions_max)
        : ScriptedFront{workers_max, 64}
        , listeners{loop, log, secrets, random_bytes, authenticator, sessions_max}
    {
        for (std::size_t i = 0; i < configs.size(); ++i) {
            UniqueFd socket =
                make_bound_socket(directory.file(std::to_string(i)), SOCK_STREAM | SOCK_NONBLOCK);
            listeners.add(configs[i], std::move(socket));
        }
        listeners.open();
    }

    UniqueFd connect(std::size_t listener)
    {
        UniqueFd peer = line_up(listener);
        serve();
        return peer;
    }

    /// Connects, and is not served yet.
    [[nodiscard]] UniqueFd line_up(std::size_t listener) const
    {
        const UnixAddress address =
            UnixAddress::of_path_or_abstract(directory.file(std::to_string(listener)));
        UniqueFd peer{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
        check(::connect(peer.get(), address.get(), address.size()), "connect");
        return peer;
    }

    UniqueFd connect_to_dovecot() { return connect(0); }

    UniqueFd connect_to_saslauthd() { return connect(1); }

    void say(const UniqueFd& peer, std::string_view bytes)
    {
        REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(bytes.size()));
        serve();
    }

    /// The worker that was asked first says what it found.
    void accept_first()
    {
        REQUIRE_FALSE(workers.asked.empty());
        answer(workers.asked.front().user, {Verdict::accepted, ""});
        serve();
    }

    /// What the peer has been told so far.
    static std::string heard(const UniqueFd& peer)
    {
        std::array<char, 4096> buffer{};
        const ssize_t got = ::recv(peer.get(), buffer.data(), buffer.size(), 0);
        return {buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
    }

    /// Whether its session was ended; what it was told before does not matter.
    static bool is_ended(const UniqueFd& peer)
    {
        std::array<char, 4096> buffer{};
        ssize_t got = 0;
        while ((got = ::recv(peer.get(), buffer.data(), buffer.size(), 0)) > 0) {
        }
        return got == 0 || errno == ECONNRESET;
    }

    TemporaryDirectory directory;
    std::array<ListenerConfig, 2> configs{of_protocol(ListenerProtocol::dovecot),
                                          of_protocol(ListenerProtocol::saslauthd)};
    Listeners listeners;
};

} // namespace

TEST_CASE("no two connections have the same number or the same cookie", "[listeners]")
{
    Hall hall{4};
    const UniqueFd one = hall.connect_to_dovecot();
    const UniqueFd other = hall.connect_to_dovecot();
    const auto line_of = [](const std::string& text, std::string_view word) {
        const std::size_t begin = text.find(word);
        return text.substr(begin, text.find('\n', begin) - begin);
    };
    const std::string ours = Hall::heard(one);
    const std::string theirs = Hall::heard(other);
    for (const std::string_view word : {"CUID", "COOKIE"}) {
        CHECK(line_of(ours, word).starts_with(word));
        CHECK(line_of(ours, word) != line_of(theirs, word));
    }
}

TEST_CASE("the session that has been silent for longest makes room, and not the one that came first",
          "[listeners]")
{
    const auto [listener, words] =
        GENERATE(table<std::size_t, std::string>({{0, introduction}, {1, counted("ali")}}));
    CAPTURE(listener);
    Hall hall{3};
    const UniqueFd first = hall.connect(listener);
    const UniqueFd second = hall.connect(listener);
    const UniqueFd third = hall.connect(listener);
    hall.say(first, words);
    const UniqueFd fourth = hall.connect(listener);
    CHECK_FALSE(Hall::is_ended(first));
    CHECK(Hall::is_ended(second));
    CHECK_FALSE(Hall::is_ended(third));
    hall.say(third, words);
    const UniqueFd fifth = hall.connect(listener);
    CHECK(Hall::is_ended(first));
    CHECK_FALSE(Hall::is_ended(third));
    CHECK_FALSE(Hall::is_ended(fourth));
    CHECK(hall.listeners.sessions() == 3);
    CHECK(hall.listeners.displaced() == 2);
}

TEST_CASE("a session with a login in work makes no room, and counts as silent only from its end",
          "[listeners]")
{
    Hall hall{2};
    const UniqueFd busy = hall.connect_to_dovecot();
    hall.say(busy, introduction + dovecot_login);
    const UniqueFd silent = hall.connect_to_dovecot();
    const UniqueFd third = hall.connect_to_dovecot();
    CHECK_FALSE(Hall::is_ended(busy));
    CHECK(Hall::is_ended(silent));
    hall.accept_first();
    const UniqueFd fourth = hall.connect_to_dovecot();
    CHECK_FALSE(Hall::is_ended(busy));
    CHECK(Hall::is_ended(third));
    const UniqueFd fifth = hall.connect_to_dovecot();
    CHECK(Hall::is_ended(busy));
    CHECK_FALSE(Hall::is_ended(fourth));
}

TEST_CASE("where every session has a login in work, who comes waits for one of them to end", "[listeners]")
{
    Hall hall{2};
    const UniqueFd first = hall.connect_to_saslauthd();
    hall.say(first, saslauthd_login);
    const UniqueFd second = hall.connect_to_dovecot();
    hall.say(second, introduction + dovecot_login);
    const UniqueFd third = hall.connect_to_saslauthd();
    hall.say(third, saslauthd_login);
    CHECK(hall.workers.asked.size() == 2);
    CHECK(hall.listeners.displaced() == 0);
    hall.accept_first(); // and with its reply its session ends
    CHECK(hall.listeners.sessions() == 2);
    CHECK(hall.workers.asked.size() == 2);
}

TEST_CASE("who is answered at once has his answer before the next one is accepted", "[listeners]")
{
    Hall hall{1};
    hall.workers.has_supervisor = false;
    for (const WorkerId worker : hall.workers.started)
        hall.pools[0].on_ended(worker);
    std::array<UniqueFd, 2> peers{hall.line_up(1), hall.line_up(1)};
    for (const UniqueFd& peer : peers)
        REQUIRE(::send(peer.get(), saslauthd_login.data(), saslauthd_login.size(), MSG_NOSIGNAL) > 0);
    hall.serve(); // time stands still: a listener that paused, since it is full, would go on pausing
    for (const UniqueFd& peer : peers)
        CHECK(Hall::heard(peer) == counted("")); // unavailable
}

TEST_CASE("who floods one socket is in the way of nobody at another", "[listeners]")
{
    Hall hall{4};
    const UniqueFd other = hall.connect_to_dovecot(); // silent for longer than anybody
    std::list<UniqueFd> flood;
    for (int i = 0; i < 8; ++i)
        flood.push_back(hall.connect_to_saslauthd());
    CHECK_FALSE(Hall::is_ended(other));
    const UniqueFd newcomer = hall.connect_to_dovecot();
    CHECK_FALSE(Hall::is_ended(other));
    CHECK_FALSE(Hall::is_ended(newcomer));
    CHECK_FALSE(Hall::is_ended(flood.back()));
    CHECK(hall.listeners.displaced() == 6);
}

TEST_CASE("where one socket is flooded with logins, what is free goes to another", "[listeners]")
{
    Hall hall{2};
    std::list<UniqueFd> flood;
    for (int i = 0; i < 4; ++i) {
        flood.push_back(hall.connect_to_dovecot());
        hall.say(flood.back(), introduction + dovecot_login);
    }
    const UniqueFd other = hall.connect_to_saslauthd();
    hall.say(other, request_wire("bob", "secret", "smtp", ""));
    CHECK(hall.workers.asked.size() == 2);
    hall.accept_first();
    flood.pop_front();
    hall.serve();
    REQUIRE(hall.workers.asked.size() == 2);
    CHECK(hall.workers.asked.back().user == "bob");
}

TEST_CASE("a listener that has to pause keeps no other one from making room", "[listeners]")
{
    Hall hall{3};
    const UniqueFd silent = hall.connect_to_saslauthd();
    std::list<UniqueFd> busy;
    for (int i = 0; i < 2; ++i) {
        busy.push_back(hall.connect_to_dovecot());
        hall.say(busy.back(), introduction + dovecot_login);
    }
    CHECK(hall.workers.asked.size() == 2);
    const UniqueFd waiting = hall.connect_to_dovecot();
    CHECK(hall.listeners.displaced() == 0);
    const UniqueFd newcomer = hall.connect_to_saslauthd();
    CHECK(hall.listeners.displaced() == 1);
    CHECK(Hall::is_ended(silent));
}

TEST_CASE("every session is hurried once, also those that move while others are", "[listeners]")
{
    Hall hall{8};
    std::list<UniqueFd> peers;
    for (int i = 0; i < 4; ++i)
        peers.push_back(hall.connect_to_dovecot());
    for (const UniqueFd& peer : peers)
        check(static_cast<int>(::send(peer.get(), introduction.data(), introduction.size(), MSG_NOSIGNAL)),
              "send");
    hall.listeners.close(false); // hears each out, which is its activity
    hall.advance(1s);
    CHECK(hall.listeners.sessions() == 0);
}

} // namespace postern
