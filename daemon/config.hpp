// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "backends/backend_types.hpp"
#include "backends/chain.hpp"
#include "base/lower_case.hpp"
#include "daemon/normalise.hpp"
#include "protocol/saslauthd.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// The admin asked for something that does not exist or makes no sense. The text says where and what was
/// expected; one line for each problem.
class ConfigError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

enum class ListenerProtocol : std::uint8_t { saslauthd, dovecot };

/// As the configuration and the status call it.
[[nodiscard]] constexpr std::string_view protocol_text(ListenerProtocol protocol) noexcept
{
    return protocol == ListenerProtocol::dovecot ? "dovecot" : "saslauthd";
}

/// What a peer that speaks the Dovecot protocol is told when nobody could be asked.
enum class DovecotUnavailable : std::uint8_t {
    close, ///< nothing: its connection ends, which is what Postfix and Exim take for a temporary failure
    fail,  ///< FAIL with code=temp_fail, which those two take for a wrong password
};

/// What a listener of the Dovecot protocol has beside.
struct DovecotConfig {
    std::vector<std::string> mechanisms; ///< in the order in which they are announced
    DovecotUnavailable when_unavailable = DovecotUnavailable::close;
    bool refuses_plaintext_without_tls = false;
    std::string refusal_reason; ///< shown to the mail user; empty: nothing is

    bool operator==(const DovecotConfig&) const = default;
};

/// A socket on which logins are asked for.
struct ListenerConfig {
    std::string name; ///< as the log and the status call it
    ListenerProtocol protocol = ListenerProtocol::saslauthd;
    std::string socket;                        ///< absolute path
    std::optional<std::uint32_t> owner;        ///< of the socket; none: whoever started the daemon
    std::optional<std::uint32_t> group;        ///< the same
    std::uint32_t mode = 0777;                 ///< of the socket; the directory guards a drop-in one
    std::chrono::milliseconds deadline{8'000}; ///< inside the 10 s that Postfix waits
    std::uint32_t field_bytes_max = 1024;      ///< of one field of a request; saslauthd has 256
    saslauthd::WhenUnavailable when_unavailable = saslauthd::WhenUnavailable::empty_reply;
    saslauthd::ReplyTexts reply_texts; ///< drop-in: the words of saslauthd's mechanism
    NameRules names;
    DovecotConfig dovecot;
    std::size_t route = 0; ///< index into Config::routes

    bool operator==(const ListenerConfig&) const = default;
};

/// How many workers a backend has, and for how long.
struct PoolConfig {
    std::uint32_t workers = 5;                     ///< kept ready
    std::uint32_t workers_max = 64;                ///< on demand; never fewer than are kept ready
    std::uint32_t worker_requests_max = 10'000;    ///< then it is replaced: foreign libraries leak; 0: never
    std::chrono::milliseconds worker_idle{60'000}; ///< then one that is more than `workers` goes
    std::uint32_t queue_max = 1024;                ///< requests that wait for a worker

    bool operator==(const PoolConfig&) const = default;
};

/// A place where passwords live.
struct BackendConfig {
    std::string name; ///< as the log calls it
    const BackendType* type = nullptr;
    BackendOptions options;
    PoolConfig pool;
    std::optional<bool> is_cached{}; ///< whether what it accepts may be kept; none: as its type says

    [[nodiscard]] bool keeps_logins() const { return is_cached.value_or(type->is_cached_by_default); }
};

/// Whom to ask, in which order, and how a refusal leaves.
struct RouteConfig {
    std::string name; ///< "default" for the one that listeners have unless they name another
    Chain chain;      ///< for every realm without one of its own; empty: such logins are unavailable
    std::map<std::string, Chain, LessInLowerCase> realms;
    std::chrono::milliseconds failure_delay{1'000}; ///< from arrival to a refusal, give or take a tenth

    /// A to Z in a realm are a to z: to Postfix and to directories they are, and who logs in chooses them.
    [[nodiscard]] const Chain& chain_for(std::string_view realm) const noexcept
    {
        const auto own = realms.find(realm);
        return own == realms.end() ? chain : own->second;
    }
};

/// What a front may be asked to keep: ten million logins and more.
inline constexpr std::uint32_t cache_kib_max = 2'097'152;

/// What is kept of logins that were accepted.
struct CacheConfig {
    bool is_on = false;
    std::uint32_t size_kib = 1024;
    std::chrono::milliseconds lifetime{3'600'000}; ///< of what was kept once

    bool operator==(const CacheConfig&) const = default;
};

enum class LogTarget : std::uint8_t {
    syslog,            ///< the syslog daemon only
    syslog_and_stderr, ///< both: in the foreground, as saslauthd does
    stderr_only,       ///< for containers
};

/// Everything that flags and files can say, checked, with every default filled in. A value: what runs is
/// built from it and keeps no other settings.
struct Config {
    bool is_drop_in = true;          ///< it speaks as saslauthd: names of files, lines in the log
    std::string ident = "saslauthd"; ///< in front of log lines
    std::string run_directory = "/var/run/saslauthd";
    std::string user = "postern"; ///< the unprivileged account
    std::string state_directory = "/var/lib/postern";
    bool stays_in_foreground = false;
    bool is_verbose = false;
    LogTarget log = LogTarget::syslog;
    bool logs_json = false; ///< an object a line

    std::uint32_t delayed_max = 1024;    ///< refusals that wait for their moment
    std::uint32_t sessions_max = 16'384; ///< or fewer, as the limit on descriptors says

    CacheConfig cache;

    std::vector<ListenerConfig> listeners;
    std::vector<BackendConfig> backends;
    std::vector<RouteConfig> routes;

    std::vector<std::string> notes; ///< what was asked for and has no effect; for the log at start
};

} // namespace postern
