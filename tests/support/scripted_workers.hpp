// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "daemon/worker_pool.hpp"
#include "tests/support/manual_clock.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace postern {

/// The world around a pool, in the hands of a test: what the pool asks of processes is written down, and the
/// test says what they do.
class ScriptedWorkers final : public WorkerHost {
public:
    struct Asked {
        WorkerId worker;
        JobId job;
        Duration time_left;
        std::string user;
        ServerSet left_alone{};
        std::string salt{};
    };

    struct Probed {
        WorkerId worker;
        JobId job;
        Duration time_left;
        ServerSet left_alone;
    };

    [[nodiscard]] bool can_start_workers() const override { return has_supervisor; }

    WorkerId start_worker(std::size_t) override
    {
        REQUIRE(has_supervisor);
        started.push_back(next_++);
        return started.back();
    }

    void kill_worker(WorkerId worker) override { killed.push_back(worker); }

    void retire_worker(WorkerId worker) override { retired.push_back(worker); }

    bool ask(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone,
             const Request& request) override
    {
        if (deaf.contains(worker))
            return false;
        asked.push_back({worker, job, time_left, request.user, left_alone, request.salt});
        return true;
    }

    /// Of what it was asked and has not answered a worker is at the first, unless it sleeps.
    std::size_t take_back(WorkerId worker, std::size_t most) override
    {
        const auto is_its = [worker](const Asked& question) { return question.worker == worker; };
        const auto sent = static_cast<std::size_t>(std::ranges::count_if(asked, is_its));
        const std::size_t come_to = asleep.contains(worker) ? 0 : 1 + answers_on_their_way;
        const std::size_t count = std::min(most, sent - std::min(sent, come_to));
        std::size_t kept = 0;
        std::erase_if(asked,
                      [&](const Asked& question) { return is_its(question) && ++kept > sent - count; });
        return count;
    }

    bool prepare(WorkerId worker, Duration time_left, ServerSet left_alone) override
    {
        if (deaf.contains(worker))
            return false;
        preparing.push_back({worker, 0, time_left, left_alone});
        return true;
    }

    bool probe(WorkerId worker, JobId job, Duration time_left, ServerSet left_alone) override
    {
        if (deaf.contains(worker))
            return false;
        probes.push_back({worker, job, time_left, left_alone});
        return true;
    }

    bool has_supervisor = true;
    std::vector<WorkerId> started;
    std::vector<WorkerId> killed;
    std::vector<WorkerId> retired;
    std::deque<Asked> asked;
    std::deque<Probed> probes;
    std::deque<Probed> preparing;
    std::set<WorkerId> deaf;              ///< gone without the pool knowing yet
    std::set<WorkerId> asleep;            ///< alive, and has not even come to its first question
    std::size_t answers_on_their_way = 0; ///< that the pool has not heard yet

private:
    WorkerId next_ = 1;
};

/// Passwords for requests that a test makes.
class Requests {
public:
    [[nodiscard]] Request of(const std::string& user, const std::string& realm = "example.org",
                             const std::string& password = "secret")
    {
        return {user, Secret{secrets_, password}, "smtp", realm, ""};
    }

    [[nodiscard]] SecretArena& secrets() { return secrets_; }

private:
    SecretArena secrets_{256, 64};
};

} // namespace postern
