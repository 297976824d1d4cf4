// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace postern {

/// Which file it was that a path led to; nothing when it led to none.
class FileIdentity {
public:
    [[nodiscard]] static std::optional<FileIdentity> of(const std::string& path) noexcept;

    bool operator==(const FileIdentity&) const = default;

private:
    dev_t device_ = 0;
    ino_t inode_ = 0;
    std::int64_t seconds_ = 0; ///< of the last modification
    std::int64_t nanoseconds_ = 0;
};

/// The shared libraries that this process has mapped, and the files they came from: tells when one of them
/// was replaced on disk, by a package upgrade for example, so that this process works on with the old one.
///
/// Compares with what note() saw last, so note() comes soon after whatever may have loaded something. A
/// library that was replaced between its loading and note() is taken for the new one. What is no longer
/// mapped does not count. Other paths may be watched in the same way.
///
/// It is asked before each login, and there are dozens of libraries. Whoever replaces, removes or makes a
/// file changes its directory, so only the directories are looked at each time, and each file once a second.
class MappedLibraries {
public:
    explicit MappedLibraries(const Clock& clock, std::vector<std::string> other_paths = {});

    /// Sees what has been mapped since it was called last. Costs next to nothing when nothing has.
    void note();

    /// Whether any of them has been changed, replaced, removed or made since it was first seen. One that was
    /// written in its place, as no package manager does it, within a second.
    [[nodiscard]] bool have_changed();

private:
    using Files = std::map<std::string, std::optional<FileIdentity>>;

    struct Generation {
        unsigned long long loaded = 0;
        unsigned long long unloaded = 0;
        bool operator==(const Generation&) const = default;
    };

    [[nodiscard]] static std::vector<std::string> mapped_paths();
    void note_directories();
    [[nodiscard]] static bool are_as_seen(const Files& files) noexcept;
    [[nodiscard]] static Generation current_generation();

    const Clock& clock_;
    std::vector<std::string> other_paths_;
    Files files_;
    Files directories_; ///< that they are in, as they were when all files were looked at last
    TimePoint next_look_at_all_{};
    Generation generation_;
};

} // namespace postern
