// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

#include <span>
#include <string_view>

namespace postern {

/// One thing that `postern` can do.
struct Subcommand {
    std::string_view name;
    std::string_view summary;
    /// `arguments` are those behind the subcommand. Returns the exit status. Throws UsageError when they
    /// make no sense, any other exception when the world failed.
    int (*run)(Arguments arguments);

    /// What `postern NAME --help` does.
    int help() const;
};

/// The table: every subcommand. Help and spelling hints are made from it.
[[nodiscard]] std::span<const Subcommand> subcommands() noexcept;

/// Null when there is none of that name.
[[nodiscard]] const Subcommand* find_subcommand(std::string_view name) noexcept;

} // namespace postern
