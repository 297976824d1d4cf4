// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/authenticator.hpp"
#include "protocol/dovecot_wire.hpp"
#include "tests/support/manual_loop.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/scripted_workers.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

/// What the sessions of a front work with, in the hands of a test: an event loop whose time is moved by hand,
/// and one backend, whose workers find what the test says.
struct ScriptedFront {
    ScriptedFront(std::uint32_t workers_max, std::size_t slots)
        : secrets{dovecot::line_bytes_max, slots}, pools{make_pools(workers_max)}
    {
        for (std::uint32_t ready = 0; ready < workers_max; pools[0].on_ready(workers.started.at(ready++)))
            static_cast<void>(pools[0].start_missing());
        loop.at_turn_end([this] { authenticator.tick(); });
        loop.after_each_watch([this] { authenticator.let_leave(); });
    }

    ScriptedFront(const ScriptedFront&) = delete;
    ScriptedFront& operator=(const ScriptedFront&) = delete;

    /// Serves everything that is due, and what comes of it.
    void serve() { serve_what_is_due(loop, clock); }

    void advance(Duration step)
    {
        clock.advance(step);
        serve();
    }

    [[nodiscard]] bool is_asked(const std::string& user) const
    {
        return std::ranges::count(workers.asked, user, &ScriptedWorkers::Asked::user) != 0;
    }

    /// The worker that was asked about the user says what it found.
    void answer(const std::string& user, Decision decision)
    {
        const auto asked = std::ranges::find(workers.asked, user, &ScriptedWorkers::Asked::user);
        REQUIRE(asked != workers.asked.end());
        const ScriptedWorkers::Asked question = *asked;
        workers.asked.erase(asked);
        pools[0].on_answer(question.worker, question.job, std::move(decision));
    }

    ManualClock clock;
    RecordingLog log;
    SecretArena secrets;
    EventLoop loop{clock};
    ScriptedWorkers workers;
    ServerHealth no_servers{clock, log, [](std::uint32_t) { return 0; }, "local", {}};
    std::vector<WorkerPool> pools;
    std::array<std::string_view, 2> proved{"CRAM-MD5", "SCRAM-SHA-256"};
    Authenticator authenticator{clock,
                                log,
                                [](std::uint32_t) { return 0; },
                                pools,
                                {{{"default", {ChainLink{0}}, {}, std::chrono::milliseconds{0}}},
                                 {{"local", proved}},
                                 1024,
                                 LogLevel::info}};
    unsigned char random_byte = 0; ///< nothing is the same twice
    RandomBytes random_bytes = [this](std::span<unsigned char> bytes) {
        std::ranges::fill(bytes, ++random_byte);
    };

private:
    std::vector<WorkerPool> make_pools(std::uint32_t workers_max)
    {
        std::vector<WorkerPool> made;
        made.emplace_back(clock, workers, std::size_t{0},
                          PoolConfig{.workers = workers_max, .workers_max = workers_max}, no_servers);
        return made;
    }
};

} // namespace postern
