// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

/// The tool's side of a daemon's UNIX stream socket. No call on it waits past a deadline, and what went wrong
/// is left in errno: ETIMEDOUT when the deadline came first.
namespace postern {

using Deadline = std::chrono::steady_clock::time_point;

/// In the place of an errno: the daemon has closed the connection.
inline constexpr int closed_early = 0;

/// Not open, with errno, when there is no way. Throws std::system_error when the system has no socket for us.
[[nodiscard]] UniqueFd connect_to(const std::string& path, std::chrono::milliseconds patience);

[[nodiscard]] bool send_all(int fd, std::string_view bytes, Deadline deadline);

/// How many bytes came: 0 at the end of the stream. Nothing, with errno, when none did before the deadline:
/// past it, those that wait are not looked at, so that nobody gains time by never ceasing to talk.
[[nodiscard]] std::optional<std::size_t> receive_part(int fd, std::span<char> memory, Deadline deadline);

/// Fills `memory`. False with errno, which is `closed_early` when the other side ended before.
[[nodiscard]] bool receive_all(int fd, std::span<char> memory, Deadline deadline);

} // namespace postern
