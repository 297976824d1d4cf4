// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/passed_socket.hpp"
#include "daemon/sockets.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/notify_listener.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/unix_sockets.hpp"

#include <sys/stat.h>

#include <array>
#include <catch2/catch.hpp>
#include <initializer_list>

using namespace postern;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

enum class Manager : std::uint8_t { none, listens };

/// A run directory and what is around it, over several starts.
class Host {
public:
    explicit Host(Manager manager = Manager::listens)
    {
        if (manager == Manager::listens)
            listener_.emplace(path("notify"));
    }

    [[nodiscard]] std::string path(const std::string& name) const { return directory_.file(name); }

    [[nodiscard]] std::string notify_socket() const { return listener_ ? path("notify") : ""; }

    [[nodiscard]] Config config(std::initializer_list<const char*> listeners, std::uint32_t mode = 0600) const
    {
        Config config;
        config.run_directory = directory_.path();
        for (const char* name : listeners) {
            ListenerConfig& listener = config.listeners.emplace_back();
            listener.name = name;
            listener.socket = path(name);
            listener.mode = mode;
        }
        return config;
    }

    [[nodiscard]] mode_t mode(const std::string& name) const
    {
        struct stat status {};
        REQUIRE(::lstat(path(name).c_str(), &status) == 0);
        return status.st_mode & 07777;
    }

    /// All that it was told: the texts, in their order.
    std::vector<std::string> told()
    {
        std::vector<std::string> texts;
        for (auto heard = listener_->hear(); !heard.text.empty(); heard = listener_->hear()) {
            texts.push_back(heard.text);
            for (UniqueFd& descriptor : heard.descriptors)
                stored.push_back({std::move(descriptor), heard.text.substr(heard.text.find("FDNAME=") + 7)});
        }
        return texts;
    }

    /// Nobody hears any more what it is told.
    void leave()
    {
        listener_.reset();
        fs::remove(path("notify"));
    }
    void come_back() { listener_.emplace(path("notify")); }

    std::vector<PassedDescriptor> stored; ///< what the service manager has, after told()

private:
    TemporaryDirectory directory_;
    std::optional<NotifyListener> listener_;
};

/// One life of a supervisor, as far as sockets go.
struct Start {
    Start(const Host& host, const Config& config, std::vector<PassedDescriptor> passed = {})
        : manager{loop, log, ServiceEnvironment{host.notify_socket(), {}, {}, {}}}
        , sockets{log, manager, config, std::move(passed)}
    {
    }

    void serve(const Config& config)
    {
        CHECK(sockets.take_places(config) == Sockets::Problems{});
        sockets.store();
    }

    ManualClock clock;
    EventLoop loop{clock};
    RecordingLog log;
    ServiceManager manager;
    Sockets sockets;
};

/// A start of an earlier day: what it served is the service manager's now.
void serve_and_stop(Host& host, const Config& config)
{
    Start start{host, config};
    start.serve(config);
    host.told();
    start.sockets.close();
}

std::vector<PassedDescriptor> passed(UniqueFd descriptor, const std::string& name)
{
    std::vector<PassedDescriptor> all;
    all.push_back({std::move(descriptor), name});
    return all;
}

UniqueFd duplicate(int descriptor)
{
    return UniqueFd{::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)};
}

int listener_of(const Start& start, const Config& config)
{
    return start.sockets.lend(config).listeners.front()->fd();
}

} // namespace

TEST_CASE("sockets are stored once, when they are served, under their paths", "[sockets]")
{
    Host host;
    const Config config = host.config({"a", "b"});
    Start start{host, config};
    CHECK(host.told().empty());
    start.serve(config);
    CHECK(host.told() == std::vector<std::string>{"FDSTORE=1\nFDNAME=" + host.path("a"),
                                                  "FDSTORE=1\nFDNAME=" + host.path("b")});
    start.serve(config);
    CHECK(host.told().empty());
}

TEST_CASE("who connects between two starts is there for the second one", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    serve_and_stop(host, config);
    const UniqueFd peer = connect_to(host.path("a"));
    REQUIRE(peer.is_open());
    REQUIRE(::send(peer.get(), "x", 1, 0) == 1);
    Start second{host, config, std::move(host.stored)};
    CHECK(second.log.lines.empty());
    const UniqueFd taken = take_connection(listener_of(second, config));
    char byte = 0;
    CHECK(::recv(taken.get(), &byte, 1, MSG_DONTWAIT) == 1);
    second.serve(config);
    CHECK(host.told().empty()); // it is still stored
}

TEST_CASE("sockets are stored anew where the service manager may have missed one", "[sockets]")
{
    const bool was_there_before = GENERATE(true, false);
    Host host;
    const Config config = host.config({"a"});
    Start start{host, config};
    if (was_there_before) {
        start.serve(config);
        host.told();
    }
    host.leave();
    start.manager.report_ready("fine");
    start.serve(config); // as a reload does
    host.come_back();
    const std::vector<std::string> anew{"READY=1\nSTATUS=fine", "FDSTORE=1\nFDNAME=" + host.path("a")};
    SECTION("when it listens again")
    {
        start.manager.say_lost_again();
        CHECK(host.told() == anew);
        start.serve(config);
        CHECK(host.told().empty());
        start.sockets.close();
        CHECK(host.told().empty());
    }
    SECTION("at the end")
    {
        start.sockets.close();
        CHECK(host.told() == anew);
    }
    CHECK(connect_to(host.path("a")).is_open());
}

TEST_CASE("a name goes at the end where the service manager is still away", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    Start start{host, config};
    start.serve(config);
    host.leave();
    start.manager.report_stopping("over");
    start.sockets.close();
    CHECK_FALSE(fs::exists(host.path("a")));
}

TEST_CASE("what an earlier start has stored stays stored until it is served again", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    serve_and_stop(host, config);
    Start second{host, config, std::move(host.stored)};
    host.leave();
    second.manager.report_stopping("cannot start");
    host.come_back();
    second.sockets.close();
    CHECK(host.told() == std::vector<std::string>{"STOPPING=1\nSTATUS=cannot start"});
    CHECK(fs::exists(host.path("a")));
}

TEST_CASE("a socket that has no place yet is not stored", "[sockets]")
{
    Host host;
    const Config one = host.config({"a"});
    Start start{host, one};
    start.serve(one);
    start.sockets.open(host.config({"a", "b"}));
    host.told();
    start.sockets.store();
    CHECK(host.told().empty());
}

TEST_CASE("a socket that took its place by a new name is found again under its path", "[sockets]")
{
    Host host;
    const Config one = host.config({"a"});
    const Config two = host.config({"a", "b"});
    {
        Start first{host, one};
        first.serve(one);
        first.sockets.open(two);
        first.serve(two);
        host.told();
        first.sockets.close();
    }
    REQUIRE(host.stored.size() == 2);
    REQUIRE(bound_path(host.stored[1].descriptor.get()) != host.path("b"));
    Start second{host, two, std::move(host.stored)};
    CHECK(second.log.lines.empty());
    CHECK(host.told().empty());
}

TEST_CASE("without a service manager, or before anything was stored, names go with the daemon", "[sockets]")
{
    const auto manager = GENERATE(Manager::none, Manager::listens);
    Host host{manager};
    const Config config = host.config({"a"});
    Start start{host, config};
    if (manager == Manager::none)
        start.serve(config);
    start.sockets.close();
    CHECK_FALSE(fs::exists(host.path("a")));
    CHECK_FALSE(fs::exists(host.path("control")));
}

TEST_CASE("a name stays only where the service manager has heard of the socket", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    Start start{host, config};
    fs::remove(host.path("notify"));
    start.serve(config);
    start.sockets.close();
    CHECK_FALSE(fs::exists(host.path("a")));
}

TEST_CASE("after a stop the name that was left is refused, and the next start takes its place", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    serve_and_stop(host, config);
    host.stored.clear(); // what systemd does after a stop
    CHECK_FALSE(connect_to(host.path("a")).is_open());
    CHECK(errno == ECONNREFUSED);
    Start second{host, config};
    CHECK(connect_to(host.path("a")).is_open());
}

TEST_CASE("a listener that a reload drops leaves the store, and its name goes", "[sockets]")
{
    Host host;
    const Config two = host.config({"a", "b"});
    Start start{host, two};
    start.serve(two);
    host.told();
    start.sockets.close_all_but(host.config({"a"}));
    CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("b")});
    CHECK_FALSE(fs::exists(host.path("b")));
    start.sockets.close();
    CHECK(fs::exists(host.path("a")));
}

TEST_CASE("a listener that was dropped while nobody heard of it leaves the store as soon as somebody does",
          "[sockets]")
{
    Host host;
    const Config two = host.config({"a", "b"});
    Start start{host, two};
    start.serve(two);
    host.told();
    host.leave();
    start.sockets.close_all_but(host.config({"a"}));
    SECTION("for good")
    {
        host.come_back();
        start.manager.say_lost_again();
        CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("b"),
                                                      "FDSTORE=1\nFDNAME=" + host.path("a")});
    }
    SECTION("and is stored again if it is served again")
    {
        start.sockets.open(two);
        start.serve(two);
        host.come_back();
        start.manager.say_lost_again();
        CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("b"),
                                                      "FDSTORE=1\nFDNAME=" + host.path("a"),
                                                      "FDSTORE=1\nFDNAME=" + host.path("b")});
    }
}

TEST_CASE("a listener that was dropped between two starts leaves the store, and its name goes", "[sockets]")
{
    Host host;
    const Config two = host.config({"a", "b"});
    serve_and_stop(host, two);
    Start second{host, host.config({"a"}), std::move(host.stored)};
    CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("b")});
    CHECK_FALSE(fs::exists(host.path("b")));
    REQUIRE(second.log.lines.size() == 1);
    CHECK_THAT(second.log.lines[0], Contains(host.path("b")) && Contains("for no listener"));
}

TEST_CASE("a start that fails leaves stored sockets as they are", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    serve_and_stop(host, config);
    const UniqueFd somebody = make_bound_socket(host.path("z"));
    CHECK_THROWS_AS((Start{host, host.config({"a", "z"}), std::move(host.stored)}), SocketInUse);
    CHECK(fs::exists(host.path("a")));
}

TEST_CASE("a stored socket has the rights of the new configuration from the start", "[sockets]")
{
    Host host;
    serve_and_stop(host, host.config({"a"}, 0666));
    REQUIRE(host.mode("a") == 0666);
    const Start second{host, host.config({"a"}, 0600), std::move(host.stored)};
    CHECK(host.mode("a") == 0600);
}

TEST_CASE("a unit's socket serves the listener of its path, and stays the unit's", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"}, 0666);
    const UniqueFd unit = make_bound_socket(host.path("a"));
    ::chmod(host.path("a").c_str(), 0640);
    Start start{host, config, passed(duplicate(unit.get()), "postern.socket")};
    start.serve(config);
    CHECK(start.log.lines.empty());
    CHECK(host.told().empty()); // the unit keeps it
    CHECK(host.mode("a") == 0640);
    const UniqueFd peer = connect_to(host.path("a"));
    CHECK(take_connection(listener_of(start, config)).is_open()); // the one that tried it
    CHECK(take_connection(listener_of(start, config)).is_open());
    start.sockets.close_all_but(host.config({}));
    CHECK_THROWS_AS(start.sockets.open(config), SocketInUse); // that takes a restart
    start.sockets.close();
    CHECK(connect_to(host.path("a")).is_open());
}

TEST_CASE("a socket that every user of the host can reach is told of, whoever has made it", "[sockets]")
{
    struct Door {
        mode_t directory;
        mode_t socket;
        bool is_wide;
    };
    const auto door = GENERATE(Door{0755, 0666, true}, Door{0711, 0622, true}, Door{0700, 0666, false},
                               Door{0755, 0660, false});
    const bool is_units = GENERATE(true, false);
    CAPTURE(door.directory, door.socket, is_units);
    Host host;
    fs::permissions(fs::path{host.path("a")}.parent_path(), fs::perms{door.directory});
    const Config config = host.config({"a"}, is_units ? 0600 : door.socket); // a unit says it itself
    std::vector<PassedDescriptor> units;
    if (is_units) {
        units = passed(make_bound_socket(host.path("a")), "postern.socket");
        REQUIRE(::chmod(host.path("a").c_str(), door.socket) == 0);
    }
    const Start start{host, config, std::move(units)};
    REQUIRE(start.log.lines.size() == (door.is_wide ? 1 : 0));
    if (door.is_wide)
        CHECK_THAT(start.log.lines[0],
                   Contains("every user of this host can try passwords at " + host.path("a")));
}

TEST_CASE("beside a front that was left behind, only a socket that its supervisor made is not in the way",
          "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    const UniqueFd control = make_bound_socket(host.path("control")); // who made it is this process
    SECTION("its own")
    {
        const UniqueFd served = make_bound_socket(host.path("a"));
        Start start{host, config};
        CHECK(start.sockets.has_orphan());
        start.serve(config);
        while (take_connection(served.get()).is_open()) // who asked whose it is
            ;
        CHECK(connect_to(host.path("a")).is_open());
        CHECK_FALSE(take_connection(served.get()).is_open());
        CHECK(take_connection(listener_of(start, config)).is_open());
    }
    SECTION("a stranger's")
    {
        const Stranger stranger{host.path("a")};
        CHECK_THROWS_AS((Start{host, config}), SocketInUse);
        REQUIRE(stranger.has_peer()); // who asked whose it is
        CHECK(connect_to(host.path("a")).is_open());
        CHECK(stranger.has_peer());
        CHECK(connect_to(host.path("control")).is_open());
    }
}

TEST_CASE("a listener whose path somebody else has come to serve is a problem, and has its place later",
          "[sockets]")
{
    Host host;
    const Config one = host.config({"a"});
    const Config two = host.config({"a", "b"});
    Start start{host, one};
    start.serve(one);
    start.sockets.open(two);
    host.told();
    {
        const Stranger stranger{host.path("b")};
        const Sockets::Problems problems = start.sockets.take_places(two);
        start.sockets.store();
        REQUIRE(problems.size() == 1);
        CHECK(problems.begin()->first == host.path("b"));
        CHECK_THAT(problems.begin()->second,
                   Contains("socket " + host.path("b") + " (somebody else serves it: process " +
                            std::to_string(stranger.pid())));
        CHECK(host.told().empty());
        CHECK(start.sockets.take_places(one).empty()); // nobody wants it there
    }
    start.serve(two);
    CHECK(host.told() == std::vector<std::string>{"FDSTORE=1\nFDNAME=" + host.path("b")});
    CHECK(connect_to(host.path("b")).is_open());
}

TEST_CASE("a listener whose file somebody has removed is a problem", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    Start start{host, config};
    start.serve(config);
    fs::remove(host.path("a"));
    const Sockets::Problems problems = start.sockets.take_places(config);
    REQUIRE(problems.size() == 1);
    CHECK_THAT(problems.begin()->second, Contains("socket " + host.path("a")));
}

TEST_CASE("a front that was left behind is asked to finish when all places are taken, and not before",
          "[sockets]")
{
    Host host;
    const Config config = host.config({"a", "b"});
    const UniqueFd control = make_bound_socket(host.path("control")); // who made it is this process
    const UniqueFd a = make_bound_socket(host.path("a"));
    const UniqueFd b = make_bound_socket(host.path("b"));
    Start start{host, config};
    while (take_connection(control.get()).is_open()) // who asked whose it is
        ;
    fs::remove(host.path("b"));
    std::optional<Stranger> stranger{host.path("b")};
    CHECK(start.sockets.take_places(config).size() == 1);
    const UniqueFd asking = take_connection(control.get());
    REQUIRE(asking.is_open());
    std::array<char, 256> request{};
    CHECK(::recv(asking.get(), request.data(), request.size(), MSG_DONTWAIT) < 0);
    CHECK(errno == EAGAIN);
    CHECK(start.sockets.has_orphan());
    stranger.reset();
    start.serve(config);
    const ssize_t got = ::recv(asking.get(), request.data(), request.size(), MSG_DONTWAIT);
    REQUIRE(got > 0);
    CHECK_THAT(std::string(request.data(), static_cast<std::size_t>(got)), Contains("finish"));
    CHECK_FALSE(start.sockets.has_orphan());
}

TEST_CASE("a reload that calls a socket by another name has the very same socket", "[sockets]")
{
    Host host;
    fs::create_directory(host.path("run"));
    fs::create_directory_symlink(host.path("run"), host.path("var-run"));
    const Config before = host.config({"var-run/a"});
    Start start{host, before};
    start.serve(before);
    const int socket = listener_of(start, before);
    Config after = host.config({"run/../run/a"}, 0640);
    after.listeners.front().name = "another";
    start.sockets.open(after);
    CHECK(listener_of(start, after) == socket);
    start.serve(after);
    start.sockets.close_all_but(after);
    CHECK(listener_of(start, after) == socket);
    CHECK(host.mode("run/a") == 0640);
    CHECK(connect_to(host.path("run/a")).is_open());
    SECTION("and back")
    {
        start.sockets.open(before);
        CHECK(listener_of(start, before) == socket);
    }
    SECTION("unless the path leads elsewhere since")
    {
        fs::create_directory(host.path("elsewhere"));
        fs::remove(host.path("var-run"));
        fs::create_directory_symlink(host.path("elsewhere"), host.path("var-run"));
        const Config elsewhere = host.config({"elsewhere/a"});
        start.sockets.open(elsewhere);
        CHECK(listener_of(start, elsewhere) != socket);
    }
    SECTION("until the end")
    {
        host.leave();
        start.manager.report_stopping("over");
        start.sockets.close();
        CHECK_FALSE(fs::exists(host.path("run/a")));
    }
}

TEST_CASE("a unit's socket serves the listener also where its directory has two names", "[sockets]")
{
    Host host;
    fs::create_directory(host.path("run"));
    fs::create_directory_symlink(host.path("run"), host.path("var-run"));
    const Config config = host.config({"var-run/a"});
    const UniqueFd unit = make_bound_socket(host.path("run/a"));
    Start start{host, config, passed(duplicate(unit.get()), "postern.socket")};
    start.serve(config);
    CHECK(start.log.lines.empty());
    CHECK(host.told().empty()); // the unit keeps it
    const UniqueFd peer = connect_to(host.path("run/a"));
    CHECK(take_connection(listener_of(start, config)).is_open());
}

TEST_CASE("a stored socket whose directory is called otherwise now is stored under its new path", "[sockets]")
{
    Host host;
    fs::create_directory(host.path("run"));
    fs::create_directory_symlink(host.path("run"), host.path("var-run"));
    serve_and_stop(host, host.config({"var-run/a"}));
    const Config config = host.config({"run/a"});
    Start second{host, config, std::move(host.stored)};
    CHECK(second.log.lines.empty());
    CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("var-run/a")});
    second.serve(config);
    CHECK(host.told() == std::vector<std::string>{"FDSTORE=1\nFDNAME=" + host.path("run/a")});
    CHECK(connect_to(host.path("run/a")).is_open());
}

TEST_CASE("a passed socket never makes the daemon wait for a connection", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    Start start{host, config, passed(make_bound_socket(host.path("a")), "postern.socket")};
    CHECK((::fcntl(listener_of(start, config), F_GETFL) & O_NONBLOCK) != 0);
}

TEST_CASE("a descriptor for no listener is closed, and the log names it", "[sockets]")
{
    Host host;
    const Config config = host.config({"a"});
    const std::size_t before = open_descriptors();
    {
        const Start start{host, config, passed(make_bound_socket(host.path("other")), "other.socket")};
        REQUIRE(start.log.lines.size() == 1);
        CHECK_THAT(start.log.lines[0], Contains("other.socket") && Contains(host.path("other")) &&
                                           Contains("is for no listener"));
        CHECK(fs::exists(host.path("other")));
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("what is no socket is closed, and the log names it", "[sockets]")
{
    Host host;
    const Start start{host, host.config({"a"}), passed(make_pipe().read_end, "fifo\nforged")};
    REQUIRE(start.log.lines.size() == 1);
    CHECK_THAT(start.log.lines[0], Contains("fifo\\x0aforged") && Contains("is for no listener"));
}

TEST_CASE("a socket that does not serve its path is closed, and ours takes the place", "[sockets]")
{
    const auto fault = GENERATE("name removed", "not listening", "place taken by a dead one");
    const auto name = GENERATE("postern.socket", "stored");
    CAPTURE(fault, name);
    Host host;
    const Config config = host.config({"a"});
    UniqueFd unfit = make_bound_socket(host.path("a"), SOCK_STREAM, fault != std::string{"not listening"});
    if (fault != std::string{"not listening"})
        fs::remove(host.path("a"));
    if (fault == std::string{"place taken by a dead one"})
        make_bound_socket(host.path("a")).reset();
    const bool is_stored = name == std::string{"stored"};
    Start start{host, config, passed(std::move(unfit), is_stored ? host.path("a") : name)};
    start.serve(config);
    REQUIRE(start.log.lines.size() == 1);
    CHECK_THAT(start.log.lines[0], Contains("is closed: "));
    CHECK(connect_to(host.path("a")).is_open());
    const std::vector<std::string> told = host.told();
    REQUIRE(told.size() == (is_stored ? 2 : 1));
    CHECK(told.front() == (is_stored ? "FDSTOREREMOVE=1\nFDNAME=" : "FDSTORE=1\nFDNAME=") + host.path("a"));
    CHECK(told.back() == "FDSTORE=1\nFDNAME=" + host.path("a"));
}

TEST_CASE("a passed socket whose place somebody else serves ends the start", "[sockets]")
{
    Host host;
    UniqueFd replaced = make_bound_socket(host.path("a"));
    fs::remove(host.path("a"));
    const UniqueFd somebody = make_bound_socket(host.path("a"));
    CHECK_THROWS_AS((Start{host, host.config({"a"}), passed(std::move(replaced), "postern.socket")}),
                    SocketInUse);
}

TEST_CASE("of two descriptors for one path, the one that serves it does", "[sockets]")
{
    const bool good_one_first = GENERATE(true, false);
    Host host;
    UniqueFd stored = make_bound_socket(host.path("a"));
    fs::remove(host.path("a"));
    UniqueFd unit = make_bound_socket(host.path("a"));
    std::vector<PassedDescriptor> both;
    both.push_back({std::move(unit), "postern.socket"});
    both.insert(good_one_first ? both.end() : both.begin(),
                PassedDescriptor{std::move(stored), host.path("a")});
    const Start start{host, host.config({"a"}), std::move(both)};
    CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("a")});
    CHECK(start.log.lines.size() == 1);
    CHECK(connect_to(host.path("a")).is_open());
}

TEST_CASE("of two stored under one path, the one that serves it does, and is stored again", "[sockets]")
{
    const auto other = GENERATE("before it", "behind it", "the same one");
    CAPTURE(other);
    Host host;
    const Config config = host.config({"a"});
    UniqueFd stale = make_bound_socket(host.path("a"));
    fs::remove(host.path("a"));
    UniqueFd good = make_bound_socket(host.path("a"));
    UniqueFd same = duplicate(good.get());
    std::vector<PassedDescriptor> both = passed(std::move(good), host.path("a"));
    both.insert(other == std::string{"before it"} ? both.begin() : both.end(),
                PassedDescriptor{other == std::string{"the same one"} ? std::move(same) : std::move(stale),
                                 host.path("a")});
    Start start{host, config, std::move(both)};
    CHECK(host.told() == std::vector<std::string>{"FDSTOREREMOVE=1\nFDNAME=" + host.path("a")});
    CHECK(start.log.lines.size() == 1);
    start.serve(config);
    CHECK(host.told() == std::vector<std::string>{"FDSTORE=1\nFDNAME=" + host.path("a")});
    start.sockets.close();
    CHECK(connect_to(host.path("a")).is_open());
}
