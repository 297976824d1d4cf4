// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <filesystem>

namespace postern {

/// One name for each socket, also where its directory has two, as /run and /var/run. It need not be there.
[[nodiscard]] std::filesystem::path canonical_socket(const std::filesystem::path& socket);

} // namespace postern
