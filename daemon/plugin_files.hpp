// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace postern {

/// The plug-ins of this build, each opened when it is first needed and never again: an upgrade under a
/// running daemon does not mix two builds, and a reload after it still finds the ones that fit.
class PluginFiles {
public:
    /// Lent for as long as this lives. Throws std::system_error or BackendError when the plug-in is missing
    /// or not to be trusted.
    [[nodiscard]] int open(std::string_view type);

private:
    std::map<std::string, UniqueFd, std::less<>> files_;
};

} // namespace postern
