// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_keys.hpp"

#include "daemon/config_values.hpp"

#include <algorithm>
#include <array>
#include <iterator>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// A target, a format, or both. Without a target it stays what it is; without "json" lines are text.
void set_log(Config& config, const std::string& value)
{
    static constexpr std::array<std::string_view, 3> words{"syslog", "stderr", "json"};
    std::array<bool, words.size()> named{};
    for (const std::string& word : words_of(value))
        named.at(parse_word(word, words)) = true;
    const auto [syslog, stream, json] = named;
    if ((!syslog && !stream && !json) || (syslog && stream))
        throw ConfigError{shown(value) + ": syslog or stderr, json, or one of the two and json was expected"};
    config.logs_json = json;
    if (syslog || stream)
        config.log = syslog ? LogTarget::syslog : LogTarget::stderr_only;
}

void set_run_directory(Config& config, const std::string& value)
{
    config.run_directory = parse_path(value);
    check_socket_length(value + "/control");
}

void set_protocol(ListenerConfig& listener, const std::string& value)
{
    static constexpr std::array<std::string_view, 2> words{"saslauthd", "dovecot"};
    listener.protocol =
        parse_word(value, words) == 0 ? ListenerProtocol::saslauthd : ListenerProtocol::dovecot;
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
    static constexpr std::array<std::string_view, 2> of_saslauthd{"empty_reply", "say_no"};
    static constexpr std::array<std::string_view, 2> of_dovecot{"close", "fail"};
    if (listener.protocol == ListenerProtocol::dovecot)
        listener.dovecot.when_unavailable =
            parse_word(value, of_dovecot) == 0 ? DovecotUnavailable::close : DovecotUnavailable::fail;
    else
        listener.when_unavailable = parse_word(value, of_saslauthd) == 0
                                        ? saslauthd::WhenUnavailable::empty_reply
                                        : saslauthd::WhenUnavailable::say_no;
}

void set_default_realm(ListenerConfig& listener, const std::string& value)
{
    listener.names.default_realm = parse_realm(value);
}

void set_fold_case(ListenerConfig& listener, const std::string& value)
{
    listener.names.folds_case = parse_boolean(value);
}

void set_join_realm(ListenerConfig& listener, const std::string& value)
{
    listener.names.joins_realm = parse_boolean(value);
}

void set_mechanisms(ListenerConfig& listener, const std::string& value)
{
    listener.dovecot.mechanisms = parse_mechanisms(value);
}

void set_plaintext_without_tls(ListenerConfig& listener, const std::string& value)
{
    static constexpr std::array<std::string_view, 2> words{"allow", "refuse"};
    listener.dovecot.refuses_plaintext_without_tls = parse_word(value, words) == 1;
}

void set_refusal_reason(ListenerConfig& listener, const std::string& value)
{
    listener.dovecot.refusal_reason = parse_line(value, refusal_reason_bytes_max);
}

void set_is_cached(BackendConfig& backend, const std::string& value)
{
    backend.is_cached = parse_boolean(value);
}

void set_lifetime(CacheConfig& cache, const std::string& value)
{
    cache.lifetime = parse_duration(value);
    if (cache.lifetime == 0ms)
        throw ConfigError{shown(value) + ": nothing would ever be kept; a time such as 60m was expected"};
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

constexpr std::array<ConfigKey<Config>, 6> of_daemon{{
    {"user", set<&Config::user, parse_unprivileged_user>, "NAME",
     "the unprivileged account (default postern)"},
    {"run_directory", set_run_directory},
    {"state_directory", set<&Config::state_directory, parse_path>},
    {"log", set_log, "TARGET", "syslog (default) or stderr; json, alone or behind it: an object a line"},
    {"delayed_max", set_number<&Config::delayed_max, 1, 65'536>, "N",
     "refusals that wait for their moment (default 1024)"},
    {"sessions_max", set_number<&Config::sessions_max, 1, 65'536>, "N",
     "connections at a time (default 16384)"},
}};

constexpr std::array<ConfigKey<ListenerConfig>, 14> of_listener{{
    {"protocol", set_protocol},
    {"socket", set<&ListenerConfig::socket, parse_socket_path>},
    {"owner", set<&ListenerConfig::owner, parse_user>},
    {"group", set<&ListenerConfig::group, parse_group>},
    {"mode", set<&ListenerConfig::mode, parse_mode>},
    {"join_realm", set_join_realm},
    {"default_realm", set_default_realm, "REALM", "of logins without one (default none)"},
    {"fold_case", set_fold_case, "YES|NO", "whether A to Z in a login are taken for a to z (default no)"},
    {"mechanisms", set_mechanisms},
    {"plaintext_without_tls", set_plaintext_without_tls},
    {"refusal_reason", set_refusal_reason},
    {"deadline", set_deadline, "TIME", "every connection is answered or ended within it (default 8s)"},
    {"field_bytes_max", set_number<&ListenerConfig::field_bytes_max, 1, 16'384>, "N",
     "of one field of a request (default 1024)"},
    {"when_unavailable", set_when_unavailable, "WORD",
     "an outage is told by an empty_reply (default) or say_no"},
}};

constexpr std::array<ConfigKey<BackendConfig>, 1> of_backend{{
    {"cache", set_is_cached},
}};

/// saslauthd has letters for them: -t and -s.
constexpr std::array<ConfigKey<CacheConfig>, 2> of_cache{{
    {"lifetime", set_lifetime},
    {"size_kib", set_number<&CacheConfig::size_kib, 1, cache_kib_max>},
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

/// What makes sense where the Dovecot protocol is spoken, and nowhere else.
constexpr std::array<std::string_view, 3> of_dovecot_listener{"mechanisms", "plaintext_without_tls",
                                                              "refusal_reason"};

constexpr std::array kinds{
    SectionKind{"daemon", false, true},   SectionKind{"cache", false, true},
    SectionKind{"listener", true, false}, SectionKind{"backend", true, false},
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

std::span<const ConfigKey<BackendConfig>> backend_keys() noexcept
{
    return of_backend;
}

std::span<const ConfigKey<CacheConfig>> cache_keys() noexcept
{
    return of_cache;
}

std::span<const ConfigKey<PoolConfig>> pool_keys() noexcept
{
    return of_pool;
}

std::span<const ConfigKey<RouteConfig>> route_keys() noexcept
{
    return of_route;
}

bool is_for_dovecot_alone(std::string_view key) noexcept
{
    return std::ranges::count(of_dovecot_listener, key) != 0;
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
        return with_names(with_names({"type"}, backend_keys()), pool_keys());
    if (kind == "cache")
        return with_names({}, cache_keys());
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
