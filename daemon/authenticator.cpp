// SPDX-License-Identifier: BSD-2-Clause
//
// A login is in one of three states: somebody is being asked, or it is refused and waits for its moment, or
// it is about to leave. In the first two it stands in one set, ordered by when it wakes: when the one who is
// asked has had his time, or at the moment it leaves. So there is one bound in time for every login, whatever
// hangs. It leaves a moment after it is concluded, since whoever asked may still be on the stack.
//
// Who has somebody behind him that is asked about an outage has a share of the time that is left, since one
// who hangs would leave nothing to the others: of two backends the first has half of the deadline. The last
// has all that is left, and so has one whose outage ends the chain.
//
// A refusal leaves failure_delay after the request came, give or take a tenth, and not after the answer: the
// time that a backend took tells nothing about whether it knew the user.
//
// A challenge leaves as soon as it is known, since everybody gets one. So everybody's is asked of the whole
// chain: one that ended with whoever knows the user would tell by its time who that is. What those say who
// would not have been asked about a password counts for nothing.
#include "daemon/authenticator.hpp"

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
    , challenge_key_{settings.challenge_key}
    , host_name_{std::move(settings.host_name)}
    , cache_{settings.cache}
{
    for (RouteConfig& route : settings.routes)
        routes_.push_back({std::move(route), {}});
    for (Route& route : routes_)
        route.failure_delay = route.config.failure_delay;
    counts_.decisions.resize(backends_.size());
    counts_.decision_durations.resize(backends_.size());
}

std::optional<Outcome> Authenticator::recall(const NormalisedRequest& named, const LoginTerms& terms) noexcept
{
    if (cache_ == nullptr)
        return std::nullopt;
    const TimePoint arrived = clock_.now();
    const Chain asked = who_is_asked(named, terms);
    if (!cache_->recall(parts_of(named, terms, asked), named.request.password))
        return std::nullopt;
    const Duration took = clock_.now() - arrived;
    counts_.verdicts.count(Verdict::accepted);
    counts_.recall_durations.record(took);
    log_login(log_, success_level_,
              {.request = named.request,
               .verdict = Verdict::accepted,
               .number = ++last_number_,
               .origin = terms.origin,
               .took = took,
               .is_cached = true});
    return Outcome{.verdict = Verdict::accepted, .is_cached = true};
}

void Authenticator::authenticate(NormalisedRequest named, const LoginTerms& terms,
                                 OnOutcome on_outcome) noexcept
{
    Login& login = begin(std::move(named), terms);
    login.on_outcome = std::move(on_outcome);
    ask_first(login);
}

void Authenticator::challenge(NormalisedRequest named, const LoginTerms& terms,
                              OnChallenge on_challenge) noexcept
{
    named.request.asked = Asked::challenge;
    Login& login = begin(std::move(named), terms);
    login.on_challenge = std::move(on_challenge);
    ask_first(login);
}

void Authenticator::prove(NormalisedRequest named, const Challenge& challenge, const LoginTerms& terms,
                          OnOutcome on_outcome) noexcept
{
    named.request.asked = Asked::proof;
    Login& login = begin(std::move(named), terms);
    login.on_outcome = std::move(on_outcome);
    login.chain.clear();
    if (challenge.backend != no_backend)
        login.chain = {ChainLink{challenge.backend, {}}};
    if (challenge.decision.verdict == Verdict::accepted)
        ask_next(login);
    else
        refuse(login, challenge.decision);
}

void Authenticator::note_outage(const Request& request, const LoginOrigin& origin,
                                std::string_view reason) noexcept
{
    counts_.verdicts.count(Verdict::unavailable);
    log_login(log_, success_level_,
              {.request = request,
               .verdict = Verdict::unavailable,
               .reason = reason,
               .number = ++last_number_,
               .origin = origin});
}

void Authenticator::note_refusal(const Request& request, const LoginOrigin& origin,
                                 std::string_view reason) noexcept
{
    log_login(log_, success_level_,
              {.request = request,
               .verdict = Verdict::rejected,
               .reason = reason,
               .number = ++last_number_,
               .origin = origin});
}

Authenticator::Login& Authenticator::begin(NormalisedRequest named, const LoginTerms& terms)
{
    Request& request = named.request;
    Chain asked = who_is_asked(named, terms);
    const auto cache_key = cache_ != nullptr && request.asked == Asked::password
                               ? cache_->key_of(parts_of(named, terms, asked))
                               : std::nullopt;
    if (request.asked != Asked::password)
        request.salt = salt_of(request);
    Login& login =
        logins_.emplace_back(Login{std::move(request), routes_.at(terms.route), clock_.now(), terms.deadline,
                                   std::move(asked), ++last_number_, terms.origin});
    login.self = std::prev(logins_.end());
    login.cache_key = cache_key;
    return login;
}

Chain Authenticator::who_is_asked(const NormalisedRequest& named, const LoginTerms& terms) const
{
    const Request& request = named.request;
    const RouteConfig& route = routes_.at(terms.route).config;
    const Chain& chain = route.chain_for(request.realm);
    const bool shows_password = request.asked == Asked::password;
    return who_looks_at_realm(shows_password ? chain : who_proves(chain, request.mechanism),
                              realm_use_needed(request, terms.names, route));
}

LoginCache::Parts Authenticator::parts_of(const NormalisedRequest& named, const LoginTerms& terms,
                                          const Chain& asked) const
{
    const RouteConfig& route = routes_.at(terms.route).config;
    return {terms.route, named, asked, realm_use_needed(named.request, terms.names, route)};
}

/// Where a login is one name, who logs in chooses its realm. One that the admin has not written down must be
/// looked at by whoever speaks for the user: the password of alice is not that of alice in any realm.
RealmUse Authenticator::realm_use_needed(const Request& request, const NameRules& names,
                                         const RouteConfig& route)
{
    if (!names.splits_realm || request.realm.empty() || is_default_realm(request.realm, names) ||
        route.realms.contains(request.realm))
        return RealmUse::never;
    if (names.joins_realm)
        return RealmUse::in_user;
    return request.user.find('@') == std::string::npos ? RealmUse::beside_plain_user : RealmUse::always;
}

/// Those in front of the first one that takes passwords only. Who is behind it is not asked: a user whom it
/// would reject or bar must not get in by an older entry there.
Chain Authenticator::who_proves(const Chain& chain, std::string_view mechanism) const
{
    const auto end = std::ranges::find_if(chain, [&](const ChainLink& link) {
        return std::ranges::count(backends_[link.backend].mechanisms, mechanism) == 0;
    });
    return {chain.begin(), end};
}

/// To those who do not look at the realm nobody of it is known.
Chain Authenticator::who_looks_at_realm(const Chain& chain, RealmUse needed) const
{
    Chain asked;
    for (const ChainLink& link : chain) {
        if (backends_[link.backend].realm_use >= needed)
            asked.push_back(link);
        else if (!link.next_on.contains(Verdict::unknown_user))
            break;
    }
    return asked;
}

/// A realm whose backends all are left out is like one that does not know the user.
void Authenticator::ask_first(Login& login)
{
    const Chain& chain = login.route.config.chain_for(login.request.realm);
    const bool shows_password = login.request.asked == Asked::password;
    if (!login.chain.empty() || chain.empty())
        ask_next(login);
    else if (!shows_password && who_proves(chain, login.request.mechanism).empty())
        refuse(login, {Verdict::rejected, "the first backend of this realm does not serve this mechanism"});
    else
        refuse(login, {Verdict::unknown_user, "nobody who may be asked looks at this realm, which is neither "
                                              "default_realm nor in the route"});
}

void Authenticator::ask_next(Login& login)
{
    if (login.on_challenge && !login.chain.empty())
        return login.said.size() < login.chain.size() ? ask(login, login.said.size())
                                                      : conclude_challenge(login);
    const ChainStep step = next_step(login.chain, login.said);
    if (const auto* next = std::get_if<AskLink>(&step))
        ask(login, next->link);
    else
        conclude(login, std::get<Concluded>(step).verdict);
}

void Authenticator::ask(Login& login, std::size_t link)
{
    login.link_deadline = link_deadline(login, link);
    login.asked = clock_.now();
    wake_at(login, login.link_deadline);
    const auto asked =
        pool_of(login, link).check(login.request, login.link_deadline, [this, &login](Decision decision) {
            login.job.reset();
            take(login, std::move(decision));
        });
    if (const auto* declined = std::get_if<WorkerPool::Declined>(&asked)) {
        login.asked.reset();
        take(login, {Verdict::unavailable, std::string{declined->reason}});
    } else {
        login.job = std::get<JobId>(asked);
    }
}

TimePoint Authenticator::link_deadline(const Login& login, std::size_t link) const
{
    using std::chrono::milliseconds;
    const std::size_t others =
        login.on_challenge ? login.chain.size() - 1 - link : links_behind_outage(login.chain, link);
    if (others == 0)
        return login.deadline;
    const auto left = std::chrono::duration_cast<milliseconds>(login.deadline - clock_.now());
    return clock_.now() + share_of_time(std::max(left, milliseconds::zero()), others, milliseconds::max());
}

/// Of a challenge only an outage counts: the proof will be the login.
void Authenticator::take(Login& login, Decision decision)
{
    if (!login.on_challenge || decision.verdict == Verdict::unavailable)
        count(login, decision.verdict);
    login.asked.reset();
    raise_failure_delay(login, decision.failure_delay);
    login.said.push_back(std::move(decision));
    ask_next(login);
}

/// For the one who is next to say something.
void Authenticator::count(const Login& login, Verdict verdict)
{
    const std::size_t backend = login.chain[login.said.size()].backend;
    counts_.decisions[backend].count(verdict);
    if (login.asked)
        counts_.decision_durations[backend][verdict].record(clock_.now() - *login.asked);
}

/// For good, and for everybody: all refusals of a route look alike.
void Authenticator::raise_failure_delay(const Login& login, std::chrono::milliseconds asked)
{
    Route& route = login.route;
    if (asked <= route.failure_delay)
        return;
    route.failure_delay = asked;
    log_.notice("refusals of route " + escape_log_value(route.config.name) + " wait for " +
                std::to_string(asked.count()) + " ms from now on, as backend " +
                escape_log_value(backends_[login.chain[login.said.size()].backend].name) + " asks for");
}

/// The time of a backend is over while it has the request; and the login's own, too, if it was the last.
void Authenticator::give_up(Login& login)
{
    pool_of(login, login.said.size()).abandon(*std::exchange(login.job, std::nullopt));
    const bool is_last = login.link_deadline >= login.deadline;
    take(login, {Verdict::unavailable,
                 is_last ? "no answer within the deadline" : "no answer within its share of the deadline"});
}

/// It is known without asking: what a backend said of a challenge counts now that the login has come.
void Authenticator::refuse(Login& login, const Decision& decision)
{
    if (!login.chain.empty())
        count(login, decision.verdict);
    login.said.push_back(decision);
    conclude(login, decision.verdict);
}

/// As if each link had been asked only if those before it had not decided.
void Authenticator::conclude_challenge(Login& login)
{
    const std::span<const Decision> said{login.said};
    std::size_t counted = 1;
    ChainStep step = next_step(login.chain, said.first(counted));
    while (std::holds_alternative<AskLink>(step))
        step = next_step(login.chain, said.first(++counted));
    login.said.resize(counted);
    conclude(login, std::get<Concluded>(step).verdict);
}

void Authenticator::conclude(Login& login, Verdict verdict)
{
    login.verdict = verdict;
    if (verdict == Verdict::accepted && login.cache_key)
        cache_->keep(*login.cache_key, login.request.password, login.chain, login.said);
    login.request.password.clear();
    const bool is_login = !login.on_challenge || verdict == Verdict::unavailable;
    if (is_login) {
        const Duration took = clock_.now() - login.arrived;
        count_login(login, took);
        log(login, took);
    }
    if (is_login && is_refusal(verdict))
        delay(login);
    else
        release(login);
}

/// How long a refusal waits to leave is not in its time.
void Authenticator::count_login(const Login& login, Duration took)
{
    counts_.verdicts.count(login.verdict);
    counts_.durations[login.verdict].record(took);
}

/// The last one who said what the whole came to; none where nobody was asked.
std::optional<std::size_t> Authenticator::decisive_link(const Login& login) noexcept
{
    std::size_t link = login.said.size();
    while (link > 0 && login.said[link - 1].verdict != login.verdict)
        --link;
    return link == 0 ? std::nullopt : std::optional{link - 1};
}

void Authenticator::log(const Login& login, Duration took)
{
    LoginRecord record{.request = login.request,
                       .verdict = login.verdict,
                       .number = login.number,
                       .origin = login.origin,
                       .took = took};
    const auto link = decisive_link(login);
    if (link && *link < login.chain.size())
        record.backend = backends_[login.chain[*link].backend].name;
    if (link)
        record.reason = login.said[*link].reason;
    else
        record.reason = "no backend is configured for this realm";
    log_login(log_, success_level_, record);
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
        release(**delayed_.begin());
    }
}

void Authenticator::wake_at(Login& login, TimePoint when)
{
    waking_.erase(&login);
    login.wakes = when;
    waking_.insert(&login);
}

void Authenticator::release(Login& login)
{
    waking_.erase(&login);
    delayed_.erase(&login);
    leaving_.splice(leaving_.end(), logins_, login.self);
}

void Authenticator::let_leave()
{
    while (!leaving_.empty()) {
        std::list<Login> next;
        next.splice(next.begin(), leaving_, leaving_.begin());
        leave(next.front());
    }
}

void Authenticator::leave(Login& login)
{
    if (login.on_challenge)
        login.on_challenge(challenge_of(login));
    else
        login.on_outcome({login.verdict, reply_to(login)});
}

/// Whatever a backend says with a refusal is not for the client.
std::string_view Authenticator::reply_to(const Login& login) noexcept
{
    return login.verdict == Verdict::accepted ? login.said.back().reply : std::string_view{};
}

/// Whoever the user is, it looks as if there were something to prove.
Challenge Authenticator::challenge_of(const Login& login)
{
    if (login.verdict == Verdict::unavailable)
        return {};
    const std::size_t link = decisive_link(login).value_or(0);
    const std::size_t backend = link < login.chain.size() ? login.chain[link].backend : no_backend;
    if (login.verdict == Verdict::accepted)
        return {login.said[link].reply, {Verdict::accepted, ""}, backend};
    return {believable_challenge(login.request.salt), {login.verdict, login.said[link].reason}, backend};
}

/// Of a user who exists, USER and USER@HOST are one entry of a sasldb, with one salt.
std::string Authenticator::salt_of(const Request& request) const
{
    const std::string& realm = request.realm.empty() ? host_name_ : request.realm;
    return scram_salt_of(challenge_key_, request.user + '@' + realm, request.mechanism);
}

TimePoint Authenticator::tick()
{
    const TimePoint now = clock_.now();
    while (!waking_.empty() && (*waking_.begin())->wakes <= now) {
        Login& login = **waking_.begin();
        if (login.job)
            give_up(login);
        else
            release(login);
    }
    let_leave();
    return waking_.empty() ? TimePoint::max() : (*waking_.begin())->wakes;
}

} // namespace postern
