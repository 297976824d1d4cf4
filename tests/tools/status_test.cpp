// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/control_messages.hpp"
#include "tests/support/program.hpp"
#include "tests/support/reply_server.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tools/openmetrics.hpp"
#include "tools/status_text.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <ctime>
#include <sstream>

namespace postern {

namespace {

constexpr std::int64_t since = 1'700'000'000; // 2023-11-14 22:13:20 UTC

/// Tests read times as UTC, and leave the time zone as it was.
class Utc {
public:
    Utc()
    {
        ::setenv("TZ", "UTC", 1);
        ::tzset();
    }
    Utc(const Utc&) = delete;
    Utc& operator=(const Utc&) = delete;
    ~Utc()
    {
        ::unsetenv("TZ");
        ::tzset();
    }
};

StatusReport some_report()
{
    StatusReport report{"0.1.0", 1200, 1204, since, false, {}, 3, 16384, 7, 2, 1024, 1, 4, {}, {}, {}};
    report.cache = {12, 5957, 340, 20, 0, 0};
    report.listeners = {{"mux", "/var/run/saslauthd/mux", "default", "saslauthd"},
                        {"submission", "/private/auth", "default", "dovecot"}};
    BackendStatus local{"local", "sasldb", 2, 64, {{1205, "idle", 3423}, {1206, "busy", 12}}, 5, 1024, 6,
                        8,       9,        1, {}};
    local.workers.push_back({1207, "starting", 0});
    local.decisions.set(Verdict::accepted, 3400);
    local.decisions.set(Verdict::rejected, 35);
    local.waiting_longest = 17;
    report.backends = {local};
    report.logins.set(Verdict::accepted, 3401);
    report.logins.set(Verdict::unavailable, 2);
    return report;
}

std::string text_of(const StatusReport& report, std::int64_t age = 3 * 86400 + 4 * 3600 + 59)
{
    const Utc utc;
    return status_text(report, since + age);
}

/// `postern status` against a daemon with that answer.
ProgramRun status_against(const ReplyServer::Reply& reply, std::vector<std::string> more = {})
{
    const TemporaryDirectory directory;
    const ReplyServer server{directory.file("control"), {reply}};
    more.insert(more.begin(), {"postern", "status", "-m", directory.path()});
    return run_program(POSTERN_PROGRAM, more);
}

} // namespace

TEST_CASE("a status is told in tables", "[status]")
{
    CHECK(text_of(some_report()) == R"(Postern 0.1.0, counting since 2023-11-14 22:13:20 (3 d 4 h)

PROCESS           PID  STATE     ANSWERS
supervisor       1200
front            1204
worker of local  1205  idle         3423
worker of local  1206  busy           12
worker of local  1207  starting        0

LISTENER    PROTOCOL   ROUTE    SOCKET
mux         saslauthd  default  /var/run/saslauthd/mux
submission  dovecot    default  /private/auth

BACKEND  TYPE    IDLE  BUSY  STARTING  KEPT  MAX  STARTED  LOST
local    sasldb     1     1         1     2   64        9     1

QUEUE OF  WAITING  LONGEST   MAX  DECLINED  OUTWAITED
local           5       17  1024         6          8

VERDICTS       accepted  rejected  unknown_user  barred  unavailable
of local           3400        35             0       0            0
of all logins      3401         0             0       0            2

FRONT             NOW    MAX  MADE ROOM
sessions            3  16384          7
delayed refusals    2   1024          1
log lines dropped: 4
cache: 12 of 5957 logins, 340 hits, 20 misses
)");
}

TEST_CASE("how long answers took is told by backend and verdict, where there were any", "[status]")
{
    StatusReport report = some_report();
    BackendStatus& local = report.backends[0];
    local.durations[Verdict::accepted] = {3400, 4'000'000, 850, 1230, 12'300, 123'456, {}};
    local.durations[Verdict::unavailable] = {2, 16'000'000, 7'999'999, 8'000'000, 8'000'000, 8'000'000, {}};
    local.waits = {3402, 9000, 1, 9, 999, 1000, {}};
    report.durations[Verdict::accepted] = {3401, 4'000'000, 860, 1240, 12'400, 134'217'728, {}};
    report.cache.durations = {340, 1700, 4, 6, 10, 64, {}};
    CHECK_THAT(text_of(report), Catch::Contains(R"(
of all logins      3401         0             0       0            2

TIME TO ANSWER           COUNT     P50      P90      P99      MAX
of local, accepted        3400  850 us  1.23 ms  12.3 ms   123 ms
of local, unavailable        2  7.99 s   8.00 s   8.00 s   8.00 s
of all logins, accepted   3401  860 us  1.24 ms  12.4 ms    134 s
of the cache               340    4 us     6 us    10 us    64 us
in the queue of local     3402    1 us     9 us   999 us  1.00 ms

FRONT )"));
    CHECK_THAT(text_of(some_report()), !Catch::Contains("TIME TO ANSWER"));
}

TEST_CASE("rates are those between two looks", "[status]")
{
    const StatusReport before = some_report();
    StatusReport after = before;
    after.logins.set(Verdict::accepted, before.logins.of(Verdict::accepted) + 25);
    after.cache.hits += 1;
    after.backends[0].decisions.set(Verdict::rejected,
                                    before.backends[0].decisions.of(Verdict::rejected) + 5);
    after.backends[0].decisions.set(Verdict::accepted, 0); // what cannot be is no rate
    after.backends.push_back({"new", "ldap", 0, 0, {}, 0, 0, 0, 0, 0, 0, {}});
    CHECK(rates_text(before, after, 2.0) ==
          R"(PER SECOND     accepted  rejected  unknown_user  barred  unavailable
of local            0.0       2.5           0.0     0.0          0.0
of all logins      12.5       0.0           0.0     0.0          0.0
from the cache: 0.5
)");
    CHECK_THAT(rates_text(before, after, 0), Catch::Contains("25000.0"));
}

TEST_CASE("a worker that prepares or probes is busy, and one that is condemned is not", "[status]")
{
    StatusReport report = some_report();
    for (const char* const state : {"preparing", "probing", "probing", "condemned"})
        report.backends[0].workers.push_back({1208, state, 0});
    CHECK_THAT(text_of(report), Catch::Contains(R"(
BACKEND  TYPE    IDLE  BUSY  STARTING  KEPT  MAX  STARTED  LOST
local    sasldb     1     4         1     2   64        9     1
)"));
    const ProgramRun help = run_program(POSTERN_PROGRAM, {"postern", "status", "--help"});
    CHECK_THAT(help.output, Catch::Contains("BUSY counts workers that have a request, prepare"));
}

TEST_CASE("of a backend with servers it is told how they are", "[status]")
{
    StatusReport report = some_report();
    report.backends[0].servers = {
        {"ldap://a.example.org", "down", 12, "connection refused", since + 60, 4200},
        {"ldap://b.example.org", "probing", 3, "timed out", since, 0},
        {"ldap://c.example.org", "up", 1, "timed out", 0, 0},
        {"ldap://d.example.org", "up", 0, "", 0, 0},
    };
    CHECK_THAT(text_of(report, 185), Catch::Contains(R"(
SERVER OF  STATE    FAILURES   DOWN FOR  PROBE IN  SERVER
local      down           12  2 min 5 s   4200 ms  ldap://a.example.org
local      probing         3  3 min 5 s      0 ms  ldap://b.example.org
local      up              1                       ldap://c.example.org
local      up              0                       ldap://d.example.org
last problem of ldap://a.example.org: connection refused
last problem of ldap://b.example.org: timed out
last problem of ldap://c.example.org: timed out

QUEUE OF )"));
    CHECK_THAT(text_of(some_report()), !Catch::Contains("SERVER OF"));
}

TEST_CASE("a supervisor that is gone is told, and so is a front that finishes", "[status]")
{
    StatusReport report = some_report();
    report.supervisor = 0;
    report.is_finishing = true;
    CHECK_THAT(text_of(report),
               Catch::Contains("\nsupervisor: gone (the front serves on)\n") &&
                   Catch::Contains("\nfinishing: who has connected is served, nobody new is\n") &&
                   !Catch::Contains("supervisor  "));
    CHECK_THAT(text_of(some_report()), !Catch::Contains("gone") && !Catch::Contains("finishing"));
}

TEST_CASE("how long it has counted is told in the two largest units", "[status]")
{
    const auto [seconds, text] = GENERATE(table<std::int64_t, std::string>({
        {0, "(0 s)"},
        {59, "(59 s)"},
        {60, "(1 min 0 s)"},
        {3599, "(59 min 59 s)"},
        {3600, "(1 h 0 min)"},
        {86399, "(23 h 59 min)"},
        {86400, "(1 d 0 h)"},
        {400 * 86400, "(400 d 0 h)"},
        {-5, "(0 s)"},
    }));
    CAPTURE(seconds);
    CHECK_THAT(text_of(some_report(), seconds), Catch::Contains(text));
}

TEST_CASE("a time that cannot be is no trouble", "[status]")
{
    StatusReport report = some_report();
    report.since = GENERATE(INT64_MIN, INT64_MAX);
    report.backends[0].servers = {{"one", "down", 1, "", report.since, 0}};
    CHECK_THAT(text_of(report), Catch::StartsWith("Postern 0.1.0, counting since "));
}

TEST_CASE("large numbers and long names fit 80 columns", "[status]")
{
    StatusReport report = some_report();
    report.since = since;
    report.supervisor = report.front = 4'194'304;
    report.sessions = report.sessions_displaced = report.delayed = report.left_early = 9'999'999'999;
    report.cache = {12'201'611, 12'201'611, 9'999'999'999, 9'999'999'999, 0, 0};
    report.listeners.front().name = "submission-relay";
    report.listeners.front().socket = "/var/spool/postfix/var/run/saslauthd/mux";
    BackendStatus& backend = report.backends.front();
    backend.name = "staff-directory";
    backend.type = "kerberos5";
    backend.workers_ready = backend.workers_max = 512;
    backend.workers_started = 99'999'999;
    backend.workers_lost = 99'999;
    backend.waiting = backend.declined = backend.outwaited = 9'999'999'999;
    backend.workers.assign(512, {4'194'304, "condemned", 9'999'999'999});
    const Durations longest{9'999'999'999, 0, 134'217'728, 134'217'728, 134'217'728, 134'217'728, {}};
    backend.waits = report.cache.durations = longest;
    backend.waiting_longest = 65'536;
    for (const Verdict verdict : all_verdicts) {
        backend.durations[verdict] = report.durations[verdict] = longest;
        backend.decisions.set(verdict, 999'999'999);
        report.logins.set(verdict, 999'999'999);
    }
    std::istringstream lines{text_of(report)};
    for (std::string line; std::getline(lines, line);) {
        CAPTURE(line);
        CHECK(line.size() <= 80);
    }
}

TEST_CASE("a daemon without listeners, backends or anything is told too", "[status]")
{
    CHECK_THAT(text_of(StatusReport{}), Catch::Contains("front") && Catch::Contains("of all logins") &&
                                            Catch::EndsWith("\ncache: none\n"));
}

TEST_CASE("no text of a status can steer the terminal or forge a line", "[status]")
{
    StatusReport report = some_report();
    report.backends[0].servers = {{"one", "down", 1, "timed out", since, 0}};
    const std::size_t lines = static_cast<std::size_t>(std::ranges::count(text_of(report), '\n'));
    const std::string hostile = "x\x1b[2J\nfront  1\r\u009b";
    BackendStatus& backend = report.backends.front();
    for (std::string* text :
         {&report.version, &report.listeners[0].name, &report.listeners[0].socket, &report.listeners[0].route,
          &report.listeners[0].protocol, &backend.name, &backend.type, &backend.workers[0].state,
          &backend.servers[0].name, &backend.servers[0].state, &backend.servers[0].problem})
        *text = hostile;
    const std::string text = text_of(report);
    CHECK(static_cast<std::size_t>(std::ranges::count(text, '\n')) == lines);
    for (const std::string steering : {"\x1b", "\r", "\u009b"})
        CHECK_THAT(text, !Catch::Contains(steering));
}

TEST_CASE("postern status prints what the daemon has told", "[status]")
{
    const ProgramRun run = status_against(control::write_status(some_report()));
    CHECK(run.status == 0);
    CHECK(run.errors.empty());
    CHECK_THAT(run.output, Catch::StartsWith("Postern 0.1.0, counting since ") &&
                               Catch::Contains("\nworker of local  1206  busy           12\n"));
}

TEST_CASE("postern status --json prints what the daemon has told, to the last field", "[status]")
{
    std::string line = control::write_status(some_report());
    line.replace(line.find("\"sessions\""), 0, "\"mood\":{\"good\":true},");
    const ProgramRun run = status_against(line, {"--json"});
    CHECK(run.status == 0);
    CHECK_THAT(run.output, Catch::Contains("\"mood\":{\"good\":true}") && Catch::StartsWith("{") &&
                               Catch::EndsWith("}\n"));
    const auto reply = control::parse_reply("{\"version\":1,\"ok\":true,\"status\":" + run.output + "}");
    REQUIRE(reply);
    CHECK(control::write_status(*reply->status) == control::write_status(some_report()));
}

TEST_CASE("postern status ends as its help says", "[status]")
{
    CHECK(status_against(control::write_problem("no memory")) == ProgramRun{1, "", "postern: no memory\n"});
    CHECK(status_against(control::write_done()).status == 75);
    CHECK(status_against("").status == 75);
    CHECK(run_program(POSTERN_PROGRAM, {"postern", "status", "--run-directory", "/no/such"}) ==
          ProgramRun{75, "", "postern: no daemon serves /no/such: No such file or directory\n"});
    CHECK(status_against(control::write_done(), {"--timeout", "0"}).status == 64);
}

TEST_CASE("postern status refuses options that make no sense together", "[status]")
{
    const auto [options, problem] = GENERATE(table<std::vector<std::string>, std::string>({
        {{"--json", "--openmetrics"}, "--json and --openmetrics exclude each other"},
        {{"--watch", "--openmetrics"}, "--watch and --openmetrics exclude each other"},
        {{"--watch", "0"}, "--watch expects seconds, from 0.1 to 86400"},
        {{"--watch=-1"}, "--watch expects seconds, from 0.1 to 86400"},
        {{"--watch=nan"}, "--watch expects seconds, from 0.1 to 86400"},
        {{"--watch", "90000"}, "--watch expects seconds, from 0.1 to 86400"},
        {{"--watch=soon"}, "the argument ('soon') for option '--watch' is invalid"},
        {{"--watch", "1.2.3"}, "the argument ('1.2.3') for option '--watch' is invalid"},
        {{"5"}, "too many positional options"},
    }));
    CAPTURE(problem);
    const ProgramRun run = status_against(control::write_status(some_report()), options);
    CHECK(run.status == 64);
    CHECK(run.output.empty());
    CHECK_THAT(run.errors, Catch::StartsWith("postern: " + problem));
}

TEST_CASE("postern status --openmetrics prints metrics", "[status]")
{
    const ProgramRun run = status_against(control::write_status(some_report()), {"--openmetrics"});
    CHECK(run.status == 0);
    CHECK(run.errors.empty());
    CHECK(run.output == openmetrics_text(some_report()));
}

} // namespace postern
