// SPDX-License-Identifier: BSD-2-Clause
#include "base/unique_fd.hpp"
#include "tests/support/descriptors.hpp"

#include <catch2/catch.hpp>
#include <type_traits>

namespace postern {

namespace {

static_assert(!std::is_copy_constructible_v<UniqueFd>, "a descriptor has one owner");
static_assert(!std::is_convertible_v<UniqueFd, int>, "lending a descriptor is said aloud: get()");
static_assert(!std::is_convertible_v<int, UniqueFd>, "taking a descriptor over is said aloud");

bool is_open(int fd)
{
    return ::fcntl(fd, F_GETFD) >= 0;
}

} // namespace

TEST_CASE("a descriptor is closed by its last owner and by nobody before", "[unique_fd]")
{
    Pipe pipe = make_pipe();
    const int fd = pipe.read_end.get();
    {
        const UniqueFd owner = std::move(pipe.read_end);
        CHECK(owner.get() == fd);
        CHECK_FALSE(pipe.read_end.is_open());
        pipe.read_end.reset();
        CHECK(is_open(fd));
    }
    CHECK_FALSE(is_open(fd));
}

TEST_CASE("taking over a descriptor closes the one that was owned", "[unique_fd]")
{
    Pipe pipe = make_pipe();
    const int kept = pipe.read_end.get();
    const int replaced = pipe.write_end.get();

    pipe.write_end = std::move(pipe.read_end);

    CHECK(pipe.write_end.get() == kept);
    CHECK(is_open(kept));
    CHECK_FALSE(is_open(replaced));
}

TEST_CASE("a released descriptor stays open", "[unique_fd]")
{
    Pipe pipe = make_pipe();
    const int fd = pipe.read_end.release();
    pipe.read_end.reset();
    CHECK(is_open(fd));
    ::close(fd);
}

} // namespace postern
