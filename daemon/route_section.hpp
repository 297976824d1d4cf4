// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"
#include "daemon/section_problems.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postern {

/// Of the section that has none.
inline constexpr const char* name_of_default_route = "default";

/// Reads [route] and [route NAME], which name backends and nothing else.
class RouteSectionReader {
public:
    /// All backends that there are. Both are lent.
    RouteSectionReader(std::span<const BackendConfig> backends, SectionProblems& problems)
        : backends_{backends}, problems_{problems}
    {
    }

    [[nodiscard]] RouteConfig read(const ConfigSection& section) const;

private:
    void read_realm(const ConfigSection& section, const ConfigEntry& entry, RouteConfig& route) const;
    [[nodiscard]] std::string misspelt_key(const ConfigEntry& entry, const std::string& place) const;
    void read_next_on(const ConfigSection& section, const ConfigEntry& entry, RouteConfig& route) const;
    [[nodiscard]] bool names_backends(const ConfigEntry& entry) const;
    [[nodiscard]] Chain read_chain(const ConfigSection& section, const ConfigEntry& entry) const;
    [[nodiscard]] std::optional<std::size_t>
    find_backend(const ConfigSection& section, const ConfigEntry& entry, const std::string& name) const;

    std::span<const BackendConfig> backends_;
    SectionProblems& problems_;
};

} // namespace postern
