// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace postern {

/// Who may connect to a socket: the owner, the group and the mode of its file.
struct SocketRights {
    std::optional<std::uint32_t> owner; ///< none: left as it is
    std::optional<std::uint32_t> group; ///< the same
    std::uint32_t mode = 0777;

    bool operator==(const SocketRights&) const = default;
};

/// Somebody else serves that path.
class SocketInUse : public std::system_error {
public:
    using std::system_error::system_error;
};

/// A UNIX socket that clients connect to, under a name in the file system, which goes with the object.
///
/// Never more open than its rights say, not for a moment. The directory may belong to somebody else: nothing
/// is touched there but a socket of ours.
class ListeningSocket {
public:
    enum class Placement : std::uint8_t {
        at_path,     ///< in the place of what a dead daemon left there
        beside,      ///< under another name, until take_place()
        beside_ours, ///< the same, where a front of ours still serves the path
    };

    /// What is no socket, or a socket that somebody serves, is never touched. Throws SocketInUse for the
    /// latter, else std::system_error, also when `path` is longer than a socket's address can be.
    ListeningSocket(std::string path, const SocketRights& rights, Placement placement = Placement::at_path);
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;
    ~ListeningSocket();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// Whoever connects to the path from now on, connects here. Throws std::system_error.
    void take_place();

    /// Throws std::system_error.
    void set_rights(const SocketRights& rights);

private:
    [[nodiscard]] UniqueFd open_file() const;

    std::string path_;
    std::string name_; ///< where it is now: the path, or beside it
    UniqueFd socket_;
    struct stat bound_ {}; ///< the name as it was made: its inode, its owner
    mode_t mode_ = 0;      ///< of the name, now
};

} // namespace postern
