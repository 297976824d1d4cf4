// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_keys.hpp"

#include "daemon/config_values.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace postern {

namespace {

using namespace std::chrono_literals;

void set_log(Config& config, const std::string& value)
{
    static constexpr std::array<std::string_view, 2> words{"syslog", "stderr"};
    config.log = parse_word(value, words) == 0 ? LogTarget::syslog : LogTarget::stderr_only;
}

void set_run_directory(Config& config, const std::string& value)
{
    config.run_directory = parse_path(value);
    check_socket_length(value + "/control");
}

/// Nothing to set yet: there is one.
void set_protocol(ListenerConfig&, const std::string& value)
{
    static constexpr std::array<std::string_view, 1> words{"saslauthd"};
    if (value == "dovecot")
        throw ConfigError{"dovecot: this protocol is not available in this version; saslauthd was expected"};
    static_cast<void>(parse_word(value, words));
}

void set_deadline(ListenerConfig& listener, const std::string& value)
{
    listener.deadline = parse_duration(value);
    if (listener.deadline == 0ms)
        throw ConfigError{shown(value) + ": nothing could ever be answered in time; " +
                          "a time such as 8s was expected"};
}

void set_when_unavailable(ListenerConfig& listener, const std::string& value)
{
    static constexpr std::array<std::string_view, 2> words{"empty_reply", "say_no"};
    listener.when_unavailable = parse_word(value, words) == 0 ? saslauthd::WhenUnavailable::empty_reply
                                                              : saslauthd::WhenUnavailable::say_no;
}

/// The value of most keys goes into one member as it is read.
template <auto member, auto parse, typename Target>
void set(Target& target, const std::string& value)
{
    target.*member = parse(value);
}

template <auto member, std::uint32_t min, std::uint32_t max, typename Target>
void set_number(Target& target, const std::string& value)
{
    target.*member = parse_number(value, min, max);
}

constexpr std::array<ConfigKey<Config>, 5> of_daemon{{
    {"user", set<&Config::user, parse_unprivileged_user>, "NAME",
     "the unprivileged account (default postern)"},
    {"run_directory", set_run_directory},
    {"log", set_log, "TARGET", "syslog (default) or stderr"},
    {"delayed_max", set_number<&Config::delayed_max, 1, 65'536>, "N",
     "refusals that wait for their moment (default 1024)"},
    {"sessions_max", set_number<&Config::sessions_max, 1, 65'536>, "N",
     "connections at a time (default 16384)"},
}};

constexpr std::array<ConfigKey<ListenerConfig>, 9> of_listener{{
    {"protocol", set_protocol},
    {"socket", set<&ListenerConfig::socket, parse_socket_path>},
    {"owner", set<&ListenerConfig::owner, parse_user>},
    {"group", set<&ListenerConfig::group, parse_group>},
    {"mode", set<&ListenerConfig::mode, parse_mode>},
    {"join_realm", set<&ListenerConfig::joins_realm, parse_boolean>},
    {"deadline", set_deadline, "TIME", "every connection is answered or ended within it (default 8s)"},
    {"field_bytes_max", set_number<&ListenerConfig::field_bytes_max, 1, 16'384>, "N",
     "of one field of a request (default 1024)"},
    {"when_unavailable", set_when_unavailable, "WORD",
     "an outage is told by an empty_reply (default) or say_no"},
}};

constexpr std::array<ConfigKey<PoolConfig>, 5> of_pool{{
    {"workers", set_number<&PoolConfig::workers, 1, workers_possible_max>},
    {"workers_max", set_number<&PoolConfig::workers_max, 1, workers_possible_max>, "N",
     "workers on demand (default 64, or twice the processors where logins are computed)"},
    {"worker_requests_max", set_number<&PoolConfig::worker_requests_max, 0, 1U << 30U>, "N",
     "a worker is replaced after so many requests; 0: never (default 10000)"},
    {"worker_idle", set<&PoolConfig::worker_idle, parse_duration>, "TIME",
     "a worker on demand goes when it had nothing to do for so long (default 60s)"},
    {"queue_max", set_number<&PoolConfig::queue_max, 1, 65'536>, "N",
     "requests that wait for a worker (default 1024)"},
}};

constexpr std::array<ConfigKey<RouteConfig>, 1> of_route{{
    {"failure_delay", set<&RouteConfig::failure_delay, parse_duration>, "TIME",
     "from a request to its refusal (default 1s)"},
}};

constexpr std::array kinds{
    SectionKind{"daemon", false, true},
    SectionKind{"listener", true, false},
    SectionKind{"backend", true, false},
    SectionKind{"route", true, true},
};

template <typename Target>
std::vector<std::string> with_names(std::vector<std::string> names, std::span<const ConfigKey<Target>> keys)
{
    for (const ConfigKey<Target>& key : keys)
        names.emplace_back(key.name);
    return names;
}

} // namespace

std::span<const ConfigKey<Config>> daemon_keys() noexcept
{
    return of_daemon;
}

std::span<const ConfigKey<ListenerConfig>> listener_keys() noexcept
{
    return of_listener;
}

std::span<const ConfigKey<PoolConfig>> pool_keys() noexcept
{
    return of_pool;
}

std::span<const ConfigKey<RouteConfig>> route_keys() noexcept
{
    return of_route;
}

std::span<const SectionKind> section_kinds() noexcept
{
    return kinds;
}

std::vector<std::string> keys_of_section(std::string_view kind)
{
    if (kind == "daemon")
        return with_names({}, daemon_keys());
    if (kind == "listener")
        return with_names({"route"}, listener_keys());
    if (kind == "backend")
        return with_names({"type"}, pool_keys());
    return with_names({"default", "next_on BACKEND", "REALM"}, route_keys());
}

std::vector<std::string> every_key()
{
    std::vector<std::string> keys;
    for (const SectionKind& kind : kinds)
        std::ranges::move(keys_of_section(kind.name), std::back_inserter(keys));
    for (const BackendType& type : backend_types())
        for (const BackendOption& option : type.options)
            keys.emplace_back(option.key);
    return keys;
}

std::string place_of_key(std::string_view key)
{
    for (const SectionKind& kind : kinds)
        if (std::ranges::count(keys_of_section(kind.name), key) != 0)
            return '[' + std::string{kind.name} + (kind.may_be_nameless ? "]" : " NAME]");
    for (const BackendType& type : backend_types())
        if (find_option(type, key) != nullptr)
            return "a [backend NAME] of type " + std::string{type.name};
    return {};
}

} // namespace postern
