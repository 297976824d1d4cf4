// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/latency_histogram.hpp"
#include "protocol/verdict.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What a front tells about itself over the control socket: a snapshot, in values. The control reply is made
/// of it and the tool makes it of the reply, so both speak of the same things (protocol/README.md).
namespace postern {

/// How long things took since the front began to count, in microseconds.
struct Durations {
    std::uint64_t count = 0;
    std::uint64_t sum_us = 0;
    std::uint64_t p50_us = 0; ///< what half of them did not exceed; a sixteenth more than that at most
    std::uint64_t p90_us = 0;
    std::uint64_t p99_us = 0;
    std::uint64_t max_us = 0;
    /// How many took as long as each of StatusReport::duration_bounds_us, or less. None: nothing was counted.
    std::vector<std::uint64_t> within{};

    bool operator==(const Durations&) const = default;
};

[[nodiscard]] Durations durations_of(const LatencyHistogram& histogram);

/// What Durations::within is about: 64 µs, 128 µs, and so on to 16.8 s.
[[nodiscard]] std::vector<std::uint64_t> duration_bounds_us();

/// One for each verdict.
template <typename Value>
class OfVerdicts {
public:
    [[nodiscard]] Value& operator[](Verdict verdict) noexcept { return values_[index(verdict)]; }
    [[nodiscard]] const Value& operator[](Verdict verdict) const noexcept { return values_[index(verdict)]; }

    bool operator==(const OfVerdicts&) const = default;

private:
    static constexpr std::size_t index(Verdict verdict) noexcept
    {
        return static_cast<std::size_t>(verdict) - 1;
    }

    std::array<Value, all_verdicts.size()> values_{};
};

[[nodiscard]] OfVerdicts<Durations> durations_of(const OfVerdicts<LatencyHistogram>& histograms);

struct WorkerStatus {
    std::uint32_t pid = 0;
    std::string state; ///< starting, preparing, idle, busy, probing or condemned
    std::uint64_t answers = 0;
};

struct ServerStatus {
    std::string name;
    /// up, in doubt (about to be asked whether it is up), down, or probing (being asked whether it still is)
    std::string state;
    std::uint64_t failures = 0;      ///< since the front began to count
    std::string problem;             ///< the last one; empty: there was none
    std::int64_t down_since = 0;     ///< in seconds since 1970; 0: it is up
    std::uint64_t next_probe_ms = 0; ///< from now, while it is down
};

struct BackendStatus {
    std::string name;
    std::string type;
    std::uint32_t workers_ready = 0; ///< how many are kept
    std::uint32_t workers_max = 0;
    std::vector<WorkerStatus> workers;
    std::uint64_t waiting = 0; ///< requests in the queue
    std::uint32_t queue_max = 0;
    std::uint64_t declined = 0;  ///< requests that found the queue full, or nobody to wait for
    std::uint64_t outwaited = 0; ///< requests for which no worker was free in time
    std::uint64_t workers_started = 0;
    std::uint64_t workers_lost = 0;
    VerdictCounts decisions;
    std::vector<ServerStatus> servers{}; ///< in the order in which they are asked; of types that have some
    std::uint64_t waiting_longest = 0;   ///< the most requests that ever were in the queue
    Durations waits{};                   ///< in the queue, of requests that a worker got
    OfVerdicts<Durations> durations{};   ///< from the question to the decision, the queue included
};

/// What is kept of logins that were accepted.
struct CacheStatus {
    std::uint64_t entries = 0;
    std::uint64_t entries_max = 0; ///< 0: nothing is kept
    std::uint64_t hits = 0;        ///< logins for which nobody was asked
    std::uint64_t misses = 0;
    std::uint64_t outdated = 0; ///< entries that were found too old, or older than a change of a store
    std::uint64_t evicted = 0;  ///< entries that made room for others
    Durations durations{};      ///< of logins for which nobody was asked
};

struct ListenerStatus {
    std::string name;
    std::string socket;
    std::string route;
    std::string protocol; ///< saslauthd or dovecot
};

struct StatusReport {
    std::string version;          ///< of Postern
    std::uint32_t supervisor = 0; ///< process id; 0: it is gone
    std::uint32_t front = 0;
    std::int64_t since = 0; ///< when the front began to count, in seconds since 1970
    bool is_finishing = false;
    VerdictCounts logins;
    std::uint64_t sessions = 0;
    std::uint64_t sessions_max = 0;
    std::uint64_t sessions_displaced = 0; ///< ended because others needed their place
    std::uint64_t delayed = 0;            ///< refusals that wait for their moment
    std::uint64_t delayed_max = 0;
    std::uint64_t left_early = 0;
    std::uint64_t log_lines_dropped = 0;
    CacheStatus cache;
    std::vector<ListenerStatus> listeners;
    std::vector<BackendStatus> backends;
    OfVerdicts<Durations>
        durations{}; ///< of logins for which somebody was asked, from the request to the verdict
    std::vector<std::uint64_t> duration_bounds_us{};
};

} // namespace postern
