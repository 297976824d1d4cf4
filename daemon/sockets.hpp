// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"
#include "daemon/config.hpp"
#include "daemon/generation.hpp"
#include "daemon/listening_socket.hpp"
#include "daemon/service_environment.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/unix_address.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace postern {

/// The sockets that the supervisor holds, whichever front serves them: one for each listener, and the control
/// socket. They are made here, or were passed by a service manager, which also keeps them from one start to
/// the next.
///
/// *With a service manager* the sockets that are made here are stored there when they are served. A daemon
/// that is told to end does not know whether it shall start again: it leaves their names where they are. If
/// it does, who connects meanwhile waits in the backlog, and the next start serves the very same sockets. If
/// it does not, the service manager lets go of them, and connections are refused: a stop is a stop. What has
/// a unit of its own is the unit's, as is its name. The control socket is never stored: nobody waits there
/// for longer than a daemon lives.
class Sockets {
public:
    /// Opens those of `config`; what was passed for no listener is closed. Throws SocketInUse or
    /// std::system_error.
    Sockets(Log& log, ServiceManager& service_manager, const Config& config,
            std::vector<PassedDescriptor> passed);
    Sockets(const Sockets&) = delete;
    Sockets& operator=(const Sockets&) = delete;

    /// A front that another supervisor has left behind serves them.
    [[nodiscard]] bool has_orphan() const noexcept { return orphan_.has_value(); }

    /// Those that are not there yet, for a reload. One that is there stays, also where its path is spelled
    /// in another way. Throws as the constructor does.
    void open(const Config& config);
    void close_all_but(const Config& config);
    /// All. What the service manager has keeps its name.
    void close();

    /// As a front gets them, lent until close_all_but() or close().
    [[nodiscard]] Generation::Sockets lend(const Config& config) const;

    using Problems = std::map<std::string, std::string>; ///< by path; a text for the admin

    /// Whoever connects from now on, connects to us, as the rights of `config` say; an orphan is asked to
    /// finish. Returns where that is not so: there another one is served, or nobody, until the next call can
    /// do it, and an orphan stays.
    [[nodiscard]] Problems take_places(const Config& config);
    /// With the service manager, those that are not.
    void store();

private:
    [[nodiscard]] ListeningSocket::Placement placement() const;
    void open(const ListenerConfig& listener);
    [[nodiscard]] const std::string& held_as(const std::string& path) const;
    [[nodiscard]] bool holds(const std::string& path) const;
    [[nodiscard]] bool open_passed(const ListenerConfig& listener);
    [[nodiscard]] bool adopt(const std::string& path, PassedDescriptor passed);
    void close_passed();
    void store_anew();
    void forget(const std::string& name);
    static void take_place(ListeningSocket& socket, Problems& problems);
    void give_rights(const ListenerConfig& listener, Problems& problems);
    void dismiss_orphan();

    Log& log_;
    ServiceManager& service_manager_;
    std::string control_path_;
    std::optional<SocketMaker> orphan_; ///< the supervisor that it had, which has made its sockets
    UniqueFd orphan_control_; ///< a connection to it, from before ours took its control socket's place
    bool are_served_ = false;
    std::vector<PassedDescriptor> passed_;             ///< and not in use yet
    std::map<std::string, ListeningSocket> listeners_; ///< by path
    std::set<std::string> stored_;                     ///< paths of those that the service manager has
    std::optional<ListeningSocket> control_;
};

} // namespace postern
