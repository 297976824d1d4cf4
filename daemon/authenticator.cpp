// SPDX-License-Identifier: BSD-2-Clause
//
// A login is in one of two states: somebody is being asked, or it is refused and waits for its moment. Either
// way it stands in one set, ordered by when it wakes: at its deadline, or at the moment it leaves. So there
// is one bound in time for every login, whatever hangs.
//
// A refusal leaves failure_delay after the request came, give or take a tenth, and not after the answer: the
// time that a backend took tells nothing about whether it knew the user.
#include "daemon/authenticator.hpp"

#include "daemon/login_log.hpp"
#include "daemon/normalise.hpp"

#include <algorithm>
#include <utility>

namespace postern {

Authenticator::Authenticator(const Clock& clock, Log& log, Randomness randomness, std::span<WorkerPool> pools,
                             Settings settings)
    : clock_{clock}
    , log_{log}
    , randomness_{std::move(randomness)}
    , pools_{pools}
    , backends_{std::move(settings.backends)}
    , delayed_max_{settings.delayed_max}
    , success_level_{settings.success_level}
{
    for (RouteConfig& route : settings.routes)
        routes_.push_back({std::move(route), {}});
    for (Route& route : routes_)
        route.failure_delay = route.config.failure_delay;
    counts_.decisions.resize(backends_.size());
}

void Authenticator::authenticate(Request request, const LoginTerms& terms, OnVerdict on_verdict) noexcept
{
    Route& route = routes_.at(terms.route);
    const Chain& chain = route.config.chain_for(request.realm);
    normalise(request, terms.joins_realm);
    logins_.push_back(
        Login{std::move(request), route, chain, clock_.now(), terms.deadline, std::move(on_verdict)});
    Login& login = logins_.back();
    login.self = std::prev(logins_.end());
    wake_at(login, terms.deadline);
    ask_next(login);
}

void Authenticator::ask_next(Login& login)
{
    const ChainStep step = next_step(login.chain, login.verdicts);
    if (const auto* next = std::get_if<AskLink>(&step))
        ask(login, next->link);
    else
        conclude(login, std::get<Concluded>(step).verdict);
}

void Authenticator::ask(Login& login, std::size_t link)
{
    const auto asked =
        pool_of(login, link).check(login.request, login.deadline, [this, &login](Decision decision) {
            login.job.reset();
            take(login, std::move(decision));
        });
    if (const auto* declined = std::get_if<WorkerPool::Declined>(&asked))
        take(login, {Verdict::unavailable, std::string{declined->reason}});
    else
        login.job = std::get<JobId>(asked);
}

void Authenticator::take(Login& login, Decision decision)
{
    note(login, std::move(decision));
    ask_next(login);
}

void Authenticator::note(Login& login, Decision decision)
{
    counts_.decisions[login.chain[login.verdicts.size()].backend].count(decision.verdict);
    login.route.failure_delay = std::max(login.route.failure_delay, decision.failure_delay);
    login.verdicts.push_back(decision.verdict);
    login.reasons.push_back(std::move(decision.reason));
}

/// The deadline has come while a backend had the request.
void Authenticator::give_up(Login& login)
{
    pool_of(login, login.verdicts.size()).abandon(*std::exchange(login.job, std::nullopt));
    note(login, {Verdict::unavailable, "no answer within the deadline"});
    conclude(login, Verdict::unavailable);
}

void Authenticator::conclude(Login& login, Verdict verdict)
{
    login.verdict = verdict;
    counts_.verdicts.count(verdict);
    log(login);
    login.request.password.clear();
    if (is_refusal(verdict))
        delay(login);
    else
        wake_at(login, TimePoint::min()); // leaves in the next tick(), not inside of whoever asked
}

/// In the name of the last backend that said what the whole came to.
void Authenticator::log(const Login& login)
{
    std::size_t link = login.verdicts.size();
    while (link > 0 && login.verdicts[link - 1] != login.verdict)
        --link;
    if (link == 0)
        return log_login(log_, success_level_, login.request, login.verdict, {},
                         "no backend is configured for this realm");
    const std::size_t backend = login.chain[link - 1].backend;
    log_login(log_, success_level_, login.request, login.verdict, backends_[backend],
              login.reasons[link - 1]);
}

void Authenticator::delay(Login& login)
{
    const std::chrono::milliseconds failure_delay = login.route.failure_delay;
    const auto tenth = failure_delay / 10;
    const auto jitter =
        std::chrono::milliseconds{randomness_(static_cast<std::uint32_t>(2 * tenth.count() + 1))} - tenth;
    const TimePoint leaves = login.arrived + failure_delay + jitter;
    delayed_.insert(&login);
    wake_at(login, std::min(leaves, login.deadline));
    if (delayed_.size() > delayed_max_) {
        ++counts_.left_early;
        Login& first = **delayed_.begin();
        delayed_.erase(delayed_.begin());
        wake_at(first, TimePoint::min());
    }
}

void Authenticator::wake_at(Login& login, TimePoint when)
{
    waking_.erase(&login);
    login.wakes = when;
    waking_.insert(&login);
}

void Authenticator::leave(Login& login)
{
    waking_.erase(&login);
    delayed_.erase(&login);
    std::list<Login> leaving;
    leaving.splice(leaving.begin(), logins_, login.self);
    login.on_verdict(login.verdict);
}

TimePoint Authenticator::tick()
{
    const TimePoint now = clock_.now();
    while (!waking_.empty() && (*waking_.begin())->wakes <= now) {
        Login& login = **waking_.begin();
        if (login.job)
            give_up(login);
        else
            leave(login);
    }
    return waking_.empty() ? TimePoint::max() : (*waking_.begin())->wakes;
}

} // namespace postern
