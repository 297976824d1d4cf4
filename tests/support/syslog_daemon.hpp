// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <string>

namespace postern {

/// What a syslog daemon is to those that log: a bound datagram socket. Reads only when asked to.
class SyslogDaemon {
public:
    explicit SyslogDaemon(const std::string& path)
        : socket_{check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")}
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(path.c_str());
        check(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    }

    /// The next line that has arrived; nothing when none has.
    [[nodiscard]] std::optional<std::string> next_line()
    {
        std::array<char, 8192> buffer{};
        const ssize_t got = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (got < 0)
            return std::nullopt;
        return std::string{buffer.data(), static_cast<std::size_t>(got)};
    }

private:
    UniqueFd socket_;
};

} // namespace postern
