// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/randomness.hpp"
#include "daemon/config.hpp"
#include "daemon/worker_pool.hpp"
#include "protocol/request.hpp"

#include <functional>
#include <list>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace postern {

/// What has become of logins since the front started.
struct LoginCounts {
    VerdictCounts verdicts;               ///< of whole logins
    std::vector<VerdictCounts> decisions; ///< of each backend; an answer that came too late is unavailable
    std::uint64_t left_early = 0;         ///< refusals that made room for others before their moment
};

/// What the listener that a login came in by has to say about it.
struct LoginTerms {
    TimePoint deadline; ///< by then it is decided
    bool joins_realm = false;
    std::size_t route = 0; ///< index into Config::routes
};

/// The life of a login, from a request to its verdict: normalise the name, ask whom the chain says, log, and
/// let refusals leave at equal distance from their arrival.
///
/// Knows neither protocols nor backends. Lives in the front; time comes from a Clock, so that every deadline
/// can be tested by hand.
class Authenticator {
public:
    struct Settings {
        std::vector<RouteConfig> routes;
        std::vector<std::string> backends; ///< names, for the log; in the order of the pools
        std::size_t delayed_max = 1024;
        LogLevel success_level = LogLevel::debug; ///< of the line about an accepted login
    };

    using OnVerdict = std::function<void(Verdict)>;

    Authenticator(const Clock& clock, Log& log, Randomness randomness, std::span<WorkerPool> pools,
                  Settings settings);
    Authenticator(const Authenticator&) = delete;
    Authenticator& operator=(const Authenticator&) = delete;

    /// Decides the request. `on_verdict` is called exactly once, at the deadline at the latest, and never
    /// within this call. Without memory for a login the process ends: nobody could be answered.
    void authenticate(Request request, const LoginTerms& terms, OnVerdict on_verdict) noexcept;

    /// Ends what is due. Returns when to call it again.
    TimePoint tick();

    [[nodiscard]] std::size_t logins() const noexcept { return logins_.size(); }

    /// Refusals that wait for their moment.
    [[nodiscard]] std::size_t delayed() const noexcept { return delayed_.size(); }

    [[nodiscard]] const LoginCounts& counts() const noexcept { return counts_; }

private:
    /// A route, and what its backends have asked for.
    struct Route {
        RouteConfig config;
        std::chrono::milliseconds failure_delay{}; ///< the longest so far
    };

    struct Login {
        Request request;
        Route& route;
        const Chain& chain;
        TimePoint arrived;
        TimePoint deadline;
        OnVerdict on_verdict;
        std::vector<Verdict> verdicts{};        ///< of the links asked so far
        std::vector<std::string> reasons{};     ///< theirs, for the log
        std::optional<JobId> job{};             ///< while a pool has it
        Verdict verdict = Verdict::unavailable; ///< once it is concluded
        TimePoint wakes{};                      ///< its deadline or, once it is refused, the moment to leave
        std::list<Login>::iterator self{};
    };

    void ask_next(Login& login);
    void ask(Login& login, std::size_t link);

    [[nodiscard]] WorkerPool& pool_of(const Login& login, std::size_t link)
    {
        return pools_[login.chain[link].backend];
    }

    void take(Login& login, Decision decision);
    void note(Login& login, Decision decision);
    void give_up(Login& login);
    void conclude(Login& login, Verdict verdict);
    void log(const Login& login);
    void delay(Login& login);
    void leave(Login& login);
    void wake_at(Login& login, TimePoint when);

    struct ByWaking {
        bool operator()(const Login* a, const Login* b) const noexcept
        {
            return a->wakes != b->wakes ? a->wakes < b->wakes : a < b;
        }
    };

    struct ByArrival {
        bool operator()(const Login* a, const Login* b) const noexcept
        {
            return a->arrived != b->arrived ? a->arrived < b->arrived : a < b;
        }
    };

    const Clock& clock_;
    Log& log_;
    Randomness randomness_;
    std::span<WorkerPool> pools_;
    std::vector<Route> routes_; ///< logins refer to them: never changed after construction
    std::vector<std::string> backends_;
    std::size_t delayed_max_;
    LogLevel success_level_;
    LoginCounts counts_;
    std::list<Login> logins_;
    std::set<Login*, ByWaking> waking_;   ///< every login
    std::set<Login*, ByArrival> delayed_; ///< the refused ones
};

} // namespace postern
