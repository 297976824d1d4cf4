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
    , settings_{std::move(settings)}
{
}

void Authenticator::authenticate(Request request, TimePoint deadline, bool joins_realm,
                                 OnVerdict on_verdict) noexcept
{
    normalise(request, joins_realm);
    logins_.push_back(Login{std::move(request), clock_.now(), deadline, std::move(on_verdict)});
    Login& login = logins_.back();
    login.self = std::prev(logins_.end());
    wake_at(login, deadline);
    ask_next(login);
}

void Authenticator::ask_next(Login& login)
{
    const ChainStep step = next_step(settings_.route.chain, login.verdicts);
    if (const auto* next = std::get_if<AskLink>(&step))
        ask(login, next->link);
    else
        conclude(login, std::get<Concluded>(step).verdict);
}

void Authenticator::ask(Login& login, std::size_t link)
{
    login.job = pool_of(link).check(login.request, login.deadline, [this, &login](Decision decision) {
        login.job.reset();
        take(login, std::move(decision));
    });
    if (!login.job)
        take(login, {Verdict::unavailable, "too many requests wait for it"});
}

void Authenticator::take(Login& login, Decision decision)
{
    login.verdicts.push_back(decision.verdict);
    login.reasons.push_back(std::move(decision.reason));
    ask_next(login);
}

/// The deadline has come while a backend had the request.
void Authenticator::give_up(Login& login)
{
    pool_of(login.verdicts.size()).abandon(*std::exchange(login.job, std::nullopt));
    login.verdicts.push_back(Verdict::unavailable);
    login.reasons.emplace_back("no answer within the deadline");
    conclude(login, Verdict::unavailable);
}

void Authenticator::conclude(Login& login, Verdict verdict)
{
    login.verdict = verdict;
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
        return log_login(log_, login.request, login.verdict, {}, "no backend is configured");
    const std::size_t backend = settings_.route.chain[link - 1].backend;
    log_login(log_, login.request, login.verdict, settings_.backends[backend], login.reasons[link - 1]);
}

void Authenticator::delay(Login& login)
{
    const auto tenth = std::chrono::milliseconds{settings_.route.failure_delay} / 10;
    const auto jitter =
        std::chrono::milliseconds{randomness_(static_cast<std::uint32_t>(2 * tenth.count() + 1))} - tenth;
    const TimePoint leaves = login.arrived + settings_.route.failure_delay + jitter;
    delayed_.insert(&login);
    wake_at(login, std::min(leaves, login.deadline));
    if (delayed_.size() > settings_.delayed_max) {
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
