// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// One key of a section of postern.conf whose value says all there is to know. `Target` is what it is a
/// part of.
template <typename Target>
struct ConfigKey {
    std::string_view name; ///< "worker_idle"; as a flag it is written --worker-idle
    void (*set)(Target& target, const std::string& value); ///< throws ConfigError
    std::string_view value_name{};                         ///< for the help of the flag: "TIME"
    std::string_view help{}; ///< empty: there is no such flag, since saslauthd has a letter for it

    [[nodiscard]] bool is_flag() const noexcept { return !help.empty(); }
};

/// The tables: keys and flags are both made from them. What refers to other sections is not in them.
[[nodiscard]] std::span<const ConfigKey<Config>> daemon_keys() noexcept;
[[nodiscard]] std::span<const ConfigKey<ListenerConfig>> listener_keys() noexcept;
[[nodiscard]] std::span<const ConfigKey<BackendConfig>> backend_keys() noexcept;
[[nodiscard]] std::span<const ConfigKey<PoolConfig>> pool_keys() noexcept;
[[nodiscard]] std::span<const ConfigKey<CacheConfig>> cache_keys() noexcept;
[[nodiscard]] std::span<const ConfigKey<RouteConfig>> route_keys() noexcept;

/// Whether a key of a listener makes no sense for other protocols.
[[nodiscard]] bool is_for_dovecot_alone(std::string_view key) noexcept;

template <typename Target>
[[nodiscard]] const ConfigKey<Target>* find_key(std::span<const ConfigKey<Target>> keys,
                                                std::string_view name) noexcept
{
    for (const ConfigKey<Target>& key : keys)
        if (key.name == name)
            return &key;
    return nullptr;
}

/// How a kind of section is written.
struct SectionKind {
    std::string_view name;
    bool may_have_name = false;
    bool may_be_nameless = false;
};

[[nodiscard]] std::span<const SectionKind> section_kinds() noexcept;

/// Every key that may stand in a section of that kind, without the options of backend types. Keys that
/// the admin makes up end in a word in capitals: "next_on BACKEND", "REALM".
[[nodiscard]] std::vector<std::string> keys_of_section(std::string_view kind);

/// Every key of every section and backend type.
[[nodiscard]] std::vector<std::string> every_key();

/// Where a key belongs: "[listener NAME]", or "a [backend NAME] of type sasldb". Empty: nowhere.
[[nodiscard]] std::string place_of_key(std::string_view key);

} // namespace postern
