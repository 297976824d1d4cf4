// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/drop_in.hpp"

#include "daemon/config_values.hpp"
#include "daemon/mech_option.hpp"

#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <iterator>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t number_of_saslauthd_max = 1U << 30U;
constexpr std::uint32_t kib_of_saslauthd = 963; ///< 1711 slots
constexpr std::chrono::milliseconds lifetime_of_saslauthd = 8h;

/// -n 0 is a fresh worker for each request: one waits for the next, and others start while requests wait.
PoolConfig read_pool(const GivenFlags& given)
{
    PoolConfig pool;
    given.read("-n", [&pool](const std::string& text) {
        pool.workers = parse_number(text, 0, workers_possible_max);
        if (pool.workers == 0) {
            pool.workers = 1;
            pool.worker_requests_max = 1;
        }
    });
    pool.workers_max = 0;
    given.read_keys(pool_keys(), pool);
    return pool;
}

/// What a file or -O says counts in place of the default, and a flag in place of both.
BackendConfig make_backend(const BackendType& type, const GivenFlags& given, const PoolConfig& pool,
                           const BackendOptions& said, std::vector<std::string>& notes)
{
    BackendConfig backend{std::string{type.name}, &type, default_options(type), pool};
    if (pool.workers_max == 0)
        backend.pool.workers_max = default_workers_max(type);
    backend.pool.workers_max = std::max(backend.pool.workers, backend.pool.workers_max);
    for (const BackendOption& option : type.options) {
        if (const auto own = said.find(option.key); own != said.end())
            backend.options.insert_or_assign(own->first, own->second);
        given.read(flag_name(option.key), [&](const std::string& text) {
            check_option(option, text);
            backend.options.insert_or_assign(std::string{option.key}, text);
        });
    }
    try {
        if (const std::string doubt = check_options_together(type, backend.options); !doubt.empty())
            notes.push_back(backend.name + ": " + doubt);
    } catch (const ConfigError& error) {
        throw ConfigError{"-a " + backend.name + ": " + error.what()};
    }
    return backend;
}

std::string list_of_mechanisms(const GivenFlags& given)
{
    const std::vector<std::string> lists = given.list("-a");
    if (lists.empty())
        throw ConfigError{"-a says whom to ask and is required, for example -a sasldb"};
    if (lists.size() > 1)
        throw ConfigError{"-a was given twice; several mechanisms go into one list: -a sasldb,ldap"};
    return lists.front();
}

TypeList read_types(const std::string& list)
{
    std::vector<std::string> names;
    boost::split(names, list, boost::is_any_of(","));
    TypeList types;
    for (const std::string& name : names) {
        if (name.empty())
            throw ConfigError{"-a " + list + ": an empty name; the name of a mechanism was expected"};
        const BackendType& type = parse_backend_type(name);
        if (std::ranges::find(types, &type) != types.end())
            throw ConfigError{"-a " + list + ": " + std::string{type.name} + " is named twice"};
        types.push_back(&type);
    }
    return types;
}

void read_backends(const GivenFlags& given, const PoolConfig& pool, Config& config)
{
    const TypeList types = read_types(list_of_mechanisms(given));
    SaidOptions said = read_mech_options(given, types, config.run_directory);
    std::ranges::move(said.notes, std::back_inserter(config.notes));
    for (const BackendType* const type : types) {
        config.routes.front().chain.push_back({config.backends.size()});
        config.backends.push_back(make_backend(*type, given, pool, said.options, config.notes));
    }
}

/// saslauthd says no more than OK and NO, but for some of its mechanisms. Of several backends nobody could
/// say whose words they are.
void read_reply_texts(Config& config)
{
    if (config.backends.size() != 1)
        return;
    const BackendType& type = *config.backends.front().type;
    config.listeners.front().reply_texts = {std::string{type.accepted_text}, std::string{type.refused_text}};
}

void read_listener(const GivenFlags& given, Config& config)
{
    given.with("-m", [&config](const std::string& directory) {
        if (!directory.starts_with('/'))
            throw ConfigError{"-m requires an absolute pathname"};
        config.run_directory = directory;
    });
    ListenerConfig listener;
    listener.name = "mux";
    try {
        listener.socket = config.run_directory + "/mux";
        check_socket_length(listener.socket);
    } catch (const ConfigError& error) {
        throw ConfigError{"-m " + config.run_directory + ": " + error.what()};
    }
    listener.names.joins_realm = given.has_flag("-r");
    given.read_keys(listener_keys(), listener);
    config.listeners.push_back(std::move(listener));
}

/// As with saslauthd: sizes are checked whether it is on or not, and of every mechanism logins are kept.
void read_cache(const GivenFlags& given, Config& config)
{
    config.cache.is_on = given.has_flag("-c");
    config.cache.size_kib = kib_of_saslauthd;
    config.cache.lifetime = lifetime_of_saslauthd;
    given.read("-s", [&](const std::string& text) {
        config.cache.size_kib = std::min(parse_number(text, 1, number_of_saslauthd_max), cache_kib_max);
    });
    given.read("-t", [&](const std::string& text) {
        config.cache.lifetime = std::chrono::seconds{parse_number(text, 1, number_of_saslauthd_max)};
    });
    for (BackendConfig& backend : config.backends)
        backend.is_cached = true;
}

void note_ignored_options(const GivenFlags& given, Config& config)
{
    if (given.has_flag("-T") || given.has("-H"))
        config.notes.emplace_back("-T and -H have no effect, as with saslauthd");
}

} // namespace

Config read_drop_in(const GivenFlags& given, Config config)
{
    RouteConfig& route = config.routes.emplace_back();
    route.name = "default";
    given.read_keys(daemon_keys(), config);
    given.read_keys(route_keys(), route);
    const PoolConfig pool = read_pool(given);
    read_listener(given, config);
    read_backends(given, pool, config);
    read_cache(given, config);
    read_reply_texts(config);
    note_ignored_options(given, config);
    return config;
}

} // namespace postern
