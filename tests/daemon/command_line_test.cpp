// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/command_line.hpp"

#include <catch2/catch.hpp>
#include <sstream>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// The command line as it is typed.
CommandLine parse(const std::string& typed)
{
    std::vector<std::string> arguments{"saslauthd"};
    std::istringstream words{typed};
    for (std::string word; words >> word;)
        arguments.push_back(word);
    return parse_command_line(arguments);
}

Config config(const std::string& typed)
{
    return std::get<Config>(parse(typed));
}

std::string text(const std::string& typed)
{
    return std::get<CommandLineText>(parse(typed)).text;
}

/// What is said of a command line that is refused.
std::string complaint(const std::string& typed)
{
    try {
        static_cast<void>(parse(typed));
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "none";
}

} // namespace

TEST_CASE("without options Postern is what Debian's saslauthd is", "[flags]")
{
    const Config c = config("-a sasldb");
    CHECK(c.run_directory == "/var/run/saslauthd");
    CHECK(c.listeners.at(0).socket == "/var/run/saslauthd/mux");
    CHECK(c.workers == 5);
    CHECK(c.backends.at(0).options.at("sasldb_path") == "/etc/sasldb2");
    CHECK(c.listeners.at(0).deadline == 8s);
    CHECK(c.listeners.at(0).field_bytes_max == 1024);
    CHECK(c.route.failure_delay == 1s);
    CHECK_FALSE(c.stays_in_foreground);
    CHECK_FALSE(c.is_verbose);
    CHECK(c.log == LogTarget::syslog);
    CHECK(c.notes.empty());
}

TEST_CASE("flags may be attached to their value and to each other, as getopt has it", "[flags]")
{
    const auto typed =
        GENERATE(as<std::string>{}, "-a sasldb -m /run/x -n 7 -V -d -r", "-asasldb -m/run/x -n7 -Vdr",
                 "-Vdra sasldb -m/run/x -n 7", "-rVdn7 -m /run/x -asasldb");
    CAPTURE(typed);
    const Config c = config(typed);
    CHECK(c.backends.at(0).name == "sasldb");
    CHECK(c.listeners.at(0).socket == "/run/x/mux");
    CHECK(c.workers == 7);
    CHECK(c.is_verbose);
    CHECK(c.stays_in_foreground);
    CHECK(c.listeners.at(0).joins_realm);
}

TEST_CASE("a flag may be repeated, and the last one counts", "[flags]")
{
    const Config c =
        config("-V -a sasldb -n 3 -m /one -V --deadline 1s -n 7 -m /two --deadline 2s -O x -O y");
    CHECK(c.workers == 7);
    CHECK(c.run_directory == "/two");
    CHECK(c.listeners.at(0).deadline == 2s);
    CHECK(c.is_verbose);
}

TEST_CASE("the mechanism may be written in any case", "[flags]")
{
    CHECK(config("-a SaslDB").backends.at(0).name == "sasldb");
}

TEST_CASE("the flag -d says more and -f does not; both stay and write to the terminal too", "[flags]")
{
    CHECK(config("-a sasldb -d").is_verbose);
    CHECK_FALSE(config("-a sasldb -f").is_verbose);
    CHECK(config("-a sasldb -f").stays_in_foreground);
    CHECK(config("-a sasldb -f").log == LogTarget::syslog_and_stderr);
    CHECK(config("-a sasldb -f --log stderr").log == LogTarget::stderr_only);
    CHECK(config("-a sasldb -f --log syslog").log == LogTarget::syslog);
    CHECK(config("-a sasldb --log syslog").log == LogTarget::syslog);
}

TEST_CASE("every key of the listener, the route and the backend is a long option", "[flags]")
{
    const Config c =
        config("-a sasldb --deadline 2s --failure-delay=0 --when-unavailable say_no --field-bytes-max 256 "
               "--queue-max 7 --delayed-max 8 --sessions-max 9 --user nobody --sasldb-path /tmp/db");
    CHECK(c.listeners.at(0).deadline == 2s);
    CHECK(c.listeners.at(0).when_unavailable == saslauthd::WhenUnavailable::say_no);
    CHECK(c.listeners.at(0).field_bytes_max == 256);
    CHECK(c.route.failure_delay == 0s);
    CHECK(c.queue_max == 7);
    CHECK(c.delayed_max == 8);
    CHECK(c.sessions_max == 9);
    CHECK(c.user == "nobody");
    CHECK(c.backends.at(0).options.at("sasldb_path") == "/tmp/db");
}

TEST_CASE("a time has a unit, or means seconds", "[flags]")
{
    const auto [typed, time] = GENERATE(table<std::string, std::chrono::milliseconds>(
        {{"2", 2s}, {"2s", 2s}, {"1500ms", 1500ms}, {"1m", 60s}}));
    CHECK(config("-a sasldb --deadline " + typed).listeners.at(0).deadline == time);
}

#ifdef POSTERN_TESTING
TEST_CASE("several mechanisms are asked in the order of the list", "[flags]")
{
    const Config c = config("-a fault,sasldb");
    REQUIRE(c.backends.size() == 2);
    CHECK(c.backends[0].name == "fault");
    CHECK(c.backends[1].name == "sasldb");
    CHECK(c.route.chain.at(1).backend == 1);
}
#endif

TEST_CASE("what has no effect in this version is said at start", "[flags]")
{
    CHECK(config("-a sasldb -c").notes.size() == 1);
    CHECK(config("-a sasldb -c -t 60 -s 100").notes.size() == 1);
    CHECK(config("-a sasldb -n 0").notes.size() == 1);
    CHECK(config("-a sasldb -n 0").workers == 5);
    CHECK(config("-a sasldb -O x -O y").notes.size() == 1);
    CHECK(config("-a sasldb -T -H host").notes.size() == 1);
    CHECK(config("-a sasldb -l").notes.empty());
}

TEST_CASE("what makes no sense is refused, and the complaint says what was expected", "[flags]")
{
    const auto [typed, part] = GENERATE(table<std::string, std::string>({
        {"", "-a says whom to ask"},
        {"-a sasldb -a sasldb", "-a was given twice"},
        {"-a sasldb,sasldb", "named twice"},
        {"-a sasldb,", "unknown authentication mechanism"},
        {"-a nonsense", "unknown authentication mechanism: nonsense"},
        {"-a sasldc", "did you mean sasldb?"},
        {"-a pam", "not available in this version"},
        {"-a LDAP", "not available in this version"},
        {"-a httpform", "not offered"},
        {"-a sasldb -m run", "-m requires an absolute pathname"},
        {"-a sasldb -m /" + std::string(103, 'x'), "longer than the 107 bytes"},
        {"-a sasldb -n -1", "-n -1: a number from 0 to 512 was expected"},
        {"-a sasldb -n abc", "a number from 0 to 512"},
        {"-a sasldb -n 5x", "a number from 0 to 512"},
        {"-a sasldb -s 0", "-s 0: a number from 1"},
        {"-a sasldb -s big", "-s big: a number from 1"},
        {"-a sasldb -t 0", "-t 0: a number from 1"},
        {"-a sasldb --deadline soon", "a time such as 8s"},
        {"-a sasldb --deadline 3h", "a time such as 8s"},
        {"-a sasldb --deadline 0", "nothing could ever be answered"},
        {"-a sasldb --field-bytes-max 65536", "from 1 to 16384"},
        {"-a sasldb --when-unavailable close", "empty_reply or say_no"},
        {"-a sasldb --log file", "syslog or stderr"},
        {"-a sasldb --log stderr", "needs -f or -d"},
        {"-a sasldb --dedline 2s", "did you mean --deadline?"},
        {"-a sasldb --dead 2s", "unknown option"},
        {"-a sasldb --deadline", "--deadline needs a value"},
        {"-a sasldb -x", "unknown option -x"},
        {"-a sasldb stray", "stray arguments"},
        {"-a", "-a needs a value"},
        {"-a sasldb -n", "-n needs a value"},
    }));
    CAPTURE(typed);
    CHECK_THAT(complaint(typed), Catch::Contains(part));
}

TEST_CASE("numbers are checked before the mechanism is looked at, as saslauthd does", "[flags]")
{
    CHECK_THAT(complaint("-a nonsense -n -1"), Catch::StartsWith("-n -1"));
}

TEST_CASE("the flags -v and -h say something and start nothing, whatever else is given", "[flags]")
{
    CHECK_THAT(text("-v"),
               Catch::StartsWith("postern ") && Catch::Contains("authentication mechanisms: sasldb"));
    CHECK(text("--version") == text("-v"));
    CHECK(text("--help") == text("-h"));
    CHECK_THAT(text("-h -n -1"), Catch::Contains("--sasldb-path FILE") && Catch::Contains("/etc/sasldb2"));
}
