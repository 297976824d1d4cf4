// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"
#include "base/message_socket.hpp"
#include "daemon/accounts.hpp"
#include "daemon/believable_challenge.hpp"
#include "daemon/config.hpp"
#include "daemon/store_changes.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace postern {

/// What a front knows of a backend: enough for its workers.
struct PoolSetup {
    std::string backend; ///< its name
    std::string type;    ///< for the status
    PoolConfig config;
    std::vector<std::string> servers{}; ///< their names; of a type that has some
    RealmUse realm_use = RealmUse::never;
    bool is_cached = false;    ///< whether what it accepts may be kept
    bool heeds_client = false; ///< BackendType::heeds_client
};

/// What a front is told when it starts: its part of the configuration and nothing else. It comes as the
/// first message on its channel, with the listening sockets in the order of `listeners` and, behind them,
/// the control socket, what the log is written to, and the events of local stores.
struct FrontSetup {
    Account account;
    bool drops_privileges = false; ///< false when the daemon was not started as root
    std::uint32_t supervisor = 0;  ///< its process id
    bool waits_to_open = false;    ///< another front serves the sockets still
    LogStyle log_style;
    LogLevel success_level = LogLevel::debug; ///< of the line about an accepted login
    bool has_syslog = false; ///< the next descriptor is a socket connected to the syslog daemon
    bool uses_syslog = false;
    bool has_stream = false;        ///< the next one is the error stream
    bool lets_go_of_stderr = false; ///< once it can work: until then the caller sees what goes wrong
    std::uint32_t delayed_max = 0;
    std::uint32_t sessions_max = 0;
    std::vector<ListenerConfig> listeners;
    std::vector<PoolSetup> pools;
    std::vector<RouteConfig> routes;
    CacheConfig cache;
    std::vector<WatchedStore> stores;
    bool has_store_events = false; ///< the very last descriptor is that of inotify(7) which watches them
    ChallengeKey challenge_key{};
    std::string host_name;
};

/// What a worker is told when it starts. Three descriptors come with it: its plug-in, and the taker's side of
/// its TaskQueue.
struct WorkerSetup {
    Account account;
    bool drops_privileges = false;
    bool lets_go_of_stderr = false;
    bool is_verbose = false; ///< debug lines are wanted
    std::string backend;
    std::string type;
    BackendOptions options;
    std::vector<std::string> files; ///< that the options name: it must be able to read them
    std::uint32_t field_bytes_max = 0;
};

/// Throws std::system_error when it cannot be sent, and std::length_error when it is too large for a message,
/// which a checked Config never is.
void send_setup(MessageSocket& channel, const FrontSetup& setup, std::span<const int> descriptors);
void send_setup(MessageSocket& channel, const WorkerSetup& setup, std::span<const int> descriptors);

/// The first message of a role's life, and the descriptors that came with it. Throws std::runtime_error
/// when it is anything else: a role is started by a supervisor of the same build, or not at all.
[[nodiscard]] std::pair<FrontSetup, std::vector<UniqueFd>> receive_front_setup(MessageSocket& channel);
[[nodiscard]] std::pair<WorkerSetup, std::vector<UniqueFd>> receive_worker_setup(MessageSocket& channel);

} // namespace postern
