// SPDX-License-Identifier: BSD-2-Clause
#include "backends/mapped_libraries.hpp"

#include <link.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string_view>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto time_between_looks_at_all = 1s;

/// Descriptors lead to what was opened once, which is what plug-ins are loaded from: nothing to compare with.
bool is_on_disk(std::string_view path)
{
    return path.starts_with('/') && !path.starts_with("/proc/");
}

} // namespace

std::optional<FileIdentity> FileIdentity::of(const std::string& path) noexcept
{
    struct stat status {};

    if (::stat(path.c_str(), &status) < 0)
        return std::nullopt;
    FileIdentity identity;
    identity.device_ = status.st_dev;
    identity.inode_ = status.st_ino;
    identity.seconds_ = status.st_mtim.tv_sec;
    identity.nanoseconds_ = status.st_mtim.tv_nsec;
    return identity;
}

MappedLibraries::MappedLibraries(const Clock& clock, std::vector<std::string> other_paths)
    : clock_{clock}, other_paths_{std::move(other_paths)}
{
    note();
}

void MappedLibraries::note()
{
    const Generation now = current_generation();
    if (now == generation_)
        return;
    generation_ = now;
    std::vector<std::string> paths = mapped_paths();
    paths.insert(paths.end(), other_paths_.begin(), other_paths_.end());
    Files files;
    for (const std::string& path : paths) {
        const auto known = files_.find(path);
        files.emplace(path, known == files_.end() ? FileIdentity::of(path) : known->second);
    }
    files_ = std::move(files);
    note_directories();
    next_look_at_all_ = clock_.now();
}

/// A file that is changed after its directory was looked at makes it look otherwise the next time.
bool MappedLibraries::have_changed()
{
    const TimePoint now = clock_.now();
    if (now < next_look_at_all_ && are_as_seen(directories_))
        return false;
    for (auto& [path, identity] : directories_)
        identity = FileIdentity::of(path);
    const bool is_as_seen = are_as_seen(files_);
    next_look_at_all_ = is_as_seen ? now + time_between_looks_at_all : now; // what has changed stays changed
    return !is_as_seen;
}

bool MappedLibraries::are_as_seen(const Files& files) noexcept
{
    return std::ranges::all_of(files,
                               [](const auto& file) { return FileIdentity::of(file.first) == file.second; });
}

/// Of each path, and of what it leads to if it is a link. Other paths may be directories themselves.
void MappedLibraries::note_directories()
{
    namespace fs = std::filesystem;
    directories_.clear();
    for (const std::string& path : other_paths_)
        directories_.try_emplace(path);
    for (const auto& [path, identity] : files_) {
        std::error_code no_matter;
        for (const fs::path& directory : {fs::canonical(fs::path{path}.parent_path(), no_matter),
                                          fs::canonical(path, no_matter).parent_path()})
            if (!directory.empty())
                directories_.try_emplace(directory);
    }
}

std::vector<std::string> MappedLibraries::mapped_paths()
{
    std::vector<std::string> paths;
    ::dl_iterate_phdr(
        [](dl_phdr_info* library, std::size_t, void* found) {
            if (is_on_disk(library->dlpi_name))
                static_cast<std::vector<std::string>*>(found)->emplace_back(library->dlpi_name);
            return 0;
        },
        &paths);
    return paths;
}

/// The first library knows it as well as any.
MappedLibraries::Generation MappedLibraries::current_generation()
{
    Generation generation;
    ::dl_iterate_phdr(
        [](dl_phdr_info* library, std::size_t, void* found) {
            *static_cast<Generation*>(found) = {library->dlpi_adds, library->dlpi_subs};
            return 1;
        },
        &generation);
    return generation;
}

} // namespace postern
