// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace postern {

/// One option of a backend type. Its key is written `sasldb_path` in a file and `--sasldb-path` as a flag.
struct BackendOption {
    std::string_view key;
    std::string_view default_value;
    std::string_view value_name; ///< for help: "FILE"
    std::string_view help;
};

/// The account whose rights a worker of the type keeps when the daemon was started as root.
enum class WorkerUser : std::uint8_t {
    postern, ///< the daemon's own unprivileged account
    root,
};

/// A worker that waits for others costs nothing meanwhile; one that computes needs a processor.
enum class WorkerLoad : std::uint8_t { computes, waits };

/// The code behind a backend, as everybody but its own worker knows it.
struct BackendType {
    std::string_view name;
    std::string_view summary;
    std::span<const BackendOption> options;
    WorkerUser user = WorkerUser::postern;
    std::string_view group; ///< the worker's group; empty: that of its user
    WorkerLoad load = WorkerLoad::waits;
};

/// The table: every backend type of this build. Configuration check, help and flags are made from it.
[[nodiscard]] std::span<const BackendType> backend_types() noexcept;

/// The type of that name, in any case; null when there is none.
[[nodiscard]] const BackendType* find_backend_type(std::string_view name) noexcept;

} // namespace postern
