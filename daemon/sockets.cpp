// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/sockets.hpp"

#include "base/posix_error.hpp"
#include "daemon/passed_socket.hpp"
#include "daemon/socket_path.hpp"
#include "protocol/control_messages.hpp"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>

namespace postern {

namespace {

SocketRights rights_of(const ListenerConfig& listener)
{
    return {listener.owner, listener.group, listener.mode};
}

std::string directory_of(const std::string& path)
{
    return path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
}

/// One level: what is in a directory of /run does not outlive the host's.
void make_directory_of(const std::string& path)
{
    const std::string directory = directory_of(path);
    const mode_t before = ::umask(022);
    const int made = ::mkdir(directory.c_str(), 0755);
    ::umask(before);
    if (made < 0 && errno != EEXIST)
        throw_errno("directory " + directory);
}

bool is_open_to_all(const ListeningSocket& socket)
{
    struct stat directory {};

    return (socket.mode() & S_IWOTH) != 0 && ::stat(directory_of(socket.path()).c_str(), &directory) == 0 &&
           (directory.st_mode & S_IXOTH) != 0;
}

/// To the front of a supervisor that is no more; not open when there is none. Nobody else could have got past
/// the locks of the run directory.
UniqueFd connect_to_orphan(const std::string& control_path)
try {
    return connect_to(control_path);
} catch (const std::system_error&) { // a path that is no address; who binds it says so
    return {};
}

/// Of such a front, the supervisor that it had: its sockets are those that this one has made.
std::optional<SocketMaker> find_orphan(const std::string& control_path)
{
    const UniqueFd orphan = connect_to_orphan(control_path);
    return orphan.is_open() ? std::optional{maker_of(orphan.get())} : std::nullopt;
}

/// A socket that we have stored is named after the path that it serves now: it may have been bound to another
/// one, beside it. Every other one serves what it was bound to.
std::optional<std::string> path_of(const PassedDescriptor& passed)
{
    const auto stored = path_in_stored_name(passed.name);
    return stored ? stored : bound_path(passed.descriptor.get());
}

ListeningSocket::Keeper keeper_of(const PassedDescriptor& passed)
{
    return path_in_stored_name(passed.name) ? ListeningSocket::Keeper::us
                                            : ListeningSocket::Keeper::service_manager;
}

/// Whoever wrote the unit's file may have called a directory by its other name.
bool is_for(const PassedDescriptor& passed, const std::string& socket)
{
    const auto path = path_of(passed);
    return path && canonical_socket(*path) == canonical_socket(socket);
}

std::string text_of(const PassedDescriptor& passed)
{
    const auto path = path_of(passed);
    return "descriptor " + std::to_string(passed.descriptor.get()) + " of the service manager (" +
           escape_log_value(passed.name) +
           (path && *path != passed.name ? ", " + escape_log_value(*path) : "") + ')';
}

} // namespace

Sockets::Sockets(Log& log, ServiceManager& service_manager, const Config& config,
                 std::vector<PassedDescriptor> passed)
    : log_{log}
    , service_manager_{service_manager}
    , control_path_{config.run_directory + "/control"}
    , orphan_{find_orphan(control_path_)}
    , passed_{std::move(passed)}
{
    control_.emplace(control_path_, SocketRights{{}, {}, 0600}, placement(), orphan_);
    open(config);
    close_passed();
    service_manager_.on_lost([this] { store_anew(); });
}

ListeningSocket::Placement Sockets::placement() const
{
    return orphan_ || are_served_ ? ListeningSocket::Placement::beside : ListeningSocket::Placement::at_path;
}

void Sockets::open(const Config& config)
{
    for (const ListenerConfig& listener : config.listeners)
        if (!holds(listener.socket))
            open(listener);
}

/// A new configuration may call a directory by its other name.
const std::string& Sockets::held_as(const std::string& path) const
{
    if (listeners_.contains(path))
        return path;
    const auto found = std::ranges::find_if(listeners_, [&](const auto& held) {
        return held.second.is_at(path) && canonical_socket(held.first) == canonical_socket(path);
    });
    return found == listeners_.end() ? path : found->first;
}

bool Sockets::holds(const std::string& path) const
{
    return listeners_.contains(held_as(path));
}

void Sockets::open(const ListenerConfig& listener)
{
    if (!open_passed(listener)) {
        make_directory_of(listener.socket);
        listeners_.try_emplace(listener.socket, listener.socket, rights_of(listener), placement(), orphan_);
    }
    if (is_open_to_all(listeners_.at(listener.socket)))
        log_.warning("every user of this host can try passwords at " + listener.socket +
                     ": neither its mode nor that of its directory keeps others out");
}

/// The first that serves the path. If none does that should, ours takes the place, unless somebody else
/// serves it.
bool Sockets::open_passed(const ListenerConfig& listener)
{
    bool is_forgotten = false; // under its path, for another one of that name
    const auto is_for_it = [&](const PassedDescriptor& passed) { return is_for(passed, listener.socket); };
    for (auto found = passed_.begin(); (found = std::ranges::find_if(passed_, is_for_it)) != passed_.end();) {
        PassedDescriptor passed = std::move(*found);
        passed_.erase(found);
        const std::string name = passed.name;
        if (!adopt(listener.socket, std::move(passed))) {
            is_forgotten = is_forgotten || name == stored_name(listener.socket);
            continue;
        }
        ListeningSocket& socket = listeners_.at(listener.socket);
        socket.set_rights(rights_of(listener)); // of this configuration, before anybody waits who may not
        if (name != stored_name(listener.socket))
            forget(name); // it is stored again under the path as it is written now
        else if (!is_forgotten)
            stored_.insert(listener.socket);
        return true;
    }
    return false;
}

bool Sockets::adopt(const std::string& path, PassedDescriptor passed)
{
    const std::string text = text_of(passed);
    try {
        const auto keeper = keeper_of(passed);
        listeners_.try_emplace(path, path, std::move(passed.descriptor), keeper);
        return true;
    } catch (const std::runtime_error& error) {
        log_.warning(text + " is closed: " + error.what());
        forget(passed.name);
        return false;
    }
}

/// What stands in the store for no listener is of an earlier configuration, and its name goes with it.
void Sockets::close_passed()
{
    for (PassedDescriptor& passed : std::exchange(passed_, {})) {
        const auto served = path_of(passed);
        const bool is_too_many = served && holds(*served);
        log_.warning(text_of(passed) + " is closed: " +
                     (is_too_many ? "another one serves its path" : "it is for no listener"));
        forget(passed.name);
        const auto path = path_in_stored_name(passed.name);
        try {
            if (path && !is_too_many)
                ListeningSocket{*path, std::move(passed.descriptor), ListeningSocket::Keeper::us}.keep_name(
                    false);
        } catch (const std::runtime_error&) { // then the name is not that socket's
        }
    }
}

/// All that are stored under that name go, also one that serves: it is stored again when it does.
void Sockets::forget(const std::string& name)
{
    const auto path = path_in_stored_name(name);
    if (!path)
        return;
    service_manager_.remove_stored(name);
    stored_.erase(*path);
}

void Sockets::close_all_but(const Config& config)
{
    std::set<std::string> wanted;
    for (const ListenerConfig& listener : config.listeners)
        wanted.insert(held_as(listener.socket));
    for (auto held = listeners_.begin(); held != listeners_.end();) {
        auto& [path, socket] = *held;
        if (wanted.contains(path)) {
            ++held;
            continue;
        }
        if (stored_.contains(path))
            forget(stored_name(path));
        socket.keep_name(false);
        held = listeners_.erase(held);
    }
}

void Sockets::close()
{
    service_manager_.say_lost_again();
    for (auto& [path, socket] : listeners_)
        socket.keep_name(stored_.contains(path) && service_manager_.keeps_descriptors());
    stored_.clear();
    listeners_.clear();
    control_.reset();
}

Generation::Sockets Sockets::lend(const Config& config) const
{
    Generation::Sockets sockets{{}, &*control_};
    for (const ListenerConfig& listener : config.listeners)
        sockets.listeners.push_back(&listeners_.at(held_as(listener.socket)));
    return sockets;
}

/// An orphan may serve where we do not get in.
Sockets::Problems Sockets::take_places(const Config& config)
{
    Problems problems;
    if (orphan_ && !control_->has_place())
        orphan_control_ = connect_to_orphan(control_path_); // ours will stand there
    for (const ListenerConfig& listener : config.listeners)
        take_place(listeners_.at(held_as(listener.socket)), problems);
    take_place(*control_, problems);
    if (problems.empty() && std::exchange(orphan_, std::nullopt))
        dismiss_orphan();
    for (const ListenerConfig& listener : config.listeners)
        give_rights(listener, problems);
    are_served_ = true;
    return problems;
}

/// A socket whose place cannot be taken is no reason to give the others up.
void Sockets::take_place(ListeningSocket& socket, Problems& problems)
try {
    socket.take_place();
} catch (const std::system_error& error) {
    problems.emplace(socket.path(), error.what());
}

void Sockets::give_rights(const ListenerConfig& listener, Problems& problems)
try {
    listeners_.at(held_as(listener.socket)).set_rights(rights_of(listener));
} catch (const std::system_error& error) { // somebody has removed its file
    problems.emplace(listener.socket, error.what());
}

/// It is asked for nothing that could be refused, so its answer is not read.
void Sockets::dismiss_orphan()
{
    const UniqueFd orphan = std::move(orphan_control_);
    log_.notice("a front that was left without its supervisor is asked to finish");
    const std::string request = control::write_request(control::Command::finish);
    if (::send(orphan.get(), request.data(), request.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        log_.warning("the front that was left behind does not listen");
}

void Sockets::store()
{
    for (auto& [path, socket] : listeners_) {
        const std::string name = stored_name(path);
        const bool is_ours = socket.keeper() == ListeningSocket::Keeper::us;
        if (!is_ours || !socket.has_place() || name.empty() || stored_.contains(path) ||
            !service_manager_.listens())
            continue;
        service_manager_.store(socket.fd(), name);
        socket.keep_name(true);
        stored_.insert(path);
    }
}

/// Whether it has those that it was told to store, nobody knows; of one that it has it keeps no second one.
/// What an earlier start has stored it has.
void Sockets::store_anew()
{
    if (!are_served_)
        return;
    stored_.clear();
    store();
}

} // namespace postern
