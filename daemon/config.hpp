// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "backends/backend_types.hpp"
#include "backends/chain.hpp"
#include "protocol/saslauthd.hpp"

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

/// The admin asked for something that does not exist or makes no sense. The text says where and what was
/// expected.
class ConfigError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A socket on which logins are asked for.
struct ListenerConfig {
    std::string socket;                        ///< absolute path
    std::chrono::milliseconds deadline{8'000}; ///< inside the 10 s that Postfix waits
    std::uint32_t field_bytes_max = 1024;      ///< of one field of a request; saslauthd has 256
    saslauthd::WhenUnavailable when_unavailable = saslauthd::WhenUnavailable::empty_reply;
    bool joins_realm = false; ///< -r: the login becomes login@realm
};

/// A place where passwords live.
struct BackendConfig {
    std::string name; ///< as the log calls it
    const BackendType* type = nullptr;
    BackendOptions options;
};

/// Whom to ask, in which order, and how a refusal leaves.
struct RouteConfig {
    Chain chain;
    std::chrono::milliseconds failure_delay{1'000}; ///< from arrival to a refusal, give or take a tenth
};

enum class LogTarget : std::uint8_t {
    syslog,            ///< the syslog daemon only
    syslog_and_stderr, ///< both: in the foreground, as saslauthd does
    stderr_only,       ///< for containers
};

/// Everything that flags and files can say, checked, with every default filled in. A value: what runs is
/// built from it and keeps no other settings.
struct Config {
    std::string ident = "saslauthd"; ///< in front of log lines
    std::string run_directory = "/var/run/saslauthd";
    std::string user = "postern"; ///< the unprivileged account
    bool stays_in_foreground = false;
    bool is_verbose = false;
    LogTarget log = LogTarget::syslog;

    std::uint32_t workers = 5;           ///< kept ready for each backend
    std::uint32_t queue_max = 1024;      ///< requests that wait for a worker of a backend
    std::uint32_t delayed_max = 1024;    ///< refusals that wait for their moment
    std::uint32_t sessions_max = 16'384; ///< or fewer, as the limit on descriptors says

    std::vector<ListenerConfig> listeners;
    std::vector<BackendConfig> backends;
    RouteConfig route;

    std::vector<std::string> notes; ///< what was asked for and has no effect; for the log at start
};

} // namespace postern
