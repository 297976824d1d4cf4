// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend_types.hpp"

#include <optional>
#include <string>
#include <string_view>

/// How servers are written: what can be said of a name without asking anybody.
namespace postern {

/// HOST or HOST/PORT, cut at the first `/`: a name, an IPv4 or IPv6 address, the latter in brackets or
/// without, and a port's number or a service's name.
struct HostAndPort {
    std::string host; ///< without brackets
    std::string port; ///< may be empty
};

/// Nothing when it is not written so.
[[nodiscard]] std::optional<HostAndPort> split_host(std::string_view text);

/// A port from 1 to 65535, or what may be a service's name.
[[nodiscard]] bool is_port(std::string_view text) noexcept;

/// Throws ConfigError when it is none.
void check_port(const std::string& text);

/// Checks the value of an option of kind `servers`. Throws ConfigError; of a name that may hold a password it
/// shows nothing.
void check_servers(const BackendOption& option, const std::string& value);

} // namespace postern
