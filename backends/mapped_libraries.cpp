// SPDX-License-Identifier: BSD-2-Clause
#include "backends/mapped_libraries.hpp"

#include <link.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace postern {

namespace {

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

MappedLibraries::MappedLibraries(std::vector<std::string> other_paths) : other_paths_{std::move(other_paths)}
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
}

bool MappedLibraries::have_changed() const noexcept
{
    return std::ranges::any_of(files_,
                               [](const auto& file) { return FileIdentity::of(file.first) != file.second; });
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
