// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/syslog_daemon.hpp"
#include "tests/support/temporary_directory.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

namespace postern {

namespace {

const LogStyle style{"saslauthd", "                : ", false};

/// A log whose syslog daemon runs, in a directory of its own.
struct LoggedHost {
    TemporaryDirectory directory;
    std::string path = directory.file("log");
    std::optional<SyslogDaemon> syslogd{std::in_place, path};
    DescriptorLog log{style};
    int losses = 0;

    LoggedHost()
    {
        log.on_syslog_lost([this] { ++losses; });
        connect();
    }

    void connect() { log.set_syslog(connect_syslog(path.c_str())); }

    void stop_syslogd() { syslogd.reset(); }

    void restart_syslogd() { syslogd.emplace(path); }

    /// The text of the next line that syslogd got, without what every line begins with.
    std::string next_text()
    {
        const std::string line = syslogd->next_line().value_or("no line");
        const auto colon = line.find("]:                 : ");
        return colon == std::string::npos ? line : line.substr(colon + 21);
    }
};

std::string bytes_in(const UniqueFd& pipe)
{
    std::array<char, 65536> buffer{};
    const ssize_t got = ::read(pipe.get(), buffer.data(), buffer.size());
    return {buffer.data(), got < 0 ? 0 : static_cast<std::size_t>(got)};
}

/// Writes until a line does not fit, and returns how many did.
int fill(DescriptorLog& log)
{
    int lines = 0;
    for (; log.dropped() == 0 && lines < 1'000'000; ++lines)
        log.info("filling");
    return lines - 1;
}

std::string process_id()
{
    return std::to_string(::getpid());
}

} // namespace

TEST_CASE("a line for syslog is one datagram in the incumbent's form", "[log]")
{
    LoggedHost host;
    host.log.info("auth failure: [user=alice]");

    const std::string line = host.syslogd->next_line().value_or("");
    const std::regex form{R"(<38>[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d saslauthd\[)" + process_id() +
                          R"(\]:                 : auth failure: \[user=alice\])"};
    CAPTURE(line);
    CHECK(std::regex_match(line, form));
    CHECK(host.syslogd->next_line() == std::nullopt);
}

TEST_CASE("the severity of a line is told to syslog", "[log]")
{
    const auto [level, begin] = GENERATE(table<LogLevel, std::string>({
        {LogLevel::error, "<35>"},
        {LogLevel::warning, "<36>"},
        {LogLevel::notice, "<37>"},
        {LogLevel::info, "<38>"},
    }));
    LoggedHost host;
    host.log.write(level, "text");
    CHECK(host.syslogd->next_line().value_or("").substr(0, 4) == begin);
}

TEST_CASE("a line of foreign code goes where it wants, in its own words and without our prefix", "[log]")
{
    const auto [origin, level, begin] = GENERATE(table<LogOrigin, LogLevel, std::string>({
        {LogOrigin::foreign_to_authpriv, LogLevel::error, "<83>"},
        {LogOrigin::foreign_to_authpriv, LogLevel::warning, "<84>"},
        {LogOrigin::foreign_to_authpriv, LogLevel::notice, "<85>"},
        {LogOrigin::foreign_to_authpriv, LogLevel::info, "<86>"},
        {LogOrigin::foreign_to_auth, LogLevel::error, "<35>"},
        {LogOrigin::foreign_to_auth, LogLevel::info, "<38>"},
    }));
    LoggedHost host;
    host.log.write_foreign(origin, level, "pam_unix(smtp:auth): check pass; user unknown");

    const std::string line = host.syslogd->next_line().value_or("");
    const std::regex form{begin + R"([A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d saslauthd\[)" + process_id() +
                          R"(\]: pam_unix\(smtp:auth\): check pass; user unknown)"};
    CAPTURE(line);
    CHECK(std::regex_match(line, form));
}

TEST_CASE("a line of foreign code is written to the error stream as ours are", "[log]")
{
    Pipe pipe = make_pipe();
    DescriptorLog log{style};
    log.set_stream(std::move(pipe.write_end));

    log.write_foreign(LogOrigin::foreign_to_authpriv, LogLevel::notice, "authentication failure");

    CHECK(bytes_in(pipe.read_end) == "saslauthd[" + process_id() + "] :authentication failure\n");
}

TEST_CASE("a line of foreign code that is lost is counted with ours, and reported in our words", "[log]")
{
    LoggedHost host;
    host.stop_syslogd();
    host.log.write_foreign(LogOrigin::foreign_to_authpriv, LogLevel::notice, "lost");
    CHECK(host.log.dropped() == 1);

    host.restart_syslogd();
    host.connect();
    host.log.write_foreign(LogOrigin::foreign_to_authpriv, LogLevel::notice, "here again");

    CHECK(host.next_text() == "1 log lines were dropped");
    CHECK(host.syslogd->next_line().value_or("").substr(0, 4) == "<85>");
}

TEST_CASE("debug lines are written only when they are asked for", "[log]")
{
    LoggedHost host;
    host.log.debug("secret workings");
    host.log.write_foreign(LogOrigin::foreign_to_authpriv, LogLevel::debug, "secret workings");
    CHECK(host.syslogd->next_line() == std::nullopt);

    DescriptorLog talkative{{"saslauthd", "", true}};
    talkative.set_syslog(connect_syslog(host.path.c_str()));
    talkative.debug("secret workings");
    CHECK(host.syslogd->next_line().value_or("").substr(0, 4) == "<39>");
}

TEST_CASE("a very long line is cut rather than lost", "[log]")
{
    LoggedHost host;
    host.log.info(std::string(1'000'000, 'x'));
    const std::string text = host.next_text();
    CHECK(text == std::string(text.size(), 'x'));
    CHECK(text.size() >= 1024);
    CHECK(text.size() <= 4096);
}

TEST_CASE("a syslog daemon that does not read stops nobody, and the lines it missed are counted", "[log]")
{
    LoggedHost host;
    const int arrived = fill(host.log);
    REQUIRE(host.log.dropped() == 1);
    host.log.info("lost too");
    CHECK(host.log.dropped() == 2);
    CHECK(host.losses == 0);

    for (int i = 0; i < arrived; ++i)
        CHECK(host.next_text() == "filling");
    host.log.info("here again");

    CHECK(host.next_text() == "2 log lines were dropped");
    CHECK(host.next_text() == "here again");
    CHECK(host.log.dropped() == 0);
}

TEST_CASE("a syslog daemon that went away is reported once, and missed lines are reported to its successor",
          "[log]")
{
    LoggedHost host;
    host.stop_syslogd();
    host.log.info("lost");
    host.log.info("lost");
    CHECK(host.losses == 1);
    CHECK(host.log.dropped() == 2);

    host.restart_syslogd();
    host.connect();
    host.log.info("here again");

    CHECK(host.next_text() == "2 log lines were dropped");
    CHECK(host.next_text() == "here again");
    CHECK(host.losses == 1);
}

TEST_CASE("a second loss of the syslog daemon is reported like the first", "[log]")
{
    LoggedHost host;
    for (int restarts = 1; restarts <= 2; ++restarts) {
        host.stop_syslogd();
        host.log.info("lost");
        CHECK(host.losses == restarts);
        host.restart_syslogd();
        host.connect();
    }
}

TEST_CASE("a log that reconnects from within the report of the loss loses nothing", "[log]")
{
    LoggedHost host;
    host.log.on_syslog_lost([&host] { host.connect(); });
    host.stop_syslogd();
    host.restart_syslogd();

    host.log.info("the first after the loss");

    CHECK(host.next_text() == "the first after the loss");
    CHECK(host.log.dropped() == 0);
}

TEST_CASE("a log that finds no syslog daemon from within the report of the loss goes on", "[log]")
{
    LoggedHost host;
    host.log.on_syslog_lost([&host] { host.connect(); });
    host.stop_syslogd();

    host.log.info("lost");

    CHECK(host.log.dropped() == 1);
}

TEST_CASE("a start without a syslog daemon is a loss too", "[log]")
{
    TemporaryDirectory directory;
    DescriptorLog log{style};
    int losses = 0;
    log.on_syslog_lost([&losses] { ++losses; });

    log.set_syslog(connect_syslog(directory.file("nobody").c_str()));
    log.error("to nobody");

    CHECK(losses == 1);
    CHECK(log.dropped() == 1);
}

TEST_CASE("a log to the error stream alone misses no syslog daemon", "[log]")
{
    Pipe pipe = make_pipe();
    DescriptorLog log{style};
    bool is_lost = false;
    log.on_syslog_lost([&is_lost] { is_lost = true; });
    log.set_stream(std::move(pipe.write_end));

    log.info("auth failure");

    CHECK(bytes_in(pipe.read_end) == "saslauthd[" + process_id() + "] :auth failure\n");
    CHECK_FALSE(is_lost);
    CHECK(log.dropped() == 0);
}

TEST_CASE("a line goes to the error stream and to syslog when both are there", "[log]")
{
    LoggedHost host;
    Pipe pipe = make_pipe();
    host.log.set_stream(std::move(pipe.write_end));

    host.log.warning("twice");

    CHECK(bytes_in(pipe.read_end) == "saslauthd[" + process_id() + "] :twice\n");
    CHECK(host.next_text() == "twice");
}

TEST_CASE("an error stream that nobody reads stops nobody, and the lines it missed are counted", "[log]")
{
    Pipe pipe = make_pipe();
    DescriptorLog log{style};
    log.set_stream(std::move(pipe.write_end));
    (void)fill(log);
    REQUIRE(log.dropped() == 1);

    while (!bytes_in(pipe.read_end).empty())
        continue;
    log.info("here again");

    const std::string begin = "saslauthd[" + process_id() + "] :";
    CHECK(bytes_in(pipe.read_end) == begin + "1 log lines were dropped\n" + begin + "here again\n");
    CHECK(log.dropped() == 0);
}

TEST_CASE("the error stream of the caller stays as it is", "[log]")
{
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe2");
    const UniqueFd reader{ends[0]};
    const UniqueFd callers{ends[1]};
    const UniqueFd saved{check(::dup(STDERR_FILENO), "dup")};

    ::dup2(callers.get(), STDERR_FILENO);
    const UniqueFd ours = open_error_stream();
    ::dup2(saved.get(), STDERR_FILENO);

    CHECK((::fcntl(ours.get(), F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(callers.get(), F_GETFL) & O_NONBLOCK) == 0);
    CHECK((::fcntl(ours.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("in a log of JSON a line for syslog is an object behind its beginning", "[log]")
{
    const TemporaryDirectory directory;
    SyslogDaemon syslogd{directory.file("log")};
    DescriptorLog log{{"saslauthd", "                : ", false, true}};
    log.set_syslog(connect_syslog(directory.file("log").c_str()));
    log.warning("listening on \"x\"\n");
    const std::string line = syslogd.next_line().value_or("");
    const std::size_t end = line.find("]: ");
    REQUIRE(end != std::string::npos);
    CHECK_THAT(line, Catch::StartsWith("<36>"));
    const nlohmann::json object = nlohmann::json::parse(line.substr(end + 3));
    CHECK(object.size() == 4);
    CHECK(object.at("level") == "warning");
    CHECK(object.at("message") == "listening on \"x\"\n");
    CHECK(object.at("pid") == ::getpid());
    log.debug("unwanted");
    log.write_fields(LogLevel::debug, {});
    CHECK(syslogd.next_line() == std::nullopt);
}

TEST_CASE("in a log of JSON a line of the stream is an object and nothing else", "[log]")
{
    Pipe pipe = make_pipe();
    DescriptorLog log{{"saslauthd", "prefix", true, true}};
    log.set_stream(std::move(pipe.write_end));
    log.debug(std::string(100'000, '\xff'));
    const std::array fields{JsonField{"event", "login"}, JsonField{"request", std::uint64_t{1}}};
    log.write_fields(LogLevel::info, fields);
    const std::string lines = bytes_in(pipe.read_end);
    const std::size_t end = lines.find('\n');
    REQUIRE(end < 4096);
    CHECK(nlohmann::json::parse(lines.substr(0, end)).at("level") == "debug");
    const nlohmann::json login = nlohmann::json::parse(lines.substr(end + 1));
    CHECK(login.at("event") == "login");
    CHECK(login.at("request") == 1);
}

TEST_CASE("in a log of JSON lost lines are told as an object", "[log]")
{
    Pipe pipe = make_pipe();
    DescriptorLog log{{"saslauthd", "", false, true}};
    log.set_stream(std::move(pipe.write_end));
    fill(log);
    while (!bytes_in(pipe.read_end).empty()) {
    }
    log.info("one more");
    const std::string lines = bytes_in(pipe.read_end);
    CHECK(nlohmann::json::parse(lines.substr(0, lines.find('\n'))).at("message") ==
          "1 log lines were dropped");
}

} // namespace postern
