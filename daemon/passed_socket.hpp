// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <optional>
#include <stdexcept>
#include <string>

/// A listening socket that a service manager has passed on: whether it is one, and which path it serves.
namespace postern {

/// A descriptor cannot serve a path; the text says why.
class UnfitSocket : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Under which name a socket of ours is stored with the service manager: its path, written in the characters
/// that such a name may have (sd_notify(3), FDNAME=). No unit has a name that begins with a slash.
[[nodiscard]] std::string stored_name(const std::string& path);

/// The path in a name of stored_name(); none when it is no such name.
[[nodiscard]] std::optional<std::string> path_in_stored_name(const std::string& name);

/// What a socket was bound to, when that is a path. The file may have been renamed, replaced or removed
/// since.
[[nodiscard]] std::optional<std::string> bound_path(int descriptor);

/// Throws UnfitSocket unless it is a UNIX stream socket that listens, and whoever connects to `path` gets
/// there; or std::system_error. A connection that ends at once is left in its backlog.
void check_serves(int descriptor, const std::string& path);

} // namespace postern
