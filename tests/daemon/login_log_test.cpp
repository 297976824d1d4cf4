// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/login_log.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/recording_log.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace postern;
using namespace std::chrono_literals;

namespace {

Request alice()
{
    return {.user = "alice", .password = {}, .service = "smtp", .realm = "example.org", .client_address = ""};
}

/// The lines that a log of JSON makes of one login.
std::string json_lines(const LoginRecord& record, LogLevel success_level = LogLevel::info)
{
    Pipe pipe = make_pipe();
    DescriptorLog log{{.ident = "postern", .text_prefix = "", .with_debug = false, .is_json = true}};
    log.set_stream(std::move(pipe.write_end));
    log_login(log, success_level, record);
    std::array<char, 65536> bytes{};
    const ssize_t got = ::read(pipe.read_end.get(), bytes.data(), bytes.size());
    return {bytes.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

nlohmann::json object_of(const LoginRecord& record)
{
    const std::string line = json_lines(record);
    REQUIRE(line.find('\n') == line.size() - 1);
    return nlohmann::json::parse(line);
}

} // namespace

TEST_CASE("a login is an object with all that is known of it", "[login log]")
{
    Request request = alice();
    request.client_address = "192.0.2.7";
    request.mechanism = "PLAIN";
    request.is_secured = true;
    nlohmann::ordered_json object = nlohmann::ordered_json::parse(json_lines({request,
                                                                              Verdict::rejected,
                                                                              "staff",
                                                                              "wrong password",
                                                                              17,
                                                                              {"submission", {{101, 4711}}},
                                                                              1'234'567ns}));
    CHECK_THAT(object.at("time").get<std::string>(),
               Catch::Matches(R"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"));
    CHECK(object.at("pid") == ::getpid());
    object.erase("time");
    object.erase("pid");
    CHECK(object.dump() ==
          R"({"level":"info","event":"login","request":17,"peer_uid":101,"peer_pid":4711,)"
          R"("listener":"submission","client_address":"192.0.2.7","user":"alice","service":"smtp",)"
          R"("realm":"example.org","backend":"staff","verdict":"rejected","reason":"wrong password",)"
          R"("ms":1.235,"cached":false,"mechanism":"PLAIN","tls":true})");
}

TEST_CASE("what is not known of a login is null", "[login log]")
{
    const Request request = alice();
    const nlohmann::json object =
        object_of({.request = request, .verdict = Verdict::accepted, .is_cached = true});
    for (const char* const name :
         {"peer_uid", "peer_pid", "listener", "client_address", "backend", "reason", "mechanism", "tls"}) {
        CAPTURE(name);
        CHECK(object.at(name).is_null());
    }
    CHECK(object.at("cached") == true);
    CHECK(object.at("verdict") == "accepted");
}

TEST_CASE("the level of a login's object is that of its line", "[login log]")
{
    const Request request = alice();
    CHECK(object_of({.request = request, .verdict = Verdict::accepted}).at("level") == "info");
    CHECK(object_of({.request = request, .verdict = Verdict::barred}).at("level") == "info");
    CHECK(object_of({.request = request, .verdict = Verdict::unavailable}).at("level") == "warning");
    CHECK(json_lines({.request = request, .verdict = Verdict::accepted}, LogLevel::debug).empty());
}

TEST_CASE("names of any bytes make one line of ASCII, of less than a page", "[login log]")
{
    std::string every_byte;
    for (int byte = 0; byte < 256; ++byte)
        every_byte += static_cast<char>(byte);
    const std::string name =
        GENERATE_COPY(std::string{every_byte}, std::string(16'384, '\xff'), std::string(16'384, '\n'),
                      std::string(16'384, '"'), std::string(16'384, '\0'));
    Request request = alice();
    request.user = request.service = request.realm = request.client_address = request.mechanism = name;
    const std::string line =
        json_lines({.request = request, .verdict = Verdict::rejected, .backend = name, .reason = name});
    CHECK(line.size() <= 4096);
    CHECK(line.find('\n') == line.size() - 1);
    CHECK(std::all_of(line.begin(), line.end() - 1, [](char byte) { return byte >= 0x20 && byte < 0x7f; }));
    CHECK(nlohmann::json::parse(line).at("user").is_string());
}

TEST_CASE("in a log of text a login is saslauthd's line, whatever else is known", "[login log]")
{
    RecordingLog log;
    const Request request = alice();
    const LoginOrigin origin{"submission", {{101, 4711}}};
    log_login(log, LogLevel::debug, {request, Verdict::accepted, "staff", "fine", 1, origin, 5ms});
    log_login(log, LogLevel::debug, {request, Verdict::accepted, "", "", 2, origin, 5ms, true});
    log_login(log, LogLevel::debug, {request, Verdict::barred, "staff", "", 3, origin, 5ms});
    log_login(log, LogLevel::debug, {request, Verdict::unavailable, "", "no memory", 4, origin, 5ms});
    const std::string who = " [user=alice] [service=smtp] [realm=example.org]";
    CHECK(log.lines == std::vector<std::string>{
                           "7 auth success:" + who + " [mech=staff]",
                           "7 auth success (cached):" + who,
                           "6 auth failure:" + who + " [mech=staff] [reason=Unknown]",
                           "4 auth unavailable:" + who + " [mech=] [reason=no memory]",
                       });
}
