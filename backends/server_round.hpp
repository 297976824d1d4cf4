// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/server_problems.hpp"
#include "backends/servers.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <type_traits>

namespace postern {

/// One question to the servers of a backend: they are asked in their order, without those that the front says
/// to leave alone, until one has an answer.
///
/// Each gets its share of the time, so that the next can still be asked. A server that could not be asked is
/// told of at once, unless it had too little time to be blamed.
class ServerRound {
public:
    /// Who had less has not failed: our time was short, and not the server slow.
    static constexpr std::chrono::milliseconds fair_time{250};

    /// `names` are the servers as the admin wrote them.
    ServerRound(Servers& servers, std::span<const std::string> names);

    /// `ask(server, time)` gives the answer, or throws Unasked when the next server is to be asked; whatever
    /// else it throws ends the round. Throws BackendError, which says what was wrong with each, when there is
    /// none left.
    template <typename Ask>
    std::invoke_result_t<Ask, std::size_t, std::chrono::milliseconds> ask_in_turn(Ask ask)
    {
        while (const auto server = next()) {
            const auto time = share();
            try {
                return ask(*server, time);
            } catch (const Unasked& problem) {
                give_up(*server, problem, time);
            }
        }
        throw_outage();
    }

    /// The server whose turn it is; nothing when none is left.
    [[nodiscard]] std::optional<std::size_t> next() const noexcept;

    /// The time that it has. Somebody has to carry the answer home before all of it is over, the bad news
    /// too.
    [[nodiscard]] std::chrono::milliseconds share() const noexcept;

    /// The server that had that time is not asked again.
    void give_up(std::size_t server, const Unasked& problem, std::chrono::milliseconds time);

private:
    [[nodiscard]] std::size_t count_left() const noexcept;
    [[noreturn]] void throw_outage() const;

    Servers& servers_;
    std::span<const std::string> names_;
    ServerSet left_alone_;
    std::string problems_;
};

} // namespace postern
