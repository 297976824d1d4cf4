// SPDX-License-Identifier: BSD-2-Clause
#include "base/event_loop.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/manual_clock.hpp"

#include <signal.h>

#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

namespace {

using namespace std::chrono_literals;
using Events = std::vector<std::string>;

/// An event loop whose time is moved by hand, and what has happened on it, in order.
struct Stage {
    ManualClock clock;
    EventLoop loop{clock};
    Events happened;

    /// A callback that writes down that it was called.
    auto noting(std::string what)
    {
        return [this, what = std::move(what)](auto&&...) { happened.push_back(what); };
    }

    TimePoint in(Duration delay) const { return clock.now() + delay; }

    /// Serves everything that is due when the clock has moved on by `step`.
    void advance(Duration step)
    {
        clock.advance(step);
        Timer end{loop, [this] { loop.stop(); }};
        end.schedule(clock.now());
        loop.run();
    }
};

/// A descriptor that is ready to be read.
struct ReadyPipe : Pipe {
    ReadyPipe() : Pipe{make_pipe()} { check(::write(write_end.get(), "x", 1), "write"); }

    void drain() const
    {
        char byte = 0;
        (void)!::read(read_end.get(), &byte, 1);
    }
};

} // namespace

TEST_CASE("timers ring in the order of their times, whatever the order they were set in", "[event_loop]")
{
    Stage stage;
    Timer third{stage.loop, stage.noting("third")};
    Timer first{stage.loop, stage.noting("first")};
    Timer second{stage.loop, stage.noting("second")};
    third.schedule(stage.in(3s));
    first.schedule(stage.in(1s));
    second.schedule(stage.in(2s));

    stage.advance(3s);

    CHECK(stage.happened == Events{"first", "second", "third"});
}

TEST_CASE("a timer rings once, and not before its time", "[event_loop]")
{
    Stage stage;
    Timer timer{stage.loop, stage.noting("ring")};
    timer.schedule(stage.in(10s));

    stage.advance(10s - 1ns);
    CHECK(stage.happened.empty());
    stage.advance(1ns);
    CHECK(stage.happened == Events{"ring"});
    stage.advance(1h);
    CHECK(stage.happened == Events{"ring"});
}

TEST_CASE("all timers of one moment ring", "[event_loop]")
{
    Stage stage;
    Timer one{stage.loop, stage.noting("ring")};
    Timer other{stage.loop, stage.noting("ring")};
    one.schedule(stage.in(1s));
    other.schedule(stage.in(1s));
    stage.advance(1s);
    CHECK(stage.happened == Events{"ring", "ring"});
}

TEST_CASE("a timer set for a time that has long passed rings at once", "[event_loop]")
{
    Stage stage;
    const auto when = GENERATE(TimePoint{-241h}, TimePoint::min());
    Timer timer{stage.loop, stage.noting("ring")};
    timer.schedule(when);
    stage.advance(0s);
    CHECK(stage.happened == Events{"ring"});
}

TEST_CASE("a cancelled timer does not ring", "[event_loop]")
{
    Stage stage;
    Timer timer{stage.loop, stage.noting("ring")};
    timer.schedule(stage.in(1s));
    timer.cancel();
    timer.cancel();
    stage.advance(1h);
    CHECK(stage.happened.empty());
}

TEST_CASE("a timer that was moved rings at its new time alone", "[event_loop]")
{
    Stage stage;
    Timer timer{stage.loop, stage.noting("ring")};

    SECTION("later")
    {
        timer.schedule(stage.in(1s));
        timer.schedule(stage.in(10s));
        stage.advance(9s);
        CHECK(stage.happened.empty());
    }
    SECTION("earlier")
    {
        timer.schedule(stage.in(20s));
        timer.schedule(stage.in(10s));
        stage.advance(9s);
        CHECK(stage.happened.empty());
    }
    stage.advance(1s);
    CHECK(stage.happened == Events{"ring"});
    stage.advance(1h);
    CHECK(stage.happened == Events{"ring"});
}

TEST_CASE("a timer can set itself again", "[event_loop]")
{
    Stage stage;
    Timer timer{stage.loop, [&] {
                    stage.happened.emplace_back("ring");
                    timer.schedule(stage.in(1s));
                }};
    timer.schedule(stage.in(1s));
    stage.advance(1s);
    stage.advance(1s);
    CHECK(stage.happened == Events{"ring", "ring"});
}

TEST_CASE("a timer that has rung can be set for the same moment again", "[event_loop]")
{
    Stage stage;
    Timer timer{stage.loop, [&] {
                    stage.happened.emplace_back("ring");
                    if (stage.happened.size() < 3)
                        timer.schedule(stage.in(0s));
                }};
    timer.schedule(stage.in(1s));
    stage.advance(1s);
    CHECK(stage.happened == Events{"ring", "ring", "ring"});
}

TEST_CASE("a timer far away rings although a nearer one was cancelled", "[event_loop]")
{
    Stage stage;
    Timer near{stage.loop, stage.noting("near")};
    Timer far{stage.loop, stage.noting("far")};
    near.schedule(stage.in(2s));
    far.schedule(stage.in(1h));
    stage.advance(1s); // the loop waits for the nearer one from here on
    near.cancel();

    stage.advance(30min);
    CHECK(stage.happened.empty());
    stage.advance(30min);
    CHECK(stage.happened == Events{"far"});
}

TEST_CASE("by the machine's own clock, a nearer timer overtakes one that is waited for", "[event_loop]")
{
    const SystemClock clock;
    EventLoop loop{clock};
    Timer far{loop, [] { FAIL("a day has passed"); }};
    Timer near{loop, [&loop] { loop.stop(); }};
    const ReadyPipe pipe;
    const FdWatch watch{loop, pipe.read_end.get(), EPOLLIN, [&](auto) {
                            pipe.drain();
                            near.schedule(clock.now() + 1ms);
                        }};
    far.schedule(clock.now() + 24h);
    const TimePoint begin = clock.now();
    loop.run();
    CHECK(clock.now() - begin >= 1ms);
}

TEST_CASE("a timer that another one destroys does not ring", "[event_loop]")
{
    Stage stage;
    std::optional<Timer> second{std::in_place, stage.loop, stage.noting("second")};
    Timer first{stage.loop, [&] { second.reset(); }};
    first.schedule(stage.in(1s));
    second->schedule(stage.in(2s));
    stage.advance(3s);
    CHECK(stage.happened.empty());
}

TEST_CASE("a timer may destroy itself and its owner", "[event_loop]")
{
    Stage stage;
    auto timer = std::make_unique<std::optional<Timer>>();
    timer->emplace(stage.loop, [&] {
        stage.happened.emplace_back("ring");
        timer.reset();
    });
    (*timer)->schedule(stage.in(1s));
    stage.advance(1s);
    CHECK(stage.happened == Events{"ring"});
}

TEST_CASE("a watch is called with what its descriptor shows", "[event_loop]")
{
    Stage stage;
    Pipe pipe = make_pipe();
    std::uint32_t shown = 0;
    const FdWatch watch{stage.loop, pipe.read_end.get(), EPOLLIN, [&](std::uint32_t events) {
                            shown = events;
                            stage.loop.stop();
                        }};
    SECTION("data")
    {
        check(::write(pipe.write_end.get(), "x", 1), "write");
        stage.loop.run();
        CHECK(shown == EPOLLIN);
    }
    SECTION("the end")
    {
        pipe.write_end.reset();
        stage.loop.run();
        CHECK(shown == EPOLLHUP);
    }
}

TEST_CASE("a watch is called for what it asks for at the time", "[event_loop]")
{
    Stage stage;
    const ReadyPipe pipe;
    FdWatch watch{stage.loop, pipe.read_end.get(), 0, [&](auto) {
                      stage.happened.emplace_back("read");
                      pipe.drain();
                  }};
    stage.advance(1s);
    CHECK(stage.happened.empty());

    watch.watch_for(EPOLLIN);
    stage.advance(1s);
    CHECK(stage.happened == Events{"read"});
}

TEST_CASE("a watch destroyed within a turn is not called any more in that turn", "[event_loop]")
{
    Stage stage;
    const ReadyPipe one;
    const ReadyPipe other;
    std::optional<FdWatch> watch_one;
    std::optional<FdWatch> watch_other;
    watch_one.emplace(stage.loop, one.read_end.get(), EPOLLIN, [&](auto) {
        stage.happened.emplace_back("called");
        watch_other.reset();
        one.drain();
    });
    watch_other.emplace(stage.loop, other.read_end.get(), EPOLLIN, [&](auto) {
        stage.happened.emplace_back("called");
        watch_one.reset();
        other.drain();
    });
    stage.advance(1s);
    CHECK(stage.happened == Events{"called"}); // by whichever came first
}

TEST_CASE("a watch in the place of a destroyed one does not get its events", "[event_loop]")
{
    Stage stage;
    const ReadyPipe ready_one;
    const ReadyPipe ready_other;
    const Pipe silent = make_pipe();
    std::optional<FdWatch> one;
    std::optional<FdWatch> other;
    const auto replace = [&](std::optional<FdWatch>& watch) {
        watch.emplace(stage.loop, silent.read_end.get(), EPOLLIN, stage.noting("silence"));
    };
    one.emplace(stage.loop, ready_one.read_end.get(), EPOLLIN, [&](auto) {
        ready_one.drain();
        replace(other);
    });
    other.emplace(stage.loop, ready_other.read_end.get(), EPOLLIN, [&](auto) {
        ready_other.drain();
        replace(one);
    });
    stage.advance(1s);
    CHECK(stage.happened.empty());
}

TEST_CASE("a watch may destroy itself and its owner", "[event_loop]")
{
    Stage stage;
    const ReadyPipe pipe;
    auto watch = std::make_unique<std::optional<FdWatch>>();
    watch->emplace(stage.loop, pipe.read_end.get(), EPOLLIN, [&](auto) {
        stage.happened.emplace_back("called");
        watch.reset();
    });
    stage.advance(1s);
    CHECK(stage.happened == Events{"called"});
}

TEST_CASE("more descriptors than one turn holds are all served", "[event_loop]")
{
    Stage stage;
    const std::size_t count = 400;
    const std::vector<ReadyPipe> pipes(count);
    std::vector<std::unique_ptr<FdWatch>> watches;
    for (const ReadyPipe& pipe : pipes)
        watches.push_back(
            std::make_unique<FdWatch>(stage.loop, pipe.read_end.get(), EPOLLIN, [&stage, &pipe](auto) {
                pipe.drain();
                stage.happened.emplace_back("served");
                if (stage.happened.size() == count)
                    stage.loop.stop();
            }));
    stage.loop.run();
    CHECK(stage.happened.size() == count);
}

TEST_CASE("what is due after each watch is done before the next one, and at the end of a turn behind all",
          "[event_loop]")
{
    Stage stage;
    const ReadyPipe pipes[2];
    const auto serve = [&](const ReadyPipe& pipe) {
        return [&](auto) {
            pipe.drain();
            stage.happened.emplace_back("served");
        };
    };
    const FdWatch one{stage.loop, pipes[0].read_end.get(), EPOLLIN, serve(pipes[0])};
    const FdWatch other{stage.loop, pipes[1].read_end.get(), EPOLLIN, serve(pipes[1])};
    stage.loop.after_each_watch([&] { stage.happened.emplace_back("after it"); });
    stage.loop.at_turn_end([&] {
        stage.happened.emplace_back("turn");
        if (stage.happened.size() > 2)
            stage.loop.stop();
    });

    stage.loop.run();

    CHECK(stage.happened == Events{"turn", "served", "after it", "served", "after it", "turn"});
}

TEST_CASE("a loop that is stopped at the end of a turn waits for nothing more", "[event_loop]")
{
    Stage stage;
    stage.loop.at_turn_end([&] { stage.loop.stop(); });
    CHECK_NOTHROW(stage.loop.run());
}

TEST_CASE("what a callback throws leaves run(), and the loop can go on", "[event_loop]")
{
    Stage stage;
    const ReadyPipe pipe;
    const FdWatch watch{stage.loop, pipe.read_end.get(), EPOLLIN, [&](auto) {
                            pipe.drain();
                            throw std::runtime_error{"thrown"};
                        }};
    Timer timer{stage.loop, stage.noting("ring")};
    timer.schedule(stage.in(1s));

    CHECK_THROWS_WITH(stage.loop.run(), "thrown");
    stage.advance(1s);
    CHECK(stage.happened == Events{"ring"});
}

TEST_CASE("signals are read from a descriptor, and no handler runs", "[event_loop]")
{
    sigset_t before;
    ::sigprocmask(SIG_SETMASK, nullptr, &before);
    const UniqueFd signals = open_signal_fd({SIGUSR1, SIGUSR2});
    CHECK(next_signal(signals.get()) == 0);

    ::raise(SIGUSR2); // would end the process

    CHECK(next_signal(signals.get()) == SIGUSR2);
    CHECK(next_signal(signals.get()) == 0);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
}

} // namespace postern
