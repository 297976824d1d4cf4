// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <string>

namespace postern {

/// The address of a UNIX socket: a path, or an abstract name, which is written with an `@` in front
/// (unix(7)).
class UnixAddress {
public:
    /// Throws std::system_error when it is longer than such an address can be.
    static UnixAddress of_path(const std::string& path);
    /// What begins with `@` is an abstract name. Throws as above.
    static UnixAddress of_path_or_abstract(const std::string& name);

    [[nodiscard]] const sockaddr* get() const noexcept
    {
        return reinterpret_cast<const sockaddr*>(&address_);
    }

    [[nodiscard]] socklen_t size() const noexcept { return size_; }

private:
    sockaddr_un address_{};
    socklen_t size_ = sizeof address_;
};

/// Never waits. Not open when nobody could be connected to, and errno says why. Throws std::system_error for
/// a path that is no address.
[[nodiscard]] UniqueFd connect_to(const std::string& path);

/// The same, but waits so long for room where too many wait to be accepted. EAGAIN: there was none.
[[nodiscard]] UniqueFd connect_patiently_to(const std::string& path, std::chrono::milliseconds patience);

/// Who has made a socket listen. The process may be gone, and another one have its socket.
struct SocketMaker {
    pid_t pid = 0; ///< 0: it is in no namespace that shows it to us
    uid_t user = 0;

    bool operator==(const SocketMaker&) const = default;
};

/// Of the socket that a connection leads to, as the kernel has kept it (SO_PEERCRED). Throws
/// std::system_error.
[[nodiscard]] SocketMaker maker_of(int connection);

} // namespace postern
