// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "base/unique_fd.hpp"

#include <stdexcept>
#include <string>

/// Connections to servers that do not take longer than they may. Names are looked up by the host's resolver,
/// which takes as long as it likes.
namespace postern {

/// A server could not be reached, or went away.
class ConnectionError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// It did not answer in time: whoever asks it next will wait as long.
class ConnectionSilence final : public ConnectionError {
public:
    using ConnectionError::ConnectionError;
};

/// A stream to that port, a number or a service's name. The addresses of the host are tried in turn, each for
/// its share of the time. Non-blocking, and kept alive. Throws ConnectionError.
[[nodiscard]] UniqueFd connect_to_host(const std::string& host, const std::string& port, TimePoint until);

/// A stream to a UNIX socket. The same otherwise.
[[nodiscard]] UniqueFd connect_to_path(const std::string& path, TimePoint until);

/// poll(2) on one descriptor, until then and not only until a signal.
[[nodiscard]] int poll_until(int fd, short events, TimePoint until) noexcept;

} // namespace postern
