// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/control_messages.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace postern::control {

namespace {

using namespace std::string_literals;

/// Every field has a value of its own, so that no two can be mixed up.
StatusReport some_report()
{
    StatusReport report{"1.2.3", 11, 12, 1'700'000'000, true, {}, 21, 22, 23, 24, 25, 26, 27, {}, {}, {}};
    report.cache = {81, 82, 83, 84, 85, 86};
    report.logins.set(Verdict::accepted, 31);
    report.logins.set(Verdict::rejected, 32);
    report.logins.set(Verdict::unknown_user, 33);
    report.logins.set(Verdict::barred, 34);
    report.logins.set(Verdict::unavailable, 35);
    report.listeners = {{"postfix", "/run/mux", "default", "saslauthd"},
                        {"other", "/run/other", "staff", "dovecot"}};
    BackendStatus local{"local", "sasldb", 5,  64, {{41, "idle", 42}, {43, "busy", 44}}, 51, 52, 53,
                        54,      55,       56, {}};
    local.decisions.set(Verdict::barred, 61);
    local.waiting_longest = 75;
    local.waits = {91, 92, 93, 94, 95, 96, {97, 98}};
    local.durations[Verdict::rejected] = {101, 102, 103, 104, 105, 106, {107}};
    local.durations[Verdict::unavailable].count = 108;
    report.durations[Verdict::accepted] = {111, 112, 113, 114, 115, 116, {117, 118, 119}};
    report.cache.durations = {121, 122, 123, 124, 125, 126, {127}};
    report.duration_bounds_us = {64, 128};
    local.servers = {{"ldap://a", "down", 71, "timed out", 72, 73}, {"ldap://b", "up", 74, "", 0, 0}};
    report.backends = {local, {"empty", "ldap", 0, 0, {}, 0, 0, 0, 0, 0, 0, {}}};
    return report;
}

std::string problem_of(std::string_view line)
{
    const auto request = parse_request(line);
    return std::holds_alternative<std::string>(request) ? std::get<std::string>(request) : "none";
}

/// The line of a status in which `from` has become `to`.
std::string status_with(const std::string& from, const std::string& to)
{
    std::string line = write_status(some_report());
    REQUIRE(line.find(from) != std::string::npos);
    return line.replace(line.find(from), from.size(), to);
}

} // namespace

TEST_CASE("each command is understood as it was meant", "[control]")
{
    for (const Command command : {Command::status, Command::reload, Command::finish, Command::flush}) {
        CAPTURE(command_text(command));
        CHECK(std::get<Request>(parse_request(write_request(command))) == command);
    }
    CHECK(write_request(Command::status) == "{\"version\":1,\"command\":\"status\"}\n");
}

TEST_CASE("a flush says whose logins it means", "[control]")
{
    const Whose whose =
        GENERATE(Whose{}, Whose{"bob", ""}, Whose{"b\u00f6b@\"x\\y\"", ""}, Whose{"", "example.org"});
    CHECK(std::get<Request>(parse_request(write_request({Command::flush, whose}))) ==
          Request{Command::flush, whose});
    CHECK(write_request({Command::flush, {"bob", ""}}) ==
          "{\"version\":1,\"command\":\"flush\",\"user\":\"bob\"}\n");
}

TEST_CASE("a flush of nobody, or of two kinds, is told why", "[control]")
{
    const auto [names, problem] = GENERATE(table<std::string, std::string>({
        {R"("user":"")", "user is a name"},
        {R"("user":7)", "user is a name"},
        {R"("user":null)", "user is a name"},
        {R"("realm":["a"])", "realm is a name"},
        {R"("user":"bob","realm":"")", "realm is a name"},
        {R"("user":"bob","realm":"a")", "a flush names a user or a realm, and not both"},
    }));
    CAPTURE(names);
    CHECK(problem_of(R"({"version":1,"command":"flush",)" + names + "}") == problem);
}

TEST_CASE("how many logins were forgotten is understood as it was meant", "[control]")
{
    CHECK(write_flushed(12) == "{\"version\":1,\"ok\":true,\"flushed\":12}\n");
    CHECK(parse_reply(write_flushed(0))->flushed == 0U);
    CHECK_FALSE(parse_reply(write_done())->flushed);
    CHECK_FALSE(parse_reply(R"({"version":1,"ok":true,"flushed":-1})"));
    CHECK_FALSE(parse_reply(R"({"version":1,"ok":true,"flushed":"all"})"));
}

TEST_CASE("a request may hold what nobody knows, and be written as JSON may be", "[control]")
{
    const std::string line =
        GENERATE(R"({"command":"reload","version":1})", R"( { "version" : 1 , "command":"reload" } )",
                 R"({"version":1,"why":[1,{"a":null}],"command":"reload","x":2.5})",
                 "{\"version\":1,\"command\":\"reload\"}\r\n");
    CAPTURE(line);
    CHECK(std::get<Request>(parse_request(line)) == Command::reload);
}

TEST_CASE("what is no request is told why", "[control]")
{
    const std::string none = "a request is one JSON object on a line";
    const std::string nameless = "a request names a command: status, reload, finish or flush";
    const auto [line, problem] = GENERATE_COPY(table<std::string, std::string>({
        {"", none},
        {"\n", none},
        {"status", none},
        {"[]", none},
        {"null", none},
        {R"({"version":1,"command":"status")", none},
        {R"({"version":1,"command":"status"} {})", none},
        {"{\"version\":1,\"command\":\"\xff\"}", none},
        {R"({"version":1})", nameless},
        {R"({"version":1,"command":7})", nameless},
        {R"({"version":1,"command":"statsu"})", "there is no command 'statsu'; did you mean status?"},
        {R"({"version":1,"command":"explode"})", "there is no command 'explode'"},
        {R"({"version":1,"command":"STATUS "})", "there is no command 'STATUS '"},
        {R"({"version":1,"command":""})", "there is no command ''"},
    }));
    CAPTURE(line);
    CHECK(problem_of(line) == problem);
}

TEST_CASE("a request of another version is told both", "[control]")
{
    CHECK(problem_of(R"({"version":2,"command":"status"})") ==
          "the daemon speaks version 1 of this protocol, and the request version 2");
    CHECK(problem_of(R"({"version":-1,"command":"status"})") ==
          "the daemon speaks version 1 of this protocol, and the request version -1");
    const std::string line = GENERATE(R"({"command":"status"})", R"({"version":"1","command":"status"})",
                                      R"({"version":1.0,"command":"status"})",
                                      R"({"version":99999999999999999999,"command":"status"})");
    CAPTURE(line);
    CHECK(problem_of(line) == "the daemon speaks version 1 of this protocol, and the request none");
}

TEST_CASE("a request over the longest is refused, whatever it says", "[control]")
{
    std::string line = write_request(Command::status);
    line.insert(1, request_bytes_max - line.size(), ' ');
    CHECK(std::get<Request>(parse_request(line)) == Command::status);
    CHECK(problem_of(line + ' ') == "a request has at most 4096 bytes");
}

TEST_CASE("brackets to any depth are no harm", "[control]")
{
    const std::string deep = std::string(1000, '[') + std::string(1000, ']');
    CHECK(std::get<Request>(parse_request(R"({"version":1,"command":"status","x":)" + deep + "}")) ==
          Command::status);
    CHECK(problem_of(std::string(4096, '[')) == "a request is one JSON object on a line");
    const std::string deeper = std::string(1'000'000, '[') + std::string(1'000'000, ']');
    const auto reply = parse_reply(R"({"version":1,"ok":true,"status":{"x":)" + deeper + "}}");
    REQUIRE(reply);
    CHECK(reply->status_json.size() < 100);
    CHECK_FALSE(parse_reply(std::string(1'000'000, '{')));
}

TEST_CASE("done and a problem are understood as they were meant", "[control]")
{
    CHECK(write_done() == "{\"version\":1,\"ok\":true}\n");
    CHECK(parse_reply(write_done())->is_ok);
    CHECK_FALSE(parse_reply(write_done())->status);

    CHECK(write_problem("why") == "{\"version\":1,\"ok\":false,\"problem\":\"why\"}\n");
    const auto reply = parse_reply(write_problem("line 1\nline \"2\"\t\x1b"));
    REQUIRE(reply);
    CHECK_FALSE(reply->is_ok);
    CHECK(reply->problem == "line 1\nline \"2\"\t\x1b");
}

TEST_CASE("a status is understood as it was meant, to the last field", "[control]")
{
    const StatusReport report = some_report();
    const auto reply = parse_reply(write_status(report));
    REQUIRE(reply);
    CHECK(reply->is_ok);
    REQUIRE(reply->status);
    const StatusReport& read = *reply->status;
    CHECK(read.version == "1.2.3");
    CHECK(read.supervisor == 11);
    CHECK(read.front == 12);
    CHECK(read.since == 1'700'000'000);
    CHECK(read.is_finishing);
    CHECK(read.logins == report.logins);
    CHECK(read.sessions == 21);
    CHECK(read.sessions_max == 22);
    CHECK(read.sessions_displaced == 23);
    CHECK(read.delayed == 24);
    CHECK(read.delayed_max == 25);
    CHECK(read.left_early == 26);
    CHECK(read.log_lines_dropped == 27);
    REQUIRE(read.listeners.size() == 2);
    CHECK(read.listeners[1].name == "other");
    CHECK(read.listeners[1].socket == "/run/other");
    CHECK(read.listeners[1].route == "staff");
    CHECK(read.listeners[1].protocol == "dovecot");
    REQUIRE(read.backends.size() == 2);
    const BackendStatus& local = read.backends[0];
    CHECK(local.name == "local");
    CHECK(local.type == "sasldb");
    CHECK(local.workers_ready == 5);
    CHECK(local.workers_max == 64);
    REQUIRE(local.workers.size() == 2);
    CHECK(local.workers[1].pid == 43);
    CHECK(local.workers[1].state == "busy");
    CHECK(local.workers[1].answers == 44);
    CHECK(local.waiting == 51);
    CHECK(local.queue_max == 52);
    CHECK(local.declined == 53);
    CHECK(local.outwaited == 54);
    CHECK(local.workers_started == 55);
    CHECK(local.workers_lost == 56);
    CHECK(local.decisions == report.backends[0].decisions);
    REQUIRE(local.servers.size() == 2);
    CHECK(local.servers[0].name == "ldap://a");
    CHECK(local.servers[0].state == "down");
    CHECK(local.servers[0].failures == 71);
    CHECK(local.servers[0].problem == "timed out");
    CHECK(local.servers[0].down_since == 72);
    CHECK(local.servers[0].next_probe_ms == 73);
    CHECK(local.servers[1].failures == 74);
    CHECK(read.backends[1].workers.empty());
    CHECK(read.backends[1].servers.empty());
}

TEST_CASE("the JSON of a status has the names that the struct has", "[control]")
{
    StatusReport report;
    report.listeners = {{"mux", "/mux", "default", "saslauthd"}};
    const std::string none =
        R"({"count":0,"sum_us":0,"p50_us":0,"p90_us":0,"p99_us":0,"max_us":0,"within":[]})";
    CHECK(
        write_status(report) ==
        R"({"version":1,"ok":true,"status":{"version":"","supervisor":0,"front":0,"since":0,"is_finishing":false,)"
        R"("logins":{"accepted":0,"rejected":0,"unknown_user":0,"barred":0,"unavailable":0},"sessions":0,)"
        R"("sessions_max":0,"sessions_displaced":0,"delayed":0,"delayed_max":0,"left_early":0,"log_lines_dropped":0,)"
        R"("cache":{"entries":0,"entries_max":0,"hits":0,"misses":0,"outdated":0,"evicted":0,"durations":)" +
            none +
            R"(},)"
            R"("listeners":[{"name":"mux","socket":"/mux","route":"default","protocol":"saslauthd"}],"backends":[],)"
            R"("durations":{"accepted":)" +
            none + R"(,"rejected":)" + none + R"(,"unknown_user":)" + none + R"(,"barred":)" + none +
            R"(,"unavailable":)" + none +
            R"(},"duration_bounds_us":[]}})"
            "\n");
}

TEST_CASE("numbers of every size survive", "[control]")
{
    StatusReport report;
    report.supervisor = UINT32_MAX;
    report.since = GENERATE(INT64_MIN, -1, 0, INT64_MAX);
    report.sessions = UINT64_MAX;
    const auto reply = parse_reply(write_status(report));
    REQUIRE(reply);
    CHECK(reply->status->supervisor == UINT32_MAX);
    CHECK(reply->status->since == report.since);
    CHECK(reply->status->sessions == UINT64_MAX);
}

TEST_CASE("bytes that are no UTF-8 are replaced, and break no line", "[control]")
{
    const std::string bytes = GENERATE("\xff\xfe"s, "\xc0\x80"s, "\xed\xa0\x80"s, "caf\xc3"s, "\x80\n\r\0x"s);
    StatusReport report;
    report.listeners = {{bytes, bytes, bytes, bytes}};
    for (const std::string& line : {write_problem(bytes), write_status(report)}) {
        CAPTURE(line);
        CHECK(line.find('\n') == line.size() - 1);
        const auto reply = parse_reply(line);
        REQUIRE(reply);
        const std::string& read = reply->status ? reply->status->listeners[0].name : reply->problem;
        CHECK_THAT(read, Catch::Contains("\xef\xbf\xbd"));
    }
}

TEST_CASE("what a newer daemon adds to its status is passed over, and kept in its JSON", "[control]")
{
    const auto reply = parse_reply(status_with("\"sessions\":21", "\"mood\":\"caf\u00e9\",\"sessions\":21"));
    REQUIRE(reply);
    CHECK(reply->status->sessions == 21);
    CHECK_THAT(reply->status_json, Catch::Contains(R"("mood":"caf\u00e9")") && Catch::StartsWith("{") &&
                                       Catch::EndsWith("}") && Catch::Contains(R"("pid":43)"));
}

TEST_CASE("what an older daemon does not tell is zero", "[control]")
{
    const auto reply = parse_reply(status_with("\"sessions\":21,", ""));
    REQUIRE(reply);
    CHECK(reply->status->sessions == 0);
    CHECK(reply->status->sessions_max == 22);
}

TEST_CASE("a daemon that knows nothing of servers has none", "[control]")
{
    const auto reply = parse_reply(status_with("\"servers\":[{", "\"waiters\":[{"));
    REQUIRE(reply);
    CHECK(reply->status->backends[0].servers.empty());
    CHECK(reply->status->backends[0].decisions == some_report().backends[0].decisions);
}

TEST_CASE("a field of the wrong kind makes the whole line no reply", "[control]")
{
    const auto [from, to] = GENERATE(table<std::string, std::string>({
        {"\"ok\":true", "\"ok\":1"},
        {"\"ok\":true", "\"fine\":true"},
        {"\"version\":1,", "\"version\":2,"},
        {"\"version\":1,", ""},
        {"\"sessions\":21", "\"sessions\":-1"},
        {"\"sessions\":21", "\"sessions\":1e300"},
        {"\"sessions\":21", "\"sessions\":\"21\""},
        {"\"sessions\":21", "\"sessions\":18446744073709551616"},
        {"\"supervisor\":11", "\"supervisor\":4294967296"},
        {"\"since\":1700000000", "\"since\":9223372036854775808"},
        {"\"is_finishing\":true", "\"is_finishing\":1"},
        {"\"version\":\"1.2.3\"", "\"version\":null"},
        {"\"accepted\":31", "\"accepted\":[]"},
        {"\"state\":\"busy\"", "\"state\":7"},
        {"{\"pid\":43", "7,{\"pid\":43"},
        {"\"failures\":71", "\"failures\":-71"},
        {"\"down_since\":72", "\"down_since\":null"},
        {"\"listeners\":[", "\"listeners\":{},\"x\":["},
        {"\"status\":{", "\"status\":7,\"x\":{"},
    }));
    CAPTURE(from, to);
    REQUIRE(parse_reply(status_with("", "")));
    CHECK_FALSE(parse_reply(status_with(from, to)));
}

TEST_CASE("a list longer than any daemon's is none", "[control]")
{
    const auto reply_with = [](std::size_t listeners) {
        StatusReport report;
        report.listeners.resize(listeners);
        return parse_reply(write_status(report));
    };
    CHECK(reply_with(4096));
    CHECK_FALSE(reply_with(4097));
}

TEST_CASE("a status too long for a reply becomes a problem", "[control]")
{
    StatusReport report;
    report.version = std::string(reply_bytes_max, 'x');
    const auto reply = parse_reply(write_status(report));
    REQUIRE(reply);
    CHECK_FALSE(reply->is_ok);
    CHECK(reply->problem == "the status is too long for a reply");
}

TEST_CASE("a reply cut anywhere is none", "[control]")
{
    const std::string line = write_status(some_report());
    for (std::size_t size = 0; size < line.size() - 1; ++size)
        if (parse_reply(line.substr(0, size)))
            FAIL("cut at " << size);
    SUCCEED();
}

} // namespace postern::control
