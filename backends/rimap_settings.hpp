// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "backends/imap_connection.hpp"

#include <chrono>
#include <vector>

namespace postern {

/// The options of type rimap, as its code wants them.
struct RimapSettings {
    ImapSettings imap;
    std::chrono::milliseconds renewed_after;
    std::chrono::milliseconds kept_ready_for; ///< after a login
};

/// Both throw BackendError for what cannot be meant.
[[nodiscard]] RimapSettings read_rimap_settings(const BackendOptions& options);

/// At least one.
[[nodiscard]] std::vector<ImapServer> read_imap_servers(const BackendOptions& options);

} // namespace postern
