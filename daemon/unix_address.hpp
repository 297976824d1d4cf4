// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <sys/socket.h>
#include <sys/un.h>

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

} // namespace postern
