// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/background.hpp"
#include "daemon/service_environment.hpp"
#include "tests/support/descriptors.hpp"

#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace postern;
using Catch::Contains;

namespace {

constexpr const char* variables[] = {"LISTEN_PID",   "LISTEN_FDS",    "LISTEN_FDNAMES", "LISTEN_PIDFDID",
                                     "WATCHDOG_PID", "WATCHDOG_USEC", "NOTIFY_SOCKET"};

void set(const char* name, const std::string& value)
{
    REQUIRE(::setenv(name, value.c_str(), 1) == 0);
}

std::string own_pid()
{
    return std::to_string(::getpid());
}

bool is_open(int descriptor)
{
    return ::fcntl(descriptor, F_GETFD) >= 0;
}

/// Descriptors 3 to 3 + count - 1, as systemd leaves them to a program; nothing else above 2.
void pass_descriptors(int count)
{
    ::syscall(SYS_close_range, 3, ~0U, 0U);
    for (int descriptor = 3; descriptor < 3 + count; ++descriptor)
        REQUIRE(::open("/dev/null", O_RDONLY) == descriptor);
}

} // namespace

TEST_CASE("descriptors are taken over in their order, with their names", "[service environment]")
{
    pass_descriptors(3);
    set("LISTEN_PID", own_pid());
    set("LISTEN_FDS", "3");
    set("LISTEN_FDNAMES", "postern.socket::/run/mux");
    const auto environment = take_service_environment();
    CHECK(environment.problems.empty());
    REQUIRE(environment.descriptors.size() == 3);
    for (int i = 0; i < 3; ++i) {
        CHECK(environment.descriptors[static_cast<std::size_t>(i)].descriptor.get() == 3 + i);
        CHECK(::fcntl(3 + i, F_GETFD) == FD_CLOEXEC);
    }
    CHECK(environment.descriptors[0].name == "postern.socket");
    CHECK(environment.descriptors[1].name.empty());
    CHECK(environment.descriptors[2].name == "/run/mux");
}

TEST_CASE("a descriptor without a name is called unknown", "[service environment]")
{
    pass_descriptors(2);
    set("LISTEN_PID", own_pid());
    set("LISTEN_FDS", "2");
    set("LISTEN_FDNAMES", "one");
    const auto environment = take_service_environment();
    REQUIRE(environment.descriptors.size() == 2);
    CHECK(environment.descriptors[1].name == "unknown");
}

TEST_CASE("nobody whom we start finds the variables", "[service environment]")
{
    pass_descriptors(0);
    for (const char* variable : variables)
        set(variable, "1");
    static_cast<void>(take_service_environment());
    for (const char* variable : variables)
        CHECK(std::getenv(variable) == nullptr);
}

TEST_CASE("what was passed to another process is not ours", "[service environment]")
{
    const auto pid = GENERATE("1", "", "0", "-1", "abc", "99999999999999999999999");
    pass_descriptors(1);
    set("LISTEN_PID", pid);
    set("LISTEN_FDS", "1");
    const auto environment = take_service_environment();
    CHECK(environment.descriptors.empty());
    CHECK(environment.problems.empty());
    CHECK(is_open(3));
}

TEST_CASE("a number of descriptors that is none is told of, and nothing is taken", "[service environment]")
{
    const auto count = GENERATE("", "abc", "-1", "1 ", " 1", "1x", "99999999999999999999999", "0x1");
    CAPTURE(count);
    pass_descriptors(1);
    set("LISTEN_PID", own_pid());
    set("LISTEN_FDS", count);
    const auto environment = take_service_environment();
    CHECK(environment.descriptors.empty());
    REQUIRE(environment.problems.size() == 1);
    CHECK_THAT(environment.problems[0], Contains("LISTEN_FDS is no number"));
}

TEST_CASE("descriptors that are not open are told of, and the others are taken", "[service environment]")
{
    pass_descriptors(3);
    ::close(4);
    set("LISTEN_PID", own_pid());
    set("LISTEN_FDS", "4");
    set("LISTEN_FDNAMES", "a:b:c:d");
    const auto environment = take_service_environment();
    REQUIRE(environment.descriptors.size() == 2);
    CHECK(environment.descriptors[1].name == "c");
    REQUIRE(environment.problems.size() == 2);
    CHECK_THAT(environment.problems[0], Contains("descriptor 4 is not open"));
    CHECK_THAT(environment.problems[1], Contains("descriptor 6 is not open"));
}

TEST_CASE("more descriptors than there can be listeners are not taken, and do not stay",
          "[service environment]")
{
    pass_descriptors(1000);
    set("LISTEN_PID", own_pid());
    set("LISTEN_FDS", "1000");
    const auto environment = take_service_environment();
    CHECK(environment.descriptors.size() == 256);
    REQUIRE(environment.problems.size() == 1);
    tidy_descriptors(environment.descriptors);
    CHECK(is_open(3 + 255));
    CHECK_FALSE(is_open(3 + 256));
}

TEST_CASE("of what the caller left open, only what was passed on purpose stays", "[service environment]")
{
    pass_descriptors(6);
    std::vector<PassedDescriptor> passed;
    passed.push_back({UniqueFd{4}, "a"});
    passed.push_back({UniqueFd{6}, "b"});
    tidy_descriptors(passed);
    for (int descriptor = 3; descriptor < 20; ++descriptor) {
        CAPTURE(descriptor);
        CHECK(is_open(descriptor) == (descriptor == 4 || descriptor == 6));
    }
    for (int descriptor = 0; descriptor < 3; ++descriptor)
        CHECK(is_open(descriptor));
}

TEST_CASE("a watchdog is for the process that it names, or for whoever was started", "[service environment]")
{
    pass_descriptors(0);
    const auto [pid, is_ours] =
        GENERATE(table<std::string, bool>({{"own", true}, {"", false}, {"1", false}, {"none", true}}));
    CAPTURE(pid);
    if (pid != "none")
        set("WATCHDOG_PID", pid == "own" ? own_pid() : pid);
    set("WATCHDOG_USEC", "30000000");
    const auto environment = take_service_environment();
    CHECK(environment.watchdog.has_value() == is_ours);
    if (is_ours)
        CHECK(*environment.watchdog == std::chrono::seconds{30});
}

TEST_CASE("a watchdog without a time is told of", "[service environment]")
{
    pass_descriptors(0);
    const auto time = GENERATE("", "abc", "0", "-5", "99999999999999999999", "18446744073709551615");
    CAPTURE(time);
    set("WATCHDOG_USEC", time);
    const auto environment = take_service_environment();
    CHECK_FALSE(environment.watchdog);
    REQUIRE(environment.problems.size() == 1);
    CHECK_THAT(environment.problems[0], Contains("WATCHDOG_USEC"));
}
