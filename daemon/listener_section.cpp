// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listener_section.hpp"

#include "base/spelling.hpp"
#include "daemon/config_values.hpp"
#include "daemon/route_section.hpp"
#include "daemon/socket_path.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

namespace postern {

namespace {

/// What the daemon keeps in its run directory.
struct RunDirectoryFile {
    const char* name;
    const char* what;
};

constexpr std::array run_directory_files{
    RunDirectoryFile{"control", "control socket"},
    RunDirectoryFile{"posternd.pid", "pid file"},
    RunDirectoryFile{"posternd.pid.lock", "lock file"},
};

std::string types_that_serve(std::string_view mechanism)
{
    std::vector<std::string_view> names;
    for (const BackendType& type : backend_types())
        if (std::ranges::count(type.mechanisms, mechanism) != 0)
            names.push_back(type.name);
    return alternatives(names);
}

} // namespace

ListenerConfig ListenerSectionReader::read(const ConfigSection& section)
{
    ListenerConfig listener;
    listener.name = section.name;
    listener.mode = 0660;
    if (const group* const sasl = ::geteuid() == 0 ? ::getgrnam("sasl") : nullptr)
        listener.group = sasl->gr_gid;                             // who is not root may not give files away
    if (const ConfigEntry* const entry = section.find("protocol")) // what others mean depends on it
        problems_.set(listener_keys(), listener, section, *entry);
    for (const ConfigEntry& entry : section.entries)
        if (entry.key != "route" && entry.key != "protocol")
            read_key(section, entry, listener);
    listener.route = find_route(section, section.find("route"));
    if (listener.protocol == ListenerProtocol::dovecot)
        complete_dovecot(section, listener);
    if (const ConfigEntry* const entry = section.find("socket"))
        take_socket(section, *entry, listener.socket);
    else
        problems_.note(section, "socket", "is required: the absolute path of its socket");
    return listener;
}

void ListenerSectionReader::read_key(const ConfigSection& section, const ConfigEntry& entry,
                                     ListenerConfig& listener) const
{
    if (is_for_dovecot_alone(entry.key) && listener.protocol != ListenerProtocol::dovecot)
        problems_.note(section, entry,
                       "makes no sense for protocol = saslauthd; protocol = dovecot was expected");
    else if (!problems_.set(listener_keys(), listener, section, entry))
        problems_.note_unknown_key(section, entry, keys_of_section("listener"));
}

void ListenerSectionReader::complete_dovecot(const ConfigSection& section, ListenerConfig& listener) const
{
    listener.names.splits_realm = true;
    std::vector<std::string>& mechanisms = listener.dovecot.mechanisms;
    const ConfigEntry* const entry = section.find("mechanisms");
    if (entry == nullptr) {
        for (const sasl::MechanismFacts& mechanism : sasl::mechanism_table)
            if (is_announced(mechanism, listener))
                mechanisms.emplace_back(mechanism.name);
    }
    for (const std::string& mechanism : mechanisms)
        if (!sasl::find_mechanism(mechanism)->shows_password && !serves_somebody(listener, mechanism))
            problems_.note(
                section, *entry,
                mechanism + ": no list of backends in this listener's route begins with one that can serve " +
                    "it; one of type " + types_that_serve(mechanism) + " was expected in front");
}

/// By a listener that names none.
bool ListenerSectionReader::is_announced(const sasl::MechanismFacts& mechanism,
                                         const ListenerConfig& listener) const
{
    switch (mechanism.announced) {
    case sasl::Announced::always: return true;
    case sasl::Announced::where_all_serve_it: return serves_everybody(listener, mechanism.name);
    case sasl::Announced::when_named: break;
    }
    return false;
}

/// Behind a backend that cannot serve it nobody is asked for a proof (Authenticator).
bool ListenerSectionReader::serves_somebody(const ListenerConfig& listener, std::string_view mechanism) const
{
    const std::vector<Chain> chains = chains_of(listener);
    return chains.empty() || std::ranges::any_of(chains, [&](const Chain& chain) {
               return can_serve(chain.front(), mechanism);
           });
}

bool ListenerSectionReader::serves_everybody(const ListenerConfig& listener, std::string_view mechanism) const
{
    return std::ranges::all_of(chains_of(listener), [&](const Chain& chain) {
        return std::ranges::all_of(chain, [&](const ChainLink& link) { return can_serve(link, mechanism); });
    });
}

/// One of a type that is wrong can: that is noted already.
bool ListenerSectionReader::can_serve(const ChainLink& link, std::string_view mechanism) const
{
    const BackendType* const type = config_.backends[link.backend].type;
    return type == nullptr || std::ranges::count(type->mechanisms, mechanism) != 0;
}

/// None where there is no route, or nothing in it: that is noted already.
std::vector<Chain> ListenerSectionReader::chains_of(const ListenerConfig& listener) const
{
    std::vector<Chain> chains;
    if (listener.route >= config_.routes.size())
        return chains;
    const RouteConfig& route = config_.routes[listener.route];
    chains.push_back(route.chain);
    for (const auto& [realm, chain] : route.realms)
        chains.push_back(chain);
    std::erase_if(chains, [](const Chain& chain) { return chain.empty(); });
    return chains;
}

std::size_t ListenerSectionReader::find_route(const ConfigSection& section, const ConfigEntry* entry) const
{
    const std::string name{entry == nullptr ? name_of_default_route : trimmed(entry->value)};
    if (entry != nullptr && name.empty()) {
        problems_.note(section, *entry, "an empty value; the NAME of a [route NAME] was expected");
        return 0;
    }
    const auto found = std::ranges::find(config_.routes, name, &RouteConfig::name);
    if (found != config_.routes.end())
        return static_cast<std::size_t>(found - config_.routes.begin());
    if (entry == nullptr)
        problems_.note(section, "route", "is required where there is no [route]: the NAME of a [route NAME]");
    else
        problems_.note(section, *entry,
                       "there is no [route " + shown(name) + "]; the name of one was expected" +
                           did_you_mean(name, names_of(config_.routes)));
    return 0;
}

void ListenerSectionReader::take_socket(const ConfigSection& section, const ConfigEntry& entry,
                                        const std::string& socket)
{
    if (socket.empty())
        return; // it was refused
    const std::filesystem::path path = canonical_socket(socket);
    const auto [first, is_new] = sockets_.emplace(path, entry.line);
    if (!is_new)
        problems_.note(section, entry,
                       "is the socket of line " + std::to_string(first->second) +
                           " too; one of its own was expected for each listener");
    for (const auto& [name, what] : run_directory_files)
        if (path == canonical_socket(config_.run_directory + '/' + name))
            return problems_.note(section, entry,
                                  std::string{"is the "} + what +
                                      " of the run directory; another path was expected");
    struct stat status {};

    if (::lstat(socket.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))
        problems_.note(section, entry,
                       "something that is no socket stands at " + socket +
                           "; a socket that is left, or nothing, was expected");
}

} // namespace postern
