// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "base/unique_fd.hpp"

#include <string>

namespace postern {

/// Opens the plug-in of a backend type without loading it. Throws std::system_error when it is not there,
/// BackendError when it belongs to somebody other than root or us, or others may write it: whoever can
/// write a plug-in reads every password.
[[nodiscard]] UniqueFd open_plugin(const std::string& path);

/// Loads what open_plugin() has opened and checks that it is of this build and of type `type`. Never
/// unloaded. Throws BackendError.
///
/// The dynamic loader knows it by the number of its descriptor: a process that loads a second plug-in keeps
/// the first one's descriptor open.
[[nodiscard]] const Plugin& load_plugin(int fd, std::string_view type);

/// The name of a type's plug-in below the plug-in directory: "backend_sasldb.so".
[[nodiscard]] std::string plugin_file_name(std::string_view type);

} // namespace postern
