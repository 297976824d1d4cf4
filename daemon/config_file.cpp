// SPDX-License-Identifier: BSD-2-Clause
//
// The meaning of postern.conf. Nothing ends at the first problem: each is noted with its line, what it leaves
// undone gets a value that does no harm, and at the end either nothing was noted or the Config is thrown
// away.
//
// The order is that of the references: routes name backends, and listeners name routes.
#include "daemon/config_file.hpp"

#include "base/spelling.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/config_reader.hpp"
#include "daemon/config_values.hpp"
#include "daemon/file_text.hpp"
#include "daemon/socket_path.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <utility>

namespace postern {

namespace {

constexpr std::size_t realm_bytes_max = 255;
/// A front is told of the routes in one set-up.
constexpr std::size_t routes_bytes_max = 512 * 1024;
constexpr const char* name_of_default_route = "default";

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

/// What a route takes in the message.
std::size_t told_bytes(const RouteConfig& route)
{
    constexpr std::size_t frame_bytes = 32;
    constexpr std::size_t link_bytes = 16;
    std::size_t bytes = frame_bytes + route.name.size() + link_bytes * route.chain.size();
    for (const auto& [realm, chain] : route.realms)
        bytes += frame_bytes + realm.size() + link_bytes * chain.size();
    return bytes;
}

template <typename Named>
std::vector<std::string> names_of(const std::vector<Named>& list)
{
    std::vector<std::string> names;
    for (const Named& named : list)
        names.push_back(named.name);
    return names;
}

/// The BACKEND of `next_on BACKEND`; empty when the key is another one.
std::string next_on_backend(const std::string& key)
{
    const std::vector<std::string> words = words_of(key);
    return words.size() == 2 && words.front() == "next_on" ? words.back() : "";
}

class ConfigFile {
public:
    ConfigFile(std::string path, Config config) : path_{std::move(path)}, config_{std::move(config)} {}

    [[nodiscard]] Config read() &&;

private:
    using Section = ConfigSection;
    using Entry = ConfigEntry;

    void sort_sections(const ConfigText& text);
    [[nodiscard]] bool is_well_titled(const Section& section);
    void read_daemon(const Section& section);
    void read_backend(const Section& section);
    void read_options(const Section& section, const BackendType& type, BackendConfig& backend);
    void check_options(const Section& section, const BackendType& type, const BackendOptions& options);
    void read_option(const Section& section, const Entry& entry, const BackendOption& option,
                     BackendConfig& backend);
    void read_route(const Section& section);
    void read_realm(const Section& section, const Entry& entry, RouteConfig& route);
    [[nodiscard]] std::string misspelt_key(const Entry& entry, const std::string& place) const;
    void read_next_on(const Section& section, const Entry& entry, RouteConfig& route);
    [[nodiscard]] bool names_backends(const Entry& entry) const;
    [[nodiscard]] Chain read_chain(const Section& section, const Entry& entry);
    [[nodiscard]] std::optional<std::size_t> find_backend(const Section& section, const Entry& entry,
                                                          const std::string& name);
    void read_listener(const Section& section);
    void read_listener_key(const Section& section, const Entry& entry, ListenerConfig& listener);
    void complete_dovecot(const Section& section, ListenerConfig& listener);
    [[nodiscard]] bool serves_somebody(const ListenerConfig& listener, std::string_view mechanism) const;
    [[nodiscard]] bool serves_everybody(const ListenerConfig& listener, std::string_view mechanism) const;
    [[nodiscard]] bool can_serve(const ChainLink& link, std::string_view mechanism) const;
    [[nodiscard]] std::vector<Chain> chains_of(const ListenerConfig& listener) const;
    [[nodiscard]] std::size_t find_route(const Section& section, const Entry* entry);
    void take_socket(const Section& section, const Entry& entry, const std::string& socket);
    void check_whole();
    void check_mode(const FileText& text);

    template <typename Target>
    bool set(std::span<const ConfigKey<Target>> keys, Target& target, const Section& section,
             const Entry& entry);
    template <typename Act>
    void note_errors(const Section& section, const Entry& entry, Act act);
    void note_unknown_key(const Section& section, const Entry& entry, std::vector<std::string> known);
    void note(const Section& section, const Entry& entry, std::string text);
    void note(const Section& section, std::string key, std::string text);
    void note(std::string text);

    std::string path_;
    Config config_;
    std::vector<const Section*> daemons_, listeners_, backends_, routes_;
    std::map<std::string, std::size_t> sockets_; ///< and the lines that name them
    std::size_t secret_line_ = 0;                ///< of the first secret; 0: there is none
    std::vector<ConfigProblem> problems_;
};

Config ConfigFile::read() &&
try {
    const FileText text{path_};
    ConfigText parsed = read_config_text(text.view());
    problems_ = std::move(parsed.problems);
    sort_sections(parsed);
    for (const Section* section : daemons_)
        read_daemon(*section);
    for (const Section* section : backends_)
        read_backend(*section);
    for (const Section* section : routes_)
        read_route(*section);
    for (const Section* section : listeners_)
        read_listener(*section);
    check_whole();
    check_mode(text);
    if (!problems_.empty())
        throw ConfigFileError{joined_lines(problem_lines(path_, std::move(problems_)))};
    return std::move(config_);

} catch (const std::system_error& error) {
    throw ConfigFileError{path_ + ": " + error.code().message()};
} catch (const ConfigFileError&) {
    throw;
} catch (const ConfigError& error) {
    throw ConfigFileError{path_ + ": " + error.what()};
}

void ConfigFile::sort_sections(const ConfigText& text)
{
    for (const Section& section : text.sections) {
        if (!is_well_titled(section))
            continue;
        auto& list = section.kind == "daemon"     ? daemons_
                     : section.kind == "listener" ? listeners_
                     : section.kind == "backend"  ? backends_
                                                  : routes_;
        list.push_back(&section);
    }
    const auto bound = [this](std::vector<const Section*>& list, std::size_t max, const char* what) {
        if (list.size() <= max)
            return;
        note(*list[max], "", "at most " + std::to_string(max) + ' ' + what + " were expected");
        list.resize(max);
    };
    bound(listeners_, listeners_max, "listeners");
    bound(backends_, backends_max, "backends");
}

bool ConfigFile::is_well_titled(const Section& section)
{
    const auto kinds = section_kinds();
    const auto kind = std::ranges::find(kinds, section.kind, &SectionKind::name);
    if (kind == kinds.end())
        note(section, "",
             "there is no such section; [daemon], [listener NAME], [backend NAME], [route] or [route NAME] "
             "was expected" +
                 did_you_mean(section.kind,
                              std::vector<std::string>{"daemon", "listener", "backend", "route"}));
    else if (section.name.empty() && !kind->may_be_nameless)
        note(section, "", "a name was expected: [" + section.kind + " NAME]");
    else if (!section.name.empty() && !kind->may_have_name)
        note(section, "", "there is one of these, and no name was expected: [" + section.kind + ']');
    else if (section.kind == "route" && section.name == name_of_default_route)
        note(section, "", "the route that listeners have unless they name another is written [route]");
    else
        return true;
    return false;
}

void ConfigFile::read_daemon(const Section& section)
{
    for (const Entry& entry : section.entries)
        if (!set(daemon_keys(), config_, section, entry))
            note_unknown_key(section, entry, keys_of_section("daemon"));
}

/// A backend of a type that is wrong exists all the same: who refers to it makes no mistake.
void ConfigFile::read_backend(const Section& section)
{
    BackendConfig& backend = config_.backends.emplace_back();
    backend.name = section.name;
    const Entry* const entry = section.find("type");
    if (entry == nullptr)
        return note(section, "type", "is required: what kind of place it is where these passwords live");
    note_errors(section, *entry,
                [&](const std::string& value) { backend.type = &parse_backend_type(value); });
    if (backend.type != nullptr)
        read_options(section, *backend.type, backend);
}

void ConfigFile::read_options(const Section& section, const BackendType& type, BackendConfig& backend)
{
    backend.options = default_options(type);
    backend.pool.workers_max = default_workers_max(type);
    std::vector<std::string> known = keys_of_section("backend");
    for (const BackendOption& option : type.options)
        known.emplace_back(option.key);
    for (const Entry& entry : section.entries) {
        if (const BackendOption* const option = find_option(type, entry.key))
            read_option(section, entry, *option, backend);
        else if (entry.key != "type" && !set(pool_keys(), backend.pool, section, entry))
            note_unknown_key(section, entry, known);
    }
    backend.pool.workers_max = std::max(backend.pool.workers, backend.pool.workers_max);
    check_options(section, type, backend.options);
}

void ConfigFile::check_options(const Section& section, const BackendType& type, const BackendOptions& options)
try {
    const std::string doubt = check_options_together(type, options);
    if (!doubt.empty())
        config_.notes.push_back("[backend " + shown(section.name) + "] " + doubt);
} catch (const ConfigError& error) {
    note(section, "", error.what());
}

void ConfigFile::read_option(const Section& section, const Entry& entry, const BackendOption& option,
                             BackendConfig& backend)
{
    if (entry.key == option.alias && section.find(option.key) != nullptr)
        return note(section, entry,
                    "is another name of " + std::string{option.key} + "; one of them was expected");
    std::string& place = backend.options[std::string{option.key}];
    if (option.kind != OptionKind::secret)
        return note_errors(section, entry, [&](const std::string& value) {
            check_option(option, value);
            place = value;
        });
    place = entry.value;
    if (!entry.value.empty() && secret_line_ == 0)
        secret_line_ = entry.line;
}

void ConfigFile::read_route(const Section& section)
{
    RouteConfig& route = config_.routes.emplace_back();
    route.name = section.name.empty() ? name_of_default_route : section.name;
    for (const Entry& entry : section.entries) {
        if (entry.key == "default")
            route.chain = read_chain(section, entry);
        else if (next_on_backend(entry.key).empty() && !set(route_keys(), route, section, entry))
            read_realm(section, entry, route);
    }
    for (const Entry& entry : section.entries)
        if (!next_on_backend(entry.key).empty())
            read_next_on(section, entry, route);
    if (section.find("default") == nullptr && route.realms.empty())
        note(section, "default", "is required: the backends that are asked, in this order");
}

/// A realm may be called what a key is called, if its value is a list of backends.
void ConfigFile::read_realm(const Section& section, const Entry& entry, RouteConfig& route)
{
    const std::vector<std::string> words = words_of(entry.key);
    if (words.size() > 1 || words.front() == "next_on")
        return note(section, entry,
                    "there is no such key in a [route]; a realm or next_on BACKEND was expected" +
                        did_you_mean(words.front(), std::vector<std::string>{"next_on"}));
    if (entry.key.size() > realm_bytes_max)
        return note(section, entry, "a realm of at most 255 bytes was expected");
    const std::string place = place_of_key(entry.key);
    if (!place.empty() && !names_backends(entry))
        return note(section, entry, "belongs to " + place + ", and not here");
    if (const std::string meant = misspelt_key(entry, place); !meant.empty()) {
        route.realms.try_emplace(entry.key); // nobody is told that all realms are missing
        return note(section, entry, "is too much like a key to be a realm's name" + meant);
    }
    route.realms[entry.key] = read_chain(section, entry);
}

/// Which key a realm of that name would be taken for; empty: none. What a route knows is reserved with its
/// misspellings. Of the other keys, one of which may have a password behind it, only what names no backends
/// is meant.
std::string ConfigFile::misspelt_key(const Entry& entry, const std::string& place) const
{
    if (!place.empty() || entry.key.find('.') != std::string::npos)
        return {};
    static const std::vector<std::string> own{"default", "failure_delay", "next_on"};
    const std::string meant = did_you_mean(entry.key, own);
    return !meant.empty() || names_backends(entry) ? meant : did_you_mean(entry.key, every_key());
}

void ConfigFile::read_next_on(const Section& section, const Entry& entry, RouteConfig& route)
{
    const auto backend = find_backend(section, entry, next_on_backend(entry.key));
    if (!backend)
        return;
    VerdictSet next_on{};
    note_errors(section, entry, [&](const std::string& value) { next_on = parse_next_on(value); });
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
        note(section, entry, "a backend that this route asks was expected");
}

bool ConfigFile::names_backends(const Entry& entry) const
{
    return std::ranges::all_of(words_of(entry.value), [this](const std::string& name) {
        return std::ranges::find(config_.backends, name, &BackendConfig::name) != config_.backends.end();
    });
}

Chain ConfigFile::read_chain(const Section& section, const Entry& entry)
{
    Chain chain;
    const std::vector<std::string> names = words_of(entry.value);
    if (names.empty())
        note(section, entry, "the name of at least one backend was expected");
    for (const std::string& name : names) {
        const auto backend = find_backend(section, entry, name);
        if (!backend)
            continue;
        if (std::ranges::find(chain, *backend, &ChainLink::backend) != chain.end())
            note(section, entry, shown(name) + " is named twice; each backend was expected once");
        chain.push_back({*backend});
    }
    return chain;
}

std::optional<std::size_t> ConfigFile::find_backend(const Section& section, const Entry& entry,
                                                    const std::string& name)
{
    const auto found = std::ranges::find(config_.backends, name, &BackendConfig::name);
    if (found != config_.backends.end())
        return static_cast<std::size_t>(found - config_.backends.begin());
    note(section, entry,
         "there is no [backend " + shown(name) + "]; the name of one was expected" +
             did_you_mean(name, names_of(config_.backends)));
    return std::nullopt;
}

void ConfigFile::read_listener(const Section& section)
{
    ListenerConfig& listener = config_.listeners.emplace_back();
    listener.name = section.name;
    listener.mode = 0660;
    if (const group* const sasl = ::geteuid() == 0 ? ::getgrnam("sasl") : nullptr)
        listener.group = sasl->gr_gid;                       // who is not root may not give files away
    if (const Entry* const entry = section.find("protocol")) // what others mean depends on it
        set(listener_keys(), listener, section, *entry);
    for (const Entry& entry : section.entries)
        if (entry.key != "route" && entry.key != "protocol")
            read_listener_key(section, entry, listener);
    listener.route = find_route(section, section.find("route"));
    if (listener.protocol == ListenerProtocol::dovecot)
        complete_dovecot(section, listener);
    if (const Entry* const entry = section.find("socket"))
        take_socket(section, *entry, listener.socket);
    else
        note(section, "socket", "is required: the absolute path of its socket");
}

void ConfigFile::read_listener_key(const Section& section, const Entry& entry, ListenerConfig& listener)
{
    if (is_for_dovecot_alone(entry.key) && listener.protocol != ListenerProtocol::dovecot)
        note(section, entry, "makes no sense for protocol = saslauthd; protocol = dovecot was expected");
    else if (!set(listener_keys(), listener, section, entry))
        note_unknown_key(section, entry, keys_of_section("listener"));
}

/// Who names no mechanisms gets those for which any stored password will do, and SCRAM-SHA-256, which is what
/// passwords are stored for, where every backend can serve it: a client that is offered it tries nothing
/// else.
void ConfigFile::complete_dovecot(const Section& section, ListenerConfig& listener)
{
    listener.names.splits_realm = true;
    std::vector<std::string>& mechanisms = listener.dovecot.mechanisms;
    const Entry* const entry = section.find("mechanisms");
    if (entry == nullptr) {
        mechanisms = {"PLAIN", "LOGIN"};
        if (serves_everybody(listener, "SCRAM-SHA-256"))
            mechanisms.emplace_back("SCRAM-SHA-256");
    }
    for (const std::string& mechanism : mechanisms)
        if (mechanism != "PLAIN" && mechanism != "LOGIN" && !serves_somebody(listener, mechanism))
            note(section, *entry,
                 mechanism +
                     ": no list of backends in this listener's route begins with one that can serve " +
                     "it; one of type " + types_that_serve(mechanism) + " was expected in front");
}

/// Behind a backend that cannot serve it nobody is asked for a proof (Authenticator).
bool ConfigFile::serves_somebody(const ListenerConfig& listener, std::string_view mechanism) const
{
    const std::vector<Chain> chains = chains_of(listener);
    return chains.empty() || std::ranges::any_of(chains, [&](const Chain& chain) {
               return can_serve(chain.front(), mechanism);
           });
}

bool ConfigFile::serves_everybody(const ListenerConfig& listener, std::string_view mechanism) const
{
    return std::ranges::all_of(chains_of(listener), [&](const Chain& chain) {
        return std::ranges::all_of(chain, [&](const ChainLink& link) { return can_serve(link, mechanism); });
    });
}

/// One of a type that is wrong can: that is noted already.
bool ConfigFile::can_serve(const ChainLink& link, std::string_view mechanism) const
{
    const BackendType* const type = config_.backends[link.backend].type;
    return type == nullptr || std::ranges::count(type->mechanisms, mechanism) != 0;
}

/// None where there is no route, or nothing in it: that is noted already.
std::vector<Chain> ConfigFile::chains_of(const ListenerConfig& listener) const
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

std::size_t ConfigFile::find_route(const Section& section, const Entry* entry)
{
    const std::string name{entry == nullptr ? name_of_default_route : trimmed(entry->value)};
    if (name.empty()) {
        note(section, *entry, "an empty value; the NAME of a [route NAME] was expected");
        return 0;
    }
    const auto found = std::ranges::find(config_.routes, name, &RouteConfig::name);
    if (found != config_.routes.end())
        return static_cast<std::size_t>(found - config_.routes.begin());
    if (entry == nullptr)
        note(section, "route", "is required where there is no [route]: the NAME of a [route NAME]");
    else
        note(section, *entry,
             "there is no [route " + shown(name) + "]; the name of one was expected" +
                 did_you_mean(name, names_of(config_.routes)));
    return 0;
}

void ConfigFile::take_socket(const Section& section, const Entry& entry, const std::string& socket)
{
    if (socket.empty())
        return; // it was refused
    const std::filesystem::path path = canonical_socket(socket);
    const auto [first, is_new] = sockets_.emplace(path, entry.line);
    if (!is_new)
        note(section, entry,
             "is the socket of line " + std::to_string(first->second) +
                 " too; one of its own was expected for each listener");
    for (const auto& [name, what] : run_directory_files)
        if (path == canonical_socket(config_.run_directory + '/' + name))
            return note(section, entry,
                        std::string{"is the "} + what + " of the run directory; another path was expected");
    struct stat status {};

    if (::lstat(socket.c_str(), &status) == 0 && !S_ISSOCK(status.st_mode))
        note(section, entry,
             "something that is no socket stands at " + socket +
                 "; a socket that is left, or nothing, was expected");
}

void ConfigFile::check_whole()
{
    if (listeners_.empty())
        note("there is no listener; at least one [listener NAME] was expected");
    if (backends_.empty())
        note("there is no backend; at least one [backend NAME] was expected");
    std::size_t bytes = 0;
    for (const RouteConfig& route : config_.routes)
        bytes += told_bytes(route);
    if (bytes > routes_bytes_max)
        note(
            "the routes are larger than a front can be told; fewer realms and shorter lists of backends were "
            "expected");
}

void ConfigFile::check_mode(const FileText& text)
{
    if (text.owner() != 0 && text.owner() != ::geteuid())
        note("it belongs to account " + std::to_string(text.owner()) +
             "; a file of root or of who starts the daemon was expected: chown root " + path_);
    if (text.others_may_write())
        note("others than its owner may write it; a file that its owner alone may write was expected: "
             "chmod go-w " +
             path_);
    if (text.everybody_may_read() && secret_line_ != 0)
        note("everybody may read it, and line " + std::to_string(secret_line_) +
             " holds a password; a file that others may not read was expected: chmod o-r " + path_);
}

/// False when the key is none of `keys`.
template <typename Target>
bool ConfigFile::set(std::span<const ConfigKey<Target>> keys, Target& target, const Section& section,
                     const Entry& entry)
{
    const ConfigKey<Target>* const key = find_key(keys, entry.key);
    if (key != nullptr)
        note_errors(section, entry, [&](const std::string& value) { key->set(target, value); });
    return key != nullptr;
}

template <typename Act>
void ConfigFile::note_errors(const Section& section, const Entry& entry, Act act)
try {
    act(std::string{trimmed(entry.value)});

} catch (const ConfigError& error) {
    note(section, entry, error.what());
}

void ConfigFile::note_unknown_key(const Section& section, const Entry& entry, std::vector<std::string> known)
{
    if (shown_key(entry.key) != entry.key)
        return note(section, entry, "key = value was expected");
    if (const std::string place = place_of_key(entry.key); !place.empty())
        return note(section, entry, "belongs to " + place + ", and not here");
    note(section, entry,
         "there is no such key in a [" + section.kind + "]; another one was expected" +
             did_you_mean(entry.key, known));
}

void ConfigFile::note(const Section& section, const Entry& entry, std::string text)
{
    problems_.push_back({entry.line, section.title(), shown_key(entry.key), std::move(text)});
}

void ConfigFile::note(const Section& section, std::string key, std::string text)
{
    problems_.push_back({section.line, section.title(), std::move(key), std::move(text)});
}

void ConfigFile::note(std::string text)
{
    problems_.push_back({0, "", "", std::move(text)});
}

} // namespace

Config read_config_file(const std::string& path, Config defaults)
{
    defaults.is_drop_in = false;
    defaults.ident = "postern";
    defaults.run_directory = "/run/postern";
    return ConfigFile{path, std::move(defaults)}.read();
}

} // namespace postern
