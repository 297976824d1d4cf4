// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"
#include "daemon/section_problems.hpp"
#include "protocol/sasl_mechanism.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// Reads [listener NAME] sections, which name a route and so backends.
///
/// Looks at what is in the place of a socket, and up the group `sasl`.
class ListenerSectionReader {
public:
    /// All of the configuration but its listeners is there. Both are lent.
    ListenerSectionReader(const Config& config, SectionProblems& problems)
        : config_{config}, problems_{problems}
    {
    }

    [[nodiscard]] ListenerConfig read(const ConfigSection& section);

private:
    void read_key(const ConfigSection& section, const ConfigEntry& entry, ListenerConfig& listener) const;
    void complete_dovecot(const ConfigSection& section, ListenerConfig& listener) const;
    [[nodiscard]] bool is_announced(const sasl::MechanismFacts& mechanism,
                                    const ListenerConfig& listener) const;
    [[nodiscard]] bool serves_somebody(const ListenerConfig& listener, std::string_view mechanism) const;
    [[nodiscard]] bool serves_everybody(const ListenerConfig& listener, std::string_view mechanism) const;
    [[nodiscard]] bool can_serve(const ChainLink& link, std::string_view mechanism) const;
    [[nodiscard]] std::vector<Chain> chains_of(const ListenerConfig& listener) const;
    [[nodiscard]] std::size_t find_route(const ConfigSection& section, const ConfigEntry* entry) const;
    void take_socket(const ConfigSection& section, const ConfigEntry& entry, const std::string& socket);

    const Config& config_;
    SectionProblems& problems_;
    std::map<std::string, std::size_t> sockets_; ///< and the lines that name them
};

} // namespace postern
