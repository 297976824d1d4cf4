// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <filesystem>
#include <iterator>

namespace postern {

/// How many descriptors this process has open.
inline std::size_t open_descriptors()
{
    using Entries = std::filesystem::directory_iterator;
    return static_cast<std::size_t>(std::distance(Entries{"/proc/self/fd"}, Entries{}));
}

/// Both ends of a pipe that never blocks.
struct Pipe {
    UniqueFd read_end;
    UniqueFd write_end;
};

inline Pipe make_pipe()
{
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC), "pipe2");
    return {UniqueFd{ends[0]}, UniqueFd{ends[1]}};
}

} // namespace postern
