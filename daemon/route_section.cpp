// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/route_section.hpp"

#include "base/spelling.hpp"
#include "daemon/config_values.hpp"

#include <algorithm>

namespace postern {

namespace {

constexpr std::size_t realm_bytes_max = 255;

/// The BACKEND of `next_on BACKEND`; empty when the key is another one.
std::string next_on_backend(const std::string& key)
{
    const std::vector<std::string> words = words_of(key);
    return words.size() == 2 && words.front() == "next_on" ? words.back() : "";
}

} // namespace

RouteConfig RouteSectionReader::read(const ConfigSection& section) const
{
    RouteConfig route;
    route.name = section.name.empty() ? name_of_default_route : section.name;
    for (const ConfigEntry& entry : section.entries) {
        if (entry.key == "default")
            route.chain = read_chain(section, entry);
        else if (next_on_backend(entry.key).empty() && !problems_.set(route_keys(), route, section, entry))
            read_realm(section, entry, route);
    }
    for (const ConfigEntry& entry : section.entries)
        if (!next_on_backend(entry.key).empty())
            read_next_on(section, entry, route);
    if (section.find("default") == nullptr && route.realms.empty())
        problems_.note(section, "default", "is required: the backends that are asked, in this order");
    return route;
}

/// A realm may be called what a key is called, if its value is a list of backends.
void RouteSectionReader::read_realm(const ConfigSection& section, const ConfigEntry& entry,
                                    RouteConfig& route) const
{
    const std::vector<std::string> words = words_of(entry.key);
    if (words.size() > 1 || words.front() == "next_on")
        return problems_.note(section, entry,
                              "there is no such key in a [route]; a realm or next_on BACKEND was expected" +
                                  did_you_mean(words.front(), std::vector<std::string>{"next_on"}));
    if (entry.key.size() > realm_bytes_max)
        return problems_.note(section, entry, "a realm of at most 255 bytes was expected");
    if (const auto same = route.realms.find(entry.key); same != route.realms.end())
        return problems_.note(section, entry,
                              "is " + shown(same->first) + " again: realms are the same in any case");
    const std::string place = place_of_key(entry.key);
    if (!place.empty() && !names_backends(entry))
        return problems_.note(section, entry, "belongs to " + place + ", and not here");
    if (const std::string meant = misspelt_key(entry, place); !meant.empty()) {
        route.realms.try_emplace(entry.key); // nobody is told that all realms are missing
        return problems_.note(section, entry, "is too much like a key to be a realm's name" + meant);
    }
    route.realms[entry.key] = read_chain(section, entry);
}

/// Which key a realm of that name would be taken for; empty: none. What a route knows is reserved with its
/// misspellings. Of the other keys, one of which may have a password behind it, only what names no backends
/// is meant.
std::string RouteSectionReader::misspelt_key(const ConfigEntry& entry, const std::string& place) const
{
    if (!place.empty() || entry.key.find('.') != std::string::npos)
        return {};
    static const std::vector<std::string> own{"default", "failure_delay", "next_on"};
    const std::string meant = did_you_mean(entry.key, own);
    return !meant.empty() || names_backends(entry) ? meant : did_you_mean(entry.key, every_key());
}

void RouteSectionReader::read_next_on(const ConfigSection& section, const ConfigEntry& entry,
                                      RouteConfig& route) const
{
    const auto backend = find_backend(section, entry, next_on_backend(entry.key));
    if (!backend)
        return;
    VerdictSet next_on{};
    problems_.note_errors(section, entry, [&](const std::string& value) { next_on = parse_next_on(value); });
    bool is_asked = false;
    const auto apply = [&](Chain& chain) {
        for (ChainLink& link : chain)
            if (link.backend == *backend) {
                link.next_on = next_on;
                is_asked = true;
            }
    };
    apply(route.chain);
    for (auto& [realm, chain] : route.realms)
        apply(chain);
    if (!is_asked)
        problems_.note(section, entry, "a backend that this route asks was expected");
}

bool RouteSectionReader::names_backends(const ConfigEntry& entry) const
{
    return std::ranges::all_of(words_of(entry.value), [this](const std::string& name) {
        return std::ranges::find(backends_, name, &BackendConfig::name) != backends_.end();
    });
}

Chain RouteSectionReader::read_chain(const ConfigSection& section, const ConfigEntry& entry) const
{
    Chain chain;
    const std::vector<std::string> names = words_of(entry.value);
    if (names.empty())
        problems_.note(section, entry, "the name of at least one backend was expected");
    for (const std::string& name : names) {
        const auto backend = find_backend(section, entry, name);
        if (!backend)
            continue;
        if (std::ranges::find(chain, *backend, &ChainLink::backend) != chain.end())
            problems_.note(section, entry, shown(name) + " is named twice; each backend was expected once");
        chain.push_back({*backend});
    }
    return chain;
}

std::optional<std::size_t> RouteSectionReader::find_backend(const ConfigSection& section,
                                                            const ConfigEntry& entry,
                                                            const std::string& name) const
{
    const auto found = std::ranges::find(backends_, name, &BackendConfig::name);
    if (found != backends_.end())
        return static_cast<std::size_t>(found - backends_.begin());
    problems_.note(section, entry,
                   "there is no [backend " + shown(name) + "]; the name of one was expected" +
                       did_you_mean(name, names_of(backends_)));
    return std::nullopt;
}

} // namespace postern
