// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/randomness.hpp"
#include "daemon/believable_challenge.hpp"
#include "daemon/config.hpp"
#include "daemon/login_cache.hpp"
#include "daemon/login_log.hpp"
#include "daemon/normalise.hpp"
#include "daemon/worker_pool.hpp"
#include "protocol/request.hpp"
#include "protocol/status.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// What has become of logins since the front started.
struct LoginCounts {
    VerdictCounts verdicts;                 ///< of whole logins
    std::vector<VerdictCounts> decisions;   ///< of each backend; an answer that came too late is unavailable
    std::uint64_t left_early = 0;           ///< refusals that made room for others before their moment
    OfVerdicts<LatencyHistogram> durations; ///< of logins that were not recalled
    LatencyHistogram recall_durations;      ///< of those that were
    std::vector<OfVerdicts<LatencyHistogram>> decision_durations; ///< of each backend, where it was asked
};

/// What the listener that a login came in by has to say about it.
struct LoginTerms {
    TimePoint deadline; ///< by then it is decided
    const NameRules& names;
    std::size_t route = 0; ///< index into Config::routes
    LoginOrigin origin{};
};

/// What became of a login.
struct Outcome {
    Verdict verdict = Verdict::unavailable;
    std::string_view reply{}; ///< to an accepted proof: what the backend has to say to the client
    bool is_cached = false;   ///< accepted without asking anybody
};

inline constexpr std::size_t no_backend = SIZE_MAX;

/// What a client must know before it can prove that it has a password, and what is to be remembered until it
/// does. One that nobody can prove anything about looks the same from outside.
struct Challenge {
    std::string reply;                ///< for the client; empty: nobody could be asked
    Decision decision;                ///< about the user: accepted, or how the proof will be refused
    std::size_t backend = no_backend; ///< that said so
};

/// The life of a login, from a request to its verdict: recall whether it was accepted not long ago, ask whom
/// the chain says, log, and let refusals leave at equal distance from their arrival.
///
/// A login by a challenge mechanism comes in two steps, challenge() and prove(); the second is the login.
///
/// Knows neither protocols nor backends. Lives in the front; time comes from a Clock, so that every deadline
/// can be tested by hand.
class Authenticator {
public:
    struct BackendTerms {
        std::string name;                               ///< for the log
        std::span<const std::string_view> mechanisms{}; ///< those by challenge that it can prove
        RealmUse realm_use = RealmUse::never;
    };

    struct Settings {
        std::vector<RouteConfig> routes;
        std::vector<BackendTerms> backends; ///< in the order of the pools
        std::size_t delayed_max = 1024;
        LogLevel success_level = LogLevel::debug; ///< of the line about an accepted login
        ChallengeKey challenge_key{};
        std::string host_name{};     ///< a sasldb takes it for the realm of who names none
        LoginCache* cache = nullptr; ///< null: everybody is asked about each time
    };

    using OnOutcome = std::function<void(const Outcome&)>;
    using OnChallenge = std::function<void(Challenge)>;

    Authenticator(const Clock& clock, Log& log, Randomness randomness, std::span<WorkerPool> pools,
                  Settings settings);
    Authenticator(const Authenticator&) = delete;
    Authenticator& operator=(const Authenticator&) = delete;

    /// Accepts a login without asking anybody, if this very password was accepted for it not long ago. The
    /// same becomes of it as of any other, but here and now. To be called once, before authenticate().
    [[nodiscard]] std::optional<Outcome> recall(const NormalisedRequest& login,
                                                const LoginTerms& terms) noexcept;

    /// Decides a request that holds a password, or a proof that needs no challenge of a backend (CRAM-MD5).
    /// `on_outcome` is called exactly once, at the deadline at the latest, and never within this call: by
    /// let_leave() or tick().
    /// Without memory for a login the process ends: nobody could be answered.
    void authenticate(NormalisedRequest login, const LoginTerms& terms, OnOutcome on_outcome) noexcept;

    /// Finds what the client must know; whoever the user is, there is something, and the same backends are
    /// asked. The same.
    void challenge(NormalisedRequest login, const LoginTerms& terms, OnChallenge on_challenge) noexcept;

    /// Decides a request that holds the proof which was given to `challenge`. The same.
    void prove(NormalisedRequest login, const Challenge& challenge, const LoginTerms& terms,
               OnOutcome on_outcome) noexcept;

    /// An outage before anybody could be asked: counted, and logged as any other. Its verdict is the
    /// caller's to tell.
    void note_outage(const Request& request, const LoginOrigin& origin, std::string_view reason) noexcept;

    /// A refusal about which nobody has to be asked: logged, and not counted.
    void note_refusal(const Request& request, const LoginOrigin& origin, std::string_view reason) noexcept;

    /// Lets those leave that are concluded and wait for no moment. For whoever wants answers to leave before
    /// others are looked at; costs nothing when there are none.
    void let_leave();

    /// Ends what is due, and lets leave. Returns when to call it again.
    TimePoint tick();

    [[nodiscard]] std::size_t logins() const noexcept { return logins_.size() + leaving_.size(); }

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
        Request request; ///< normalised
        Route& route;
        TimePoint arrived;
        TimePoint deadline;
        Chain chain;
        std::uint64_t number; ///< in the order of arrival
        LoginOrigin origin;
        OnOutcome on_outcome{};
        OnChallenge on_challenge{};                 ///< instead: it is no login yet
        std::vector<Decision> said{};               ///< by the links so far
        std::optional<LoginCache::Key> cache_key{}; ///< none: it is not kept
        std::optional<JobId> job{};                 ///< while a pool has it
        std::optional<TimePoint> asked{};           ///< since when
        TimePoint link_deadline{};                  ///< until when
        Verdict verdict = Verdict::unavailable;     ///< once it is concluded
        TimePoint wakes{}; ///< the link's deadline or, once it is refused, the moment to leave
        std::list<Login>::iterator self{};
    };

    [[nodiscard]] Login& begin(NormalisedRequest named, const LoginTerms& terms);
    [[nodiscard]] Chain who_is_asked(const NormalisedRequest& named, const LoginTerms& terms) const;
    [[nodiscard]] LoginCache::Parts parts_of(const NormalisedRequest& named, const LoginTerms& terms,
                                             const Chain& asked) const;
    [[nodiscard]] static RealmUse realm_use_needed(const Request& request, const NameRules& names,
                                                   const RouteConfig& route);
    [[nodiscard]] Chain who_proves(const Chain& chain, std::string_view mechanism) const;
    [[nodiscard]] Chain who_looks_at_realm(const Chain& chain, RealmUse needed) const;
    void ask_first(Login& login);
    void ask_next(Login& login);
    void ask(Login& login, std::size_t link);
    [[nodiscard]] TimePoint link_deadline(const Login& login, std::size_t link) const;

    [[nodiscard]] WorkerPool& pool_of(const Login& login, std::size_t link)
    {
        return pools_[login.chain[link].backend];
    }

    void take(Login& login, Decision decision);
    void count(const Login& login, Verdict verdict);
    void count_login(const Login& login, Duration took);
    void raise_failure_delay(const Login& login, std::chrono::milliseconds asked);
    void give_up(Login& login);
    void conclude_challenge(Login& login);
    void conclude(Login& login, Verdict verdict);
    void refuse(Login& login, const Decision& decision);
    [[nodiscard]] static std::optional<std::size_t> decisive_link(const Login& login) noexcept;
    [[nodiscard]] static std::string_view reply_to(const Login& login) noexcept;
    [[nodiscard]] static Challenge challenge_of(const Login& login);
    [[nodiscard]] std::string salt_of(const Request& request) const;
    void log(const Login& login, Duration took);
    void delay(Login& login);
    void wake_at(Login& login, TimePoint when);
    void release(Login& login);
    void leave(Login& login);

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
    std::vector<BackendTerms> backends_;
    std::size_t delayed_max_;
    LogLevel success_level_;
    ChallengeKey challenge_key_;
    std::string host_name_;
    LoginCache* cache_;
    LoginCounts counts_;
    std::uint64_t last_number_ = 0;
    std::list<Login> logins_;
    std::set<Login*, ByWaking> waking_;   ///< all of those
    std::set<Login*, ByArrival> delayed_; ///< the refused ones
    std::list<Login> leaving_;            ///< concluded, and wait for no moment
};

} // namespace postern
