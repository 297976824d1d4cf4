// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

/// What the values of options say to a plug-in. They were checked before a worker was started
/// (OptionKind), so a value that makes no sense here is a bug, and throws BackendError.
namespace postern {

/// The value of an option of the type.
[[nodiscard]] const std::string& option_text(const BackendOptions& options, std::string_view key);

/// An option of kind `boolean`.
[[nodiscard]] bool option_is_yes(const BackendOptions& options, std::string_view key);

/// An option of kind `number`.
[[nodiscard]] std::uint32_t option_number(const BackendOptions& options, std::string_view key);

/// An option of kind `duration`.
[[nodiscard]] std::chrono::milliseconds option_duration(const BackendOptions& options, std::string_view key);

} // namespace postern
