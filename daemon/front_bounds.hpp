// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/setup.hpp"

#include <cstddef>
#include <cstdint>

namespace postern {

/// How many sessions a front has room for that may have `open_files_max` descriptors: as many as are
/// configured, or fewer.
[[nodiscard]] std::size_t sessions_possible(const FrontSetup& setup, std::uint64_t open_files_max) noexcept;

/// How large a slot for passwords must be: a request or a line of the Dovecot protocol fits into it, and so
/// does a question to a worker.
[[nodiscard]] std::size_t slot_bytes(const FrontSetup& setup) noexcept;

/// How many such slots all that a front may have at a time can need.
[[nodiscard]] std::size_t slots_max(const FrontSetup& setup, std::size_t sessions_max) noexcept;

} // namespace postern
