// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/service_manager.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/notify_listener.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::chrono_literals;
using Catch::Contains;

namespace {

bool are_one_file(int a, int b)
{
    struct stat first {};
    struct stat second {};
    REQUIRE(::fstat(a, &first) == 0);
    REQUIRE(::fstat(b, &second) == 0);
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/// A daemon that was started with that environment.
class Told {
public:
    explicit Told(const std::string& notify_socket, std::optional<std::chrono::microseconds> watchdog = {})
        : manager{loop, log, ServiceEnvironment{notify_socket, watchdog, {}, {}}}
    {
    }

    /// Lets what is due at that time happen.
    void wait(Duration time)
    {
        bool is_over = false;
        Timer end{loop, [&] { is_over = true; }};
        clock.advance(time);
        end.schedule(clock.now());
        loop.at_turn_end([&] {
            if (is_over)
                loop.stop();
        });
        loop.run();
    }

    ManualClock clock;
    EventLoop loop{clock};
    RecordingLog log;
    ServiceManager manager;
};

} // namespace

TEST_CASE("a service manager hears when the daemon is ready, reloads and stops", "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    told.manager.report_ready("fine");
    told.manager.report_reloading();
    told.manager.report_stopping("over");
    CHECK(listener.hear().text == "READY=1\nSTATUS=fine");
    const auto now =
        std::chrono::duration_cast<std::chrono::microseconds>(told.clock.now().time_since_epoch());
    CHECK_THAT(listener.hear().text,
               Contains("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()) + "\n"));
    CHECK(listener.hear().text == "STOPPING=1\nSTATUS=over");
    CHECK(told.log.lines.empty());
}

TEST_CASE("an abstract name is one too", "[service manager]")
{
    const std::string name = "@postern-test-" + std::to_string(::getpid());
    NotifyListener listener{name};
    Told told{name};
    told.manager.report_ready("fine");
    CHECK(listener.hear().text == "READY=1\nSTATUS=fine");
}

TEST_CASE("a status is one line of text, whatever stands in it", "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    told.manager.report_ready("first\nSTOPPING=1");
    told.manager.report_ready("a\xff\x01z");
    told.manager.report_ready(std::string(10'000, 'x'));
    CHECK(listener.hear().text == "READY=1\nSTATUS=first");
    CHECK(listener.hear().text == "READY=1\nSTATUS=a\\xff\\x01z");
    CHECK(listener.hear().text.size() < 600);
}

TEST_CASE("a descriptor is stored under its name, and taken away by it", "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    const Pipe pipe = make_pipe();
    told.manager.store(pipe.read_end.get(), "/run/mux");
    told.manager.remove_stored("/run/mux");
    const auto stored = listener.hear();
    CHECK(stored.text == "FDSTORE=1\nFDNAME=/run/mux");
    REQUIRE(stored.descriptors.size() == 1);
    CHECK(are_one_file(stored.descriptors[0].get(), pipe.read_end.get()));
    const auto removed = listener.hear();
    CHECK(removed.text == "FDSTOREREMOVE=1\nFDNAME=/run/mux");
    CHECK(removed.descriptors.empty());
    CHECK(told.manager.keeps_descriptors());
}

TEST_CASE("the watchdog is fed when there is one", "[service manager]")
{
    const bool has_watchdog = GENERATE(true, false);
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify"), has_watchdog ? std::optional{60'000'000us} : std::nullopt};
    told.manager.feed_watchdog();
    CHECK(listener.hear().text == (has_watchdog ? "WATCHDOG=1" : ""));
    CHECK(told.log.lines.empty());
}

TEST_CASE("a watchdog that bites sooner than a front can be replaced is told of", "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    const Told told{directory.file("notify"), 2'000'000us};
    REQUIRE(told.log.lines.size() == 1);
    CHECK_THAT(told.log.lines[0], Contains("shorter than 10 s"));
    const Told just_enough{directory.file("notify"), 10'000'000us};
    CHECK(just_enough.log.lines.empty());
}

TEST_CASE("a watchdog that does not read is not fed more than it has to eat", "[service manager]")
{
    TemporaryDirectory directory;
    const NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify"), 60'000'000us};
    for (int i = 0; i < 600; ++i)
        told.manager.feed_watchdog();
    CHECK(told.manager.listens());
    CHECK(told.log.lines.empty());
}

TEST_CASE("more that is lost does not put off the next attempt", "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify")};
    int tries = 0;
    told.manager.on_lost([&] { ++tries; });
    told.manager.report_ready("fine");
    told.clock.advance(100ms);
    told.manager.report_ready("fine");
    told.wait(0ms);
    CHECK(tries == 1);
}

TEST_CASE("without a service manager nothing is said, stored or logged", "[service manager]")
{
    Told told{""};
    told.manager.report_ready("fine");
    told.manager.store(0, "/run/mux");
    CHECK_FALSE(told.manager.keeps_descriptors());
    CHECK(told.log.lines.empty());
}

TEST_CASE("a service manager that cannot be reached is told of once, and trusted with nothing",
          "[service manager]")
{
    const std::string name =
        GENERATE("/nobody/serves/this", "@nobody-at-all", "vsock:2:1", "relative", "@",
                 "/too/long/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    CAPTURE(name);
    Told told{name};
    told.manager.report_ready("fine");
    told.manager.report_stopping("over");
    CHECK_FALSE(told.manager.keeps_descriptors());
    REQUIRE(told.log.lines.size() == 1);
    CHECK_THAT(told.log.lines[0], Contains("the service manager is not told"));
}

TEST_CASE(
    "what was lost is said again when somebody listens: the last report, what is to go, and what is stored",
    "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify")};
    int stored_anew = 0;
    const Pipe pipe = make_pipe();
    told.manager.on_lost([&] {
        ++stored_anew;
        told.manager.store(pipe.read_end.get(), "/run/mux");
    });
    told.manager.report_reloading();
    told.manager.report_ready("fine");
    for (const char* name : {"/run/mux", "/run/gone", "/run/mux"})
        told.manager.remove_stored(name);
    CHECK_FALSE(told.manager.listens());
    CHECK_FALSE(told.manager.keeps_descriptors());
    REQUIRE(told.log.lines.size() == 1);

    NotifyListener listener{directory.file("notify")};
    told.wait(99ms);
    CHECK(listener.hear().text.empty());
    told.wait(1ms);
    for (const std::string said : {"READY=1\nSTATUS=fine", "FDSTOREREMOVE=1\nFDNAME=/run/gone",
                                   "FDSTOREREMOVE=1\nFDNAME=/run/mux", "FDSTORE=1\nFDNAME=/run/mux", ""})
        CHECK(listener.hear().text == said);
    CHECK(stored_anew == 1);
    CHECK(told.manager.listens());
    CHECK(told.manager.keeps_descriptors());
    REQUIRE(told.log.lines.size() == 2);
    CHECK_THAT(told.log.lines[1], Contains("is told again at " + directory.file("notify")));
    told.wait(100s);
    CHECK(stored_anew == 1);
    CHECK(listener.hear().text.empty());
}

TEST_CASE("that it is told again is said when something was", "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify"), 60'000'000us};
    told.manager.feed_watchdog();
    REQUIRE(told.log.lines.size() == 1);
    SECTION("nobody is there, and there is nothing to say")
    {
        told.wait(100ms);
        CHECK(told.log.lines.size() == 1);
    }
    NotifyListener listener{directory.file("notify")};
    told.wait(100ms);
    CHECK(told.log.lines.size() == 1);
    told.manager.report_ready("fine");
    CHECK(listener.hear().text == "READY=1\nSTATUS=fine");
    REQUIRE(told.log.lines.size() == 2);
    CHECK_THAT(told.log.lines[1], Contains("is told again"));
}

TEST_CASE("no more is remembered of what is to go than may wait", "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify")};
    for (int i = 0; i < 600; ++i)
        told.manager.remove_stored(std::to_string(i));
    NotifyListener listener{directory.file("notify")};
    int heard = 0;
    for (int turns = 0; turns < 600; ++turns) {
        while (!listener.hear().text.empty())
            ++heard;
        told.wait(100ms);
    }
    CHECK(heard == 256);
    CHECK(told.manager.listens());
}

TEST_CASE("somebody who is gone again is told of again", "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify")};
    for (int outage = 1; outage <= 3; ++outage) {
        told.manager.report_ready("fine");
        CHECK_FALSE(told.manager.listens());
        const NotifyListener listener{directory.file("notify")};
        told.wait(100ms); // as after the first outage: the pauses start over
        CHECK(told.manager.listens());
        REQUIRE(told.log.lines.size() == static_cast<std::size_t>(2 * outage));
        std::filesystem::remove(directory.file("notify"));
    }
}

TEST_CASE("while nobody listens, it is tried again after pauses that grow", "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify")};
    int tries = 0;
    told.manager.on_lost([&] { ++tries; });
    told.manager.report_ready("fine");
    for (const auto pause : {100ms, 200ms, 400ms, 800ms, 1600ms}) {
        const int before = tries;
        told.wait(pause - 1ms);
        CHECK(tries == before);
        told.wait(1ms);
        CHECK(tries == before + 1);
    }
    CHECK_FALSE(told.manager.listens());
    CHECK(told.log.lines.size() == 1);
}

TEST_CASE("what was lost can be said again at once, and is not said a third time", "[service manager]")
{
    TemporaryDirectory directory;
    Told told{directory.file("notify")};
    told.manager.say_lost_again();
    told.manager.report_stopping("over");
    NotifyListener listener{directory.file("notify")};
    told.manager.say_lost_again();
    CHECK(listener.hear().text == "STOPPING=1\nSTATUS=over");
    CHECK(told.manager.keeps_descriptors());
    told.wait(100s);
    told.manager.say_lost_again();
    CHECK(listener.hear().text.empty());
}

TEST_CASE("a descriptor that cannot be stored now is asked for again", "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    const Pipe pipe = make_pipe();
    told.manager.on_lost([&] { told.manager.store(pipe.read_end.get(), "/run/mux"); });
    Log& log = told.log;
    const Clock& clock = told.loop.clock();
    log.warning("UBSan looks at the type of an object once, and needs descriptors for it");
    static_cast<void>(clock.now());
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const int next = UniqueFd{::fcntl(pipe.read_end.get(), F_DUPFD_CLOEXEC, 0)}.get();
    const rlimit no_more{static_cast<rlim_t>(next), before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &no_more) == 0);
    told.manager.store(pipe.read_end.get(), "/run/mux");
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_FALSE(told.manager.keeps_descriptors());
    REQUIRE(told.log.lines.size() == 2);
    CHECK_THAT(told.log.lines[1], Contains("Too many open files"));
    told.wait(100ms);
    const auto heard = listener.hear();
    CHECK(heard.text == "FDSTORE=1\nFDNAME=/run/mux");
    CHECK(heard.descriptors.size() == 1);
    CHECK(told.manager.keeps_descriptors());
}

TEST_CASE("one that has not read for too long hears again what did not fit, when it reads",
          "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    const Pipe pipe = make_pipe();
    told.manager.on_lost([&] { told.manager.store(pipe.read_end.get(), "anew"); });
    while (told.manager.listens())
        told.manager.store(pipe.read_end.get(), "name");
    std::string last;
    for (int turns = 0; last != "FDSTORE=1\nFDNAME=anew" && turns < 300; ++turns) {
        for (auto next = listener.hear(); !next.text.empty(); next = listener.hear())
            last = next.text;
        told.wait(100ms);
    }
    CHECK(last == "FDSTORE=1\nFDNAME=anew");
    CHECK(told.manager.keeps_descriptors());
    CHECK(told.log.lines.size() == 2);
}

TEST_CASE("one that does not read keeps nobody waiting, and hears everything in its order later",
          "[service manager]")
{
    TemporaryDirectory directory;
    NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    constexpr int messages = 200;
    for (int i = 0; i < messages; ++i) {
        const Pipe pipe = make_pipe();
        told.manager.store(pipe.read_end.get(), std::to_string(i));
    }
    CHECK(told.manager.listens());
    CHECK_FALSE(told.manager.keeps_descriptors());
    int heard = 0;
    for (int turns = 0; heard < messages && turns < messages; ++turns) {
        for (auto next = listener.hear(); !next.text.empty(); next = listener.hear()) {
            CHECK(next.text == "FDSTORE=1\nFDNAME=" + std::to_string(heard++));
            CHECK(next.descriptors.size() == 1);
        }
        told.wait(100ms);
    }
    CHECK(heard == messages);
    CHECK(told.manager.keeps_descriptors());
    CHECK(told.log.lines.empty());
}

TEST_CASE("one that never reads costs a bounded number of messages and descriptors", "[service manager]")
{
    TemporaryDirectory directory;
    const NotifyListener listener{directory.file("notify")};
    Told told{directory.file("notify")};
    const Pipe pipe = make_pipe();
    const std::size_t before = open_descriptors();
    for (int i = 0; i < 600; ++i)
        told.manager.store(pipe.read_end.get(), "name");
    CHECK(open_descriptors() - before <= 256);
    CHECK_FALSE(told.manager.keeps_descriptors());
    CHECK(told.log.lines.size() == 1);
}
