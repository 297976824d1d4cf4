// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/typist.hpp"
#include "tools/status_watch.hpp"

#include <catch2/catch.hpp>
#include <cstdio>
#include <memory>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::int64_t wall = 1'700'000'000;

StatusReport report_of(std::uint32_t front, std::uint64_t accepted)
{
    StatusReport report;
    report.version = "0.1.0";
    report.front = front;
    report.since = wall - 60;
    report.logins.set(Verdict::accepted, accepted);
    return report;
}

ControlOutcome answer(const StatusReport& report)
{
    ControlOutcome outcome;
    outcome.kind = ControlOutcome::Kind::answered;
    outcome.reply.is_ok = true;
    outcome.reply.status = report;
    return outcome;
}

/// `postern status --watch`, read line by line.
class Watcher {
public:
    Watcher(const std::string& directory, const std::string& options)
        : output_{::popen((std::string{POSTERN_PROGRAM} + " status -m " + directory + ' ' + options).c_str(),
                          "r")}
    {
    }
    Watcher(const Watcher&) = delete;

    ~Watcher() { ::pclose(output_); } // its next look breaks the pipe

    /// Reads to a line that begins so. False when there is none.
    bool sees(const std::string& beginning)
    {
        std::array<char, 65536> line{};
        while (std::fgets(line.data(), static_cast<int>(line.size()), output_) != nullptr)
            if (std::string_view{line.data()}.starts_with(beginning))
                return true;
        return false;
    }

private:
    std::FILE* output_;
};

} // namespace

TEST_CASE("the second look tells how many logins a second there were", "[watch]")
{
    StatusWatch watch;
    const StatusWatch::Clock::time_point start{};
    CHECK_THAT(watch.look(answer(report_of(7, 100)), start, wall), !Catch::Contains("PER SECOND"));
    const std::string second = watch.look(answer(report_of(7, 130)), start + 4s, wall + 4);
    CHECK_THAT(second, Catch::StartsWith("PER SECOND") && Catch::Contains("\nof all logins       7.5  "));
    const std::string third = watch.look(answer(report_of(7, 130)), start + 5s, wall + 5);
    CHECK_THAT(third, Catch::Contains("\nof all logins       0.0  "));
}

TEST_CASE("another front counts anew, and that is said from then on", "[watch]")
{
    StatusWatch watch;
    const StatusWatch::Clock::time_point start{};
    static_cast<void>(watch.look(answer(report_of(7, 100)), start, wall));
    const std::string second = watch.look(answer(report_of(8, 3)), start + 2s, wall + 2);
    CHECK_THAT(second, Catch::StartsWith("another front answers since ") &&
                           Catch::Contains(", and counts anew\n") && !Catch::Contains("PER SECOND"));
    const std::string third = watch.look(answer(report_of(8, 5)), start + 4s, wall + 4);
    CHECK_THAT(third, Catch::StartsWith("another front answers since ") &&
                          Catch::Contains("\nof all logins       1.0  "));
}

TEST_CASE("a daemon that does not answer is told, and when it last did", "[watch]")
{
    StatusWatch watch;
    const StatusWatch::Clock::time_point start{};
    const ControlOutcome nobody{
        ControlOutcome::Kind::unreachable, {}, "no daemon serves /x:\x1b[2J gone\nmore"};
    CHECK(watch.look(nobody, start, wall) == "no daemon serves /x:?[2J gone\n");
    static_cast<void>(watch.look(answer(report_of(7, 100)), start, wall));
    CHECK_THAT(watch.look(nobody, start + 2s, wall + 2),
               Catch::StartsWith("no daemon serves /x:?[2J gone\nthe last answer came at 20"));
    CHECK_THAT(watch.look(answer(report_of(7, 140)), start + 4s, wall + 4),
               Catch::Contains("\nof all logins      10.0  "));
}

TEST_CASE("a text is cut to the screen, and what is missing is counted", "[watch]")
{
    CHECK(text_for_screen("one\ntwo\n", 3, 80) == "one\ntwo\n");
    CHECK(text_for_screen("one\ntwo\nthree\n", 3, 80) == "one\n2 more lines\n");
    CHECK(text_for_screen("one\n\nthree", 24, 80) == "one\n\nthree\n");
    CHECK(text_for_screen("one\ntwo\nthree\n", 0, 3) == "3 m\n");
    CHECK(text_for_screen("b\u00f6b\u00f6\nlonger\n", 24, 4) == "b\u00f6b\u00f6\nlong\n");
    CHECK(text_for_screen("b\u00f6b\u00f6\n", 24, 2) == "b\u00f6\n");
    CHECK(text_for_screen("", 24, 80).empty());
}

TEST_CASE("in a pipe one status stands behind the other", "[watch]")
{
    const TemporaryDirectory directory;
    const ReplyServer server{
        directory.file("control"),
        {control::write_status(report_of(7, 100)), control::write_status(report_of(7, 130))}};
    Watcher watcher{directory.path(), "--watch 0.1"};
    CHECK(watcher.sees("Postern 0.1.0, counting since "));
    CHECK(watcher.sees("PER SECOND"));
    CHECK(watcher.sees("Postern 0.1.0, counting since "));
}

TEST_CASE("who watches goes on when the daemon ends, and another one starts", "[watch]")
{
    const TemporaryDirectory directory;
    const std::string path = directory.file("control");
    auto server = std::make_unique<ReplyServer>(
        path, std::vector<ReplyServer::Reply>{control::write_status(report_of(7, 100))});
    Watcher watcher{directory.path(), "--watch=0.1"};
    CHECK(watcher.sees("Postern 0.1.0, counting since "));
    server.reset();
    CHECK(watcher.sees("no daemon serves " + directory.path().string()));
    server = std::make_unique<ReplyServer>(
        path, std::vector<ReplyServer::Reply>{control::write_status(report_of(8, 1))});
    CHECK(watcher.sees("another front answers since "));
    CHECK(watcher.sees("Postern 0.1.0, counting since "));
    server.reset(); // it is a copy of this process, and holds the pipe
}

TEST_CASE("who watches as JSON reads nothing else", "[watch]")
{
    const TemporaryDirectory directory;
    const ReplyServer server{
        directory.file("control"),
        {control::write_status(report_of(7, 100)), control::write_problem("no memory"), std::nullopt}};
    const std::string command = std::string{POSTERN_PROGRAM} + " status --json --watch 0.1 -t 1 -m ";
    const ProgramRun run = run_program("/bin/sh", {"sh", "-c", command + directory.path().string() + " | head -n 2"});
    const std::string line =
        control::parse_reply(control::write_status(report_of(7, 100)))->status_json + '\n';
    CHECK(run.status == 0);
    CHECK(run.output == line + line);
    CHECK_THAT(run.errors, Catch::StartsWith("postern: no memory\npostern: the daemon that serves "));
}

TEST_CASE("who watches nobody is told so at once", "[watch]")
{
    CHECK(run_program(POSTERN_PROGRAM, {"postern", "status", "-m", "/no/such", "--watch"}) ==
          ProgramRun{75, "", "postern: no daemon serves /no/such: No such file or directory\n"});
}

TEST_CASE("on a terminal each look takes the place of the last, and Ctrl-C leaves it as it was", "[watch]")
{
    const TemporaryDirectory directory;
    const ReplyServer server{
        directory.file("control"),
        {control::write_status(report_of(7, 100)), control::write_status(report_of(7, 130))}};
    Typist typist{POSTERN_PROGRAM, {"postern", "status", "--watch", "0.1", "-m", directory.path()}};
    REQUIRE(typist.has_seen("\x1b[HPER SECOND"));
    CHECK_THAT(typist.screen(), Catch::StartsWith("\x1b[H\x1b[2J\x1b[HPostern 0.1.0, counting since ") &&
                                    Catch::Contains("\ncache: none\x1b[K\r\n\x1b[J\x1b[H"));
    REQUIRE(typist.sees(" more lines\x1b[K\r\n\x1b[J"));
    CHECK(typist.sees_own_typing());
    typist.types("\x03");
    CHECK(typist.waits() == 128 + SIGINT);
    CHECK_THAT(typist.screen(), !Catch::Contains("\x1b[?"));
}

} // namespace postern
