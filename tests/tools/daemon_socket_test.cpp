// SPDX-License-Identifier: BSD-2-Clause
#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "tools/daemon_socket.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A daemon that has said three bytes, which wait.
struct Talker {
    Talker()
    {
        std::array<int, 2> ends{};
        check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), "socketpair");
        ours = UniqueFd{ends[0]};
        its = UniqueFd{ends[1]};
        REQUIRE(::send(its.get(), "abc", 3, MSG_NOSIGNAL) == 3);
    }

    UniqueFd ours;
    UniqueFd its;
};

Deadline in(std::chrono::seconds time)
{
    return std::chrono::steady_clock::now() + time;
}

} // namespace

TEST_CASE("bytes that wait are received before the deadline, and not past it", "[daemon_socket]")
{
    const Talker talker;
    std::array<char, 8> memory{};
    errno = 0;
    CHECK_FALSE(receive_part(talker.ours.get(), memory, in(0s)));
    CHECK(errno == ETIMEDOUT);
    CHECK(receive_part(talker.ours.get(), memory, in(600s)) == 3);
}

TEST_CASE("what should come whole is not waited for past the deadline either", "[daemon_socket]")
{
    const Talker talker;
    std::array<char, 3> memory{};
    CHECK_FALSE(receive_all(talker.ours.get(), memory, in(0s)));
    CHECK(errno == ETIMEDOUT);
    CHECK(receive_all(talker.ours.get(), memory, in(600s)));
    CHECK(std::string_view{memory.data(), memory.size()} == "abc");
}

TEST_CASE("the end of a stream is no error of the system", "[daemon_socket]")
{
    Talker talker;
    talker.its.reset();
    std::array<char, 4> memory{};
    CHECK_FALSE(receive_all(talker.ours.get(), memory, in(600s)));
    CHECK(errno == closed_early);
}

} // namespace postern
