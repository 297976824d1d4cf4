// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "daemon/config.hpp"
#include "daemon/store_changes.hpp"

#include <span>
#include <string>
#include <vector>

namespace postern {

/// What a front needs to see that a local store has changed.
struct StoreWatch {
    UniqueFd events; ///< of inotify(7); closed: there is nothing to watch, or nothing could be
    std::vector<WatchedStore> stores;
    std::vector<std::string> problems; ///< for each backend; empty: there is none
};

/// Watches the stores of those backends whose logins are kept: files, what stands in their place, and the
/// paths to them. Runs in the supervisor, which may look everywhere. A store that cannot be watched is a
/// problem and not an error: its backend's logins cannot be kept.
[[nodiscard]] StoreWatch watch_stores(std::span<const BackendConfig> backends);

/// The stores of a backend: absolute paths of files and, with a slash at the end, of directories.
[[nodiscard]] std::vector<std::string> stores_of(const BackendConfig& backend);

} // namespace postern
