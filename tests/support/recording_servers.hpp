// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/servers.hpp"

#include <string>
#include <utility>
#include <vector>

namespace postern {

/// What a front knows of a backend's servers, in the hands of a test: it says which to leave alone, and reads
/// who failed.
class RecordingServers final : public Servers {
public:
    [[nodiscard]] ServerSet left_alone() const noexcept override { return to_leave_alone; }

    [[nodiscard]] std::chrono::milliseconds time_left() const noexcept override { return time; }

    void failed(std::size_t server, std::string_view problem) noexcept override
    {
        failures.emplace_back(server, problem);
    }

    void doubt(std::size_t server, std::string_view problem) noexcept override
    {
        doubts.emplace_back(server, problem);
    }

    ServerSet to_leave_alone;
    std::chrono::milliseconds time{8'000};
    std::vector<std::pair<std::size_t, std::string>> failures;
    std::vector<std::pair<std::size_t, std::string>> doubts;
};

} // namespace postern
