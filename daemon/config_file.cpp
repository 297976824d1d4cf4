// SPDX-License-Identifier: BSD-2-Clause
//
// The meaning of postern.conf. What a problem leaves undone gets a value that does no harm, and at the end
// either nothing was noted or the Config is thrown away.
//
// The order is that of the references: routes name backends, and listeners name routes.
#include "daemon/config_file.hpp"

#include "base/spelling.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/config_reader.hpp"
#include "daemon/config_values.hpp"
#include "daemon/file_text.hpp"
#include "daemon/listener_section.hpp"
#include "daemon/route_section.hpp"
#include "daemon/section_problems.hpp"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace postern {

namespace {

/// A front is told of the routes in one set-up.
constexpr std::size_t routes_bytes_max = 512 * 1024;

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
    void read_cache(const Section& section);
    void read_backend(const Section& section);
    void read_options(const Section& section, const BackendType& type, BackendConfig& backend);
    void check_options(const Section& section, const BackendType& type, const BackendOptions& options);
    void read_option(const Section& section, const Entry& entry, const BackendOption& option,
                     BackendConfig& backend);
    void check_whole();
    void check_mode(const FileText& text);

    std::string path_;
    Config config_;
    std::vector<const Section*> daemons_, caches_, listeners_, backends_, routes_;
    std::size_t secret_line_ = 0; ///< of the first secret; 0: there is none
    SectionProblems problems_;
};

Config ConfigFile::read() &&
try {
    const FileText text{path_};
    ConfigText parsed = read_config_text(text.view());
    problems_ = SectionProblems{std::move(parsed.problems)};
    sort_sections(parsed);
    for (const Section* section : daemons_)
        read_daemon(*section);
    for (const Section* section : caches_)
        read_cache(*section);
    for (const Section* section : backends_)
        read_backend(*section);
    for (const Section* section : routes_)
        config_.routes.push_back(RouteSectionReader{config_.backends, problems_}.read(*section));
    ListenerSectionReader listeners{config_, problems_};
    for (const Section* section : listeners_)
        config_.listeners.push_back(listeners.read(*section));
    check_whole();
    check_mode(text);
    if (!problems_.empty())
        throw ConfigFileError{joined_lines(problem_lines(path_, problems_.take()))};
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
                     : section.kind == "cache"    ? caches_
                     : section.kind == "listener" ? listeners_
                     : section.kind == "backend"  ? backends_
                                                  : routes_;
        list.push_back(&section);
    }
    const auto bound = [this](std::vector<const Section*>& list, std::size_t max, const char* what) {
        if (list.size() <= max)
            return;
        problems_.note(*list[max], "", "at most " + std::to_string(max) + ' ' + what + " were expected");
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
        problems_.note(
            section, "",
            "there is no such section; [daemon], [cache], [listener NAME], [backend NAME], [route] or "
            "[route NAME] was expected" +
                did_you_mean(section.kind,
                             std::vector<std::string>{"daemon", "cache", "listener", "backend", "route"}));
    else if (section.name.empty() && !kind->may_be_nameless)
        problems_.note(section, "", "a name was expected: [" + section.kind + " NAME]");
    else if (!section.name.empty() && !kind->may_have_name)
        problems_.note(section, "",
                       "there is one of these, and no name was expected: [" + section.kind + ']');
    else if (section.kind == "route" && section.name == name_of_default_route)
        problems_.note(section, "",
                       "the route that listeners have unless they name another is written [route]");
    else
        return true;
    return false;
}

void ConfigFile::read_daemon(const Section& section)
{
    for (const Entry& entry : section.entries)
        if (!problems_.set(daemon_keys(), config_, section, entry))
            problems_.note_unknown_key(section, entry, keys_of_section("daemon"));
}

/// That it is there switches the cache on.
void ConfigFile::read_cache(const Section& section)
{
    config_.cache.is_on = true;
    for (const Entry& entry : section.entries)
        if (!problems_.set(cache_keys(), config_.cache, section, entry))
            problems_.note_unknown_key(section, entry, keys_of_section("cache"));
}

/// A backend of a type that is wrong exists all the same: who refers to it makes no mistake.
void ConfigFile::read_backend(const Section& section)
{
    BackendConfig& backend = config_.backends.emplace_back();
    backend.name = section.name;
    const Entry* const entry = section.find("type");
    if (entry == nullptr)
        return problems_.note(section, "type",
                              "is required: what kind of place it is where these passwords live");
    problems_.note_errors(section, *entry,
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
        else if (entry.key != "type" && !problems_.set(backend_keys(), backend, section, entry) &&
                 !problems_.set(pool_keys(), backend.pool, section, entry))
            problems_.note_unknown_key(section, entry, known);
    }
    if (backend.is_cached.value_or(false) && !config_.cache.is_on)
        problems_.note(section, *section.find("cache"), "has no effect without a section [cache]");
    backend.pool.workers_max = std::max(backend.pool.workers, backend.pool.workers_max);
    check_options(section, type, backend.options);
}

void ConfigFile::check_options(const Section& section, const BackendType& type, const BackendOptions& options)
try {
    const std::string doubt = check_options_together(type, options);
    if (!doubt.empty())
        config_.notes.push_back("[backend " + shown(section.name) + "] " + doubt);
} catch (const ConfigError& error) {
    problems_.note(section, "", error.what());
}

void ConfigFile::read_option(const Section& section, const Entry& entry, const BackendOption& option,
                             BackendConfig& backend)
{
    if (entry.key == option.alias && section.find(option.key) != nullptr)
        return problems_.note(section, entry,
                              "is another name of " + std::string{option.key} + "; one of them was expected");
    std::string& place = backend.options[std::string{option.key}];
    if (option.kind != OptionKind::secret)
        return problems_.note_errors(section, entry, [&](const std::string& value) {
            check_option(option, value);
            place = value;
        });
    place = entry.value;
    if (!entry.value.empty() && secret_line_ == 0)
        secret_line_ = entry.line;
}

void ConfigFile::check_whole()
{
    if (listeners_.empty())
        problems_.note("there is no listener; at least one [listener NAME] was expected");
    if (backends_.empty())
        problems_.note("there is no backend; at least one [backend NAME] was expected");
    std::size_t bytes = 0;
    for (const RouteConfig& route : config_.routes)
        bytes += told_bytes(route);
    if (bytes > routes_bytes_max)
        problems_.note(
            "the routes are larger than a front can be told; fewer realms and shorter lists of backends were "
            "expected");
}

void ConfigFile::check_mode(const FileText& text)
{
    if (text.owner() != 0 && text.owner() != ::geteuid())
        problems_.note("it belongs to account " + std::to_string(text.owner()) +
                       "; a file of root or of who starts the daemon was expected: chown root " + path_);
    if (text.others_may_write())
        problems_.note(
            "others than its owner may write it; a file that its owner alone may write was expected: "
            "chmod go-w " +
            path_);
    if (text.everybody_may_read() && secret_line_ != 0)
        problems_.note("everybody may read it, and line " + std::to_string(secret_line_) +
                       " holds a password; a file that others may not read was expected: chmod o-r " + path_);
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
