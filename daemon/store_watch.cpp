// SPDX-License-Identifier: BSD-2-Clause
//
// A store is found by a path, and each step of it can be made to lead elsewhere: a directory is moved away
// and another one stands in its place, a link points to the next version. So the directory of each step is
// watched, for the name that the step takes in it, with those of the links that are followed. The file at
// the end is watched by itself too: it may have other names, in a directory or by a mount.
#include "daemon/store_watch.hpp"

#include <sys/inotify.h>

#include <cerrno>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace postern {

namespace {

namespace fs = std::filesystem;

constexpr int links_max = 40; // the kernel follows no more

/// For paths that are changed while they are looked at.
constexpr int attempts_max = 5;

constexpr std::uint32_t replacements = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr std::uint32_t changes = replacements | IN_ATTRIB | IN_CLOSE_WRITE | IN_MODIFY;
constexpr std::uint32_t of_the_directory = IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD;

/// What is done to one name in a directory matters; without a name, to any.
struct Step {
    fs::path directory;
    std::string name;
    bool leads_on = false;

    bool operator==(const Step&) const = default;
};

std::string errno_text()
{
    return std::generic_category().message(errno);
}

void put_in_front(std::deque<std::string>& names, const fs::path& path)
{
    const fs::path relative = path.relative_path();
    auto place = names.begin();
    for (const fs::path& name : relative)
        if (!name.empty() && name != ".")
            place = std::next(names.insert(place, name.string()));
}

/// The steps to an absolute path, as far as it exists. One with a slash at the end is a directory.
std::vector<Step> steps_to(const fs::path& store)
{
    std::vector<Step> steps;
    std::deque<std::string> names;
    put_in_front(names, store);
    fs::path here = store.root_path();
    int links = 0;
    while (!names.empty()) {
        const std::string name = std::move(names.front());
        names.pop_front();
        if (name == "..") {
            here = here.parent_path();
            continue;
        }
        std::error_code error;
        const bool is_link = fs::is_symlink(here / name, error) && ++links <= links_max;
        const fs::path target = is_link ? fs::read_symlink(here / name, error) : fs::path{};
        steps.push_back({here, name, is_link || !names.empty() || !store.has_filename()});
        if (is_link)
            put_in_front(names, target);
        here = !is_link ? here / name : target.is_absolute() ? target.root_path() : here;
    }
    if (!store.has_filename())
        steps.push_back({here, "", false});
    return steps;
}

/// Why it cannot be; empty: it is watched.
std::string watch(const Step& step, std::uint32_t backend, StoreWatch& watch)
{
    const std::uint32_t mask = (step.leads_on ? replacements : changes) | of_the_directory;
    const int descriptor = ::inotify_add_watch(watch.events.get(), step.directory.c_str(), mask);
    if (descriptor < 0)
        return step.directory.string() + " cannot be watched: " + errno_text();
    watch.stores.push_back({backend, descriptor, step.name, step.leads_on});
    return {};
}

/// It need not be there yet, and whoever replaces it is seen anyway.
void watch_itself(const std::string& store, std::uint32_t backend, StoreWatch& watch)
{
    constexpr std::uint32_t mask = IN_ATTRIB | IN_CLOSE_WRITE | IN_MODIFY | IN_MASK_ADD;
    const int descriptor = ::inotify_add_watch(watch.events.get(), store.c_str(), mask);
    if (descriptor >= 0)
        watch.stores.push_back({.backend = backend, .watch = descriptor, .is_itself = true});
}

std::string watch(const std::vector<Step>& steps, std::uint32_t backend, StoreWatch& all)
{
    for (const Step& step : steps)
        if (std::string problem = watch(step, backend, all); !problem.empty())
            return problem;
    return {};
}

struct Attempt {
    StoreWatch watch;
    bool is_overtaken = false; ///< a path was changed before its watches saw it
};

/// The same of one store. A link may have been replaced after it was read, and before its directory was
/// watched: then another path was watched than the one that counts.
std::string watch(const std::string& store, std::uint32_t backend, Attempt& attempt)
{
    const std::vector<Step> steps = steps_to(store);
    std::string problem = watch(steps, backend, attempt.watch);
    if (!store.ends_with('/'))
        watch_itself(store, backend, attempt.watch);
    if (steps_to(store) == steps)
        return problem;
    attempt.is_overtaken = true;
    return store + " cannot be watched: the path to it changes all the time";
}

/// The same of all its stores.
std::string watch(const BackendConfig& config, std::uint32_t backend, Attempt& attempt)
{
    UniqueFd& events = attempt.watch.events;
    for (const std::string& store : stores_of(config)) {
        if (!events.is_open())
            events = UniqueFd{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
        if (!events.is_open())
            return "inotify: " + errno_text();
        if (std::string problem = watch(store, backend, attempt); !problem.empty())
            return problem;
    }
    return {};
}

Attempt try_to_watch(std::span<const BackendConfig> backends)
{
    Attempt attempt;
    auto& [events, stores, problems] = attempt.watch;
    for (const BackendConfig& backend : backends) {
        const auto index = static_cast<std::uint32_t>(problems.size());
        problems.push_back(backend.keeps_logins() ? watch(backend, index, attempt) : "");
        if (!problems.back().empty()) // then what was watched of it is of no use
            std::erase_if(stores, [index](const WatchedStore& store) { return store.backend == index; });
    }
    return attempt;
}

} // namespace

std::vector<std::string> stores_of(const BackendConfig& backend)
{
    std::vector<std::string> stores;
    for (const std::string_view store : backend.type->stores) {
        const auto option = backend.options.find(store);
        stores.emplace_back(option == backend.options.end() ? store : std::string_view{option->second});
    }
    return stores;
}

/// Each attempt begins from nothing: what was replaced during the last one would be an event.
StoreWatch watch_stores(std::span<const BackendConfig> backends)
{
    Attempt attempt = try_to_watch(backends);
    for (int attempts = 1; attempt.is_overtaken && attempts < attempts_max; ++attempts)
        attempt = try_to_watch(backends);
    return std::move(attempt.watch);
}

} // namespace postern
