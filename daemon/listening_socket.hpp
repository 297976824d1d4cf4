// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "daemon/lock_file.hpp"
#include "daemon/unix_address.hpp"

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

/// Somebody else serves that path, or is about to.
class SocketInUse : public std::system_error {
public:
    using std::system_error::system_error;
};

/// A UNIX socket that clients connect to, under a name in the file system, which goes with the object unless
/// another start shall find it.
///
/// Never more open than its rights say, not for a moment. The directory may belong to somebody else: nothing
/// is touched there but a socket of ours, and a lock of ours, which is there until the socket has its place.
/// So of two daemons that are about to serve one path, the second one finds the first.
class ListeningSocket {
public:
    enum class Placement : std::uint8_t {
        at_path, ///< in the place of what a dead daemon left there
        beside,  ///< under another name, until take_place()
    };

    /// What is no socket, or a socket that somebody serves, is never touched, but for one beside us that
    /// `predecessor` has made: its place is ours to take. Throws SocketInUse for the latter, else
    /// std::system_error, also when `path` is longer than a socket's address can be.
    ListeningSocket(std::string path, const SocketRights& rights, Placement placement = Placement::at_path,
                    const std::optional<SocketMaker>& predecessor = std::nullopt);

    /// Who has made a socket that was passed to us, and says who may connect to it.
    enum class Keeper : std::uint8_t {
        us,              ///< an earlier start, which has stored it with the service manager
        service_manager, ///< a unit of its own: neither its name nor its rights are changed
    };

    /// A socket that listens already, and that whoever connects to `path` gets to. Throws UnfitSocket when it
    /// is not that, or std::system_error.
    ListeningSocket(std::string path, UniqueFd socket, Keeper keeper);
    ListeningSocket(const ListeningSocket&) = delete;
    ListeningSocket& operator=(const ListeningSocket&) = delete;
    ~ListeningSocket();

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    [[nodiscard]] Keeper keeper() const noexcept { return keeper_; }

    /// Of its file, whoever has given it that.
    [[nodiscard]] mode_t mode() const noexcept { return mode_; }

    [[nodiscard]] bool has_place() const noexcept { return name_ == path_; }

    /// Whether its file stands at that path, too.
    [[nodiscard]] bool is_at(const std::string& path) const noexcept;

    /// Whoever connects to the path from now on, connects here. Throws SocketInUse when somebody has come to
    /// serve it since, or std::system_error.
    void take_place();

    /// Does nothing to a socket that the service manager keeps. Throws std::system_error.
    void set_rights(const SocketRights& rights);

    /// Whether the name stays when the object goes, because the socket lives on with the service manager. So
    /// it is with one that was passed to us. The name of one that the service manager keeps always stays.
    void keep_name(bool keeps) noexcept { keeps_name_ = keeps; }

private:
    [[nodiscard]] UniqueFd open_file() const;

    std::string path_;
    std::string name_; ///< where it is now: the path, or beside it
    UniqueFd socket_;
    std::optional<LockFile> lock_; ///< of the path, while we are beside it
    std::optional<SocketMaker> predecessor_;
    UniqueFd found_;       ///< what stood at the path when we came beside it
    struct stat bound_ {}; ///< the name as it was made: its inode, its owner
    mode_t mode_ = 0;      ///< of the name, now
    Keeper keeper_ = Keeper::us;
    bool keeps_name_ = false;
};

} // namespace postern
