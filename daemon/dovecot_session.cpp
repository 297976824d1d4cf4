// SPDX-License-Identifier: BSD-2-Clause
//
// A login goes round between three parties: the client, whose bytes an Exchange understands; the Exchange,
// which says what to do next; and the Authenticator. act() is where a step becomes deed.
//
// An outage is told by closing the connection, because Postfix and Exim take every FAIL for a wrong password.
// That would end the other logins in work on it, so it is done only where there is none.
#include "daemon/dovecot_session.hpp"

#include "base/base64.hpp"
#include "base/log.hpp"
#include "base/wipe.hpp"
#include "daemon/normalise.hpp"

#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// How long who has just connected, when another front begins to serve, may take for its first login. An
/// smtpd connects again for a login whose connection has ended, but it does so only once.
constexpr auto settling_time = 1s;

constexpr std::size_t nonce_bytes = 18;

/// RFC 2195 has the time in it, too, so that it is never the same twice: chance alone does as much. And the
/// host's name, which is nobody's business.
std::string cram_challenge(std::string_view random)
{
    return '<' + std::string{random} + "@postern>";
}

bool asks_challenge(sasl::Mechanism mechanism) noexcept
{
    return sasl::facts_of(mechanism).asks_challenge;
}

dovecot::Failure::Code code_of(sasl::Failure why) noexcept
{
    return why == sasl::Failure::authorization_identity ? dovecot::Failure::Code::authz_fail
                                                        : dovecot::Failure::Code::none;
}

} // namespace

DovecotSession::DovecotSession(const SessionServices& services, const ListenerConfig& listener,
                               UniqueFd socket, std::uint32_t connection)
    : Session{listener}
    , services_{services}
    , connection_{connection}
    , socket_{std::move(socket)}
    , conversation_{[this](std::uint32_t id) { return logins_.find(id) != logins_.end(); }}
    , timer_{services.loop, [this] { on_timer(); }}
    , logins_{services.loop.clock()}
{
}

/// The handshake goes out before a byte has come: Exim waits for all of it.
void DovecotSession::begin(SessionList::iterator self)
{
    self_ = self;
    settles_until_ = services_.loop.clock().now() + settling_time;
    line_due_ = services_.loop.clock().now() + listener().deadline;
    dovecot::Handshake handshake;
    const std::vector<std::string_view> mechanisms{listener().dovecot.mechanisms.begin(),
                                                   listener().dovecot.mechanisms.end()};
    handshake.mechanisms = mechanisms;
    handshake.server_pid = static_cast<std::uint32_t>(::getpid());
    handshake.connection = connection_;
    services_.random_bytes(handshake.cookie);
    std::array<char, dovecot::handshake_bytes_max> memory{};
    tell(dovecot::write_handshake(memory, handshake));
    serve();
}

void DovecotSession::serve()
{
    resume_with([this] {
        if (hears())
            read();
    });
}

/// Whether what the peer says is listened to now. Never with a buffer that may be full.
bool DovecotSession::hears() const noexcept
{
    return !is_lost_ && !is_at_end_ && logins_.in_work() < in_work_max;
}

/// Into its own buffer if it has one already, else into the shared one.
void DovecotSession::read()
{
    const bool is_own = !received_.buffer().empty();
    const std::span<char> buffer = is_own ? received_.buffer() : services_.scratch.buffer();
    const std::size_t had = received_.size();
    const PeerSocket::Incoming incoming = socket_.receive(buffer.subspan(had));
    if (incoming.state == PeerSocket::Received::end)
        is_at_end_ = true;
    if (incoming.state != PeerSocket::Received::bytes)
        return;
    services_.on_activity(self_);
    take(buffer.first(had + incoming.size), is_own);
}

void DovecotSession::take(std::span<char> arrived, bool is_own)
{
    const Wipe wipe{is_own ? std::span<char>{} : arrived};
    bool has_moved_on = false;
    bool needs_more = false;
    while (!is_lost_ && logins_.in_work() < in_work_max) {
        const auto [command, taken] = conversation_.next(arrived);
        arrived = arrived.subspan(taken);
        has_moved_on = has_moved_on || taken != 0;
        needs_more = std::holds_alternative<dovecot::NeedsMore>(command);
        if (needs_more)
            break;
        if (const auto* auth = std::get_if<dovecot::Auth>(&command))
            obey(*auth);
        else if (const auto* cont = std::get_if<dovecot::Cont>(&command))
            obey(*cont);
        else if (const auto* cancel = std::get_if<dovecot::Cancel>(&command))
            obey(*cancel);
        else
            obey(std::get<dovecot::Broken>(command));
    }
    time_line(has_moved_on, needs_more && !arrived.empty());
    keep(is_lost_ ? std::span<char>{} : arrived, is_own);
}

/// More of the same line gives it no more time.
void DovecotSession::time_line(bool has_moved_on, bool has_begun_line)
{
    if (conversation_.peer_pid() == 0)
        return; // the handshake is due still
    if (has_moved_on)
        line_due_ = TimePoint::max();
    if (has_begun_line && line_due_ == TimePoint::max())
        line_due_ = services_.loop.clock().now() + listener().deadline;
}

void DovecotSession::keep(std::span<char> rest, bool is_own)
{
    if (rest.empty())
        return received_.clear();
    if (!is_own)
        return keep_in_slot({rest.data(), rest.size()});
    const std::span<char> buffer = received_.buffer();
    std::memmove(buffer.data(), rest.data(), rest.size());
    received_.resize(rest.size());
    sodium_memzero(buffer.data() + rest.size(), buffer.size() - rest.size());
}

/// Without one what the peer has begun to say is lost, but not what is in work.
void DovecotSession::keep_in_slot(std::string_view rest)
try {
    received_ = Secret{services_.secrets, rest};
} catch (const std::bad_alloc&) {
    services_.log.warning("a connection to " + listener().name +
                          " was ended: no memory for passwords is free");
    hear_no_more();
}

// --- what the peer says ------------------------------------------------------------------------------------

void DovecotSession::obey(const dovecot::Auth& auth)
{
    const auto mechanism = sasl::mechanism_from(auth.mechanism);
    if (refuses(auth, mechanism))
        return;
    const Logins::iterator login = open(auth, *mechanism);
    hear(login, auth.response,
         [login](std::optional<std::string_view> words) { return login->second.exchange->begin(words); });
}

/// What a login's client says next. When no slot is free for it, that is the outage of this login alone.
template <typename Take>
void DovecotSession::hear(Logins::iterator login, std::optional<std::string_view> base64, const Take& take)
{
    std::optional<sasl::Step> step;
    try {
        Secret memory{services_.secrets, {}};
        const std::span<char> room = memory.room(base64_bytes_max(base64.value_or("").size()));
        const auto words = base64 ? dovecot::decode_base64(*base64, room) : std::nullopt;
        if (!base64 || words)
            step = take(words);
    } catch (const std::bad_alloc&) {
        services_.authenticator.note_outage(request_of(login->second, login->second.account, {}),
                                            origin(services_.log, socket_),
                                            "no memory for passwords is free");
        return tell_unavailable(login);
    }
    if (step)
        act(login, std::move(*step));
    else
        refuse_base64(login);
}

/// What is refused before anything is known of the user.
bool DovecotSession::refuses(const dovecot::Auth& auth, std::optional<sasl::Mechanism> mechanism)
{
    const std::string client = auth.parameters.client_address.empty()
                                   ? ""
                                   : " from " + escape_log_value(auth.parameters.client_address);
    if (!mechanism || !offers(*mechanism)) {
        services_.log.warning("a login" + client + " was refused: " + escape_log_value(auth.mechanism) +
                              " is not offered by " + listener().name);
        tell_failure(auth.id, {});
        return true;
    }
    if (auth.parameters.service.size() > listener().field_bytes_max) {
        services_.log.warning("a login" + client + " was refused: the name of its service is longer than " +
                              listener().name + " takes");
        tell_failure(auth.id, {});
        return true;
    }
    if (sasl::facts_of(*mechanism).shows_password && listener().dovecot.refuses_plaintext_without_tls &&
        !auth.parameters.is_secured) {
        services_.log.warning("a login" + client + " was refused: " + listener().name +
                              " takes no passwords without TLS");
        tell_failure(auth.id, {});
        return true;
    }
    return false;
}

bool DovecotSession::offers(sasl::Mechanism mechanism) const
{
    return std::ranges::count(listener().dovecot.mechanisms, sasl::mechanism_name(mechanism)) != 0;
}

DovecotLogins::iterator DovecotSession::open(const dovecot::Auth& auth, sasl::Mechanism mechanism)
{
    sasl::ExchangeTerms terms{.secrets = services_.secrets,
                              .takes_data_with_success = auth.parameters.takes_final_response,
                              .field_bytes_max = listener().field_bytes_max};
    if (mechanism == sasl::Mechanism::cram_md5)
        terms.challenge = cram_challenge(nonce());
    else if (asks_challenge(mechanism))
        terms.nonce = nonce();
    return logins_.open({.id = auth.id,
                         .exchange = sasl::make_exchange(mechanism, terms),
                         .mechanism = mechanism,
                         .service = std::string{auth.parameters.service},
                         .client_address = std::string{auth.parameters.client_address},
                         .server_address = std::string{auth.parameters.server_address},
                         .is_secured = auth.parameters.is_secured});
}

std::string DovecotSession::nonce() const
{
    std::array<unsigned char, nonce_bytes> bytes{};
    services_.random_bytes(bytes);
    return in_base64(bytes);
}

void DovecotSession::obey(const dovecot::Cont& cont)
{
    const Logins::iterator login = logins_.find(cont.id);
    if (login == logins_.end())
        return tell_failure(cont.id, {}); // it was forgotten, or there never was one
    if (login->second.is_in_work)
        return fail(login, {.user = login->second.account}); // nobody had asked for it
    hear(login, cont.response,
         [login](std::optional<std::string_view> words) { return login->second.exchange->take(*words); });
}

void DovecotSession::obey(const dovecot::Cancel& cancel)
{
    const Logins::iterator login = logins_.find(cancel.id);
    if (login != logins_.end())
        logins_.tell_end(login);
}

void DovecotSession::obey(const dovecot::Broken& broken)
{
    services_.log.warning("a connection to " + listener().name +
                          " was ended: " + std::string{dovecot::broken_text(broken.why)});
    is_lost_ = true;
}

// --- what is to be done ------------------------------------------------------------------------------------

void DovecotSession::act(Logins::iterator login, sasl::Step step)
{
    std::visit([&](auto& known) { act(login, known); }, step);
}

void DovecotSession::act(Logins::iterator login, sasl::SendChallenge& challenge)
{
    std::array<char, dovecot::reply_bytes_max> memory{};
    tell(dovecot::write_cont(memory, login->second.id, challenge.bytes));
    logins_.wait(login);
}

void DovecotSession::act(Logins::iterator login, sasl::CheckPassword& check)
{
    auto named = name(login, std::move(check.user), std::move(check.password));
    if (!named)
        return;
    if (const auto outcome = services_.authenticator.recall(*named, terms()))
        return act(login, *outcome);
    services_.authenticator.authenticate(
        std::move(*named), terms(),
        [this, serial = begin_work(login)](const Outcome& outcome) { on_outcome(serial, outcome); });
}

void DovecotSession::act(Logins::iterator login, sasl::AskChallenge& ask)
{
    auto named = name(login, std::move(ask.user), {});
    if (!named)
        return;
    services_.authenticator.challenge(std::move(*named), terms(),
                                      [this, serial = begin_work(login)](Challenge challenge) {
                                          on_challenge(serial, std::move(challenge));
                                      });
}

void DovecotSession::act(Logins::iterator login, sasl::CheckProof& check)
{
    auto named = name(login, std::move(check.user), std::move(check.proof));
    if (!named)
        return;
    named->request.asked = Asked::proof;
    named->request.transcript = std::move(check.transcript);
    const auto on_end = [this, serial = begin_work(login)](const Outcome& outcome) {
        on_outcome(serial, outcome);
    };
    if (asks_challenge(login->second.mechanism))
        services_.authenticator.prove(std::move(*named), login->second.challenge, terms(), on_end);
    else
        services_.authenticator.authenticate(std::move(*named), terms(), on_end);
}

void DovecotSession::act(Logins::iterator login, sasl::Succeed& success)
{
    take_leave_if_last(login);
    std::array<char, dovecot::reply_bytes_max> memory{};
    tell(dovecot::write_ok(memory, login->second.id, login->second.account, success.additional_data));
    logins_.erase(login);
}

void DovecotSession::act(Logins::iterator login, sasl::Fail& failure)
{
    if (failure.why == sasl::Failure::backend)
        return tell_unavailable(login);
    refuse(login, failure.user, sasl::failure_text(failure.why), code_of(failure.why));
}

/// Nobody has been asked.
void DovecotSession::refuse(Logins::iterator login, std::string user, std::string_view why,
                            dovecot::Failure::Code code)
{
    Request request = request_of(login->second, std::move(user), {});
    const NormalisedRequest named = request.user.empty() ? NormalisedRequest{.request = std::move(request)}
                                                         : normalise(std::move(request), listener().names);
    services_.authenticator.note_refusal(named.request, origin(services_.log, socket_), why);
    fail(login, {.user = named.has_user() ? named.account : "", .code = code});
}

void DovecotSession::refuse_base64(Logins::iterator login)
{
    refuse(login, {}, "the response is no base64", dovecot::Failure::Code::invalid_base64);
}

// --- what the Authenticator says ---------------------------------------------------------------------------

/// What is to be asked about it. Nothing if no reply could name its account: then it has been refused.
std::optional<NormalisedRequest> DovecotSession::name(Logins::iterator login, std::string user, Secret secret)
{
    NormalisedRequest named =
        normalise(request_of(login->second, std::move(user), std::move(secret)), listener().names);
    login->second.account = named.account;
    if (named.has_user() && dovecot::can_be_named(named.account))
        return named;
    refuse(login, {}, "no reply can name this account", dovecot::Failure::Code::none);
    return std::nullopt;
}

Request DovecotSession::request_of(const DovecotLogin& login, std::string user, Secret secret) const
{
    return {.user = std::move(user),
            .password = std::move(secret),
            .service = login.service,
            .realm = {},
            .client_address = login.client_address,
            .server_address = login.server_address,
            .mechanism = std::string{sasl::mechanism_name(login.mechanism)},
            .is_secured = login.is_secured};
}

LoginTerms DovecotSession::terms() const
{
    return {services_.loop.clock().now() + listener().deadline, listener().names, listener().route,
            origin(services_.log, socket_)};
}

DovecotLogins::Serial DovecotSession::begin_work(Logins::iterator login)
{
    const Logins::Serial serial = logins_.begin_work(login);
    if (logins_.in_work() == 1)
        services_.on_activity(self_);
    return serial;
}

/// A login that somebody still waits for; none if its client has given it up, or is gone.
DovecotLogins::iterator DovecotSession::end_work(Logins::Serial serial)
{
    const Logins::iterator login = logins_.end_work(serial);
    if (is_idle())
        services_.on_activity(self_);
    if (login == logins_.end() || !is_lost_)
        return login;
    logins_.erase(login);
    return logins_.end();
}

void DovecotSession::on_challenge(Logins::Serial serial, Challenge challenge)
{
    resume_after_work([&] {
        const Logins::iterator login = end_work(serial);
        if (login == logins_.end())
            return;
        if (challenge.reply.empty())
            return tell_unavailable(login);
        login->second.challenge = std::move(challenge);
        act(login, login->second.exchange->take_challenge(login->second.challenge.reply));
    });
}

void DovecotSession::on_outcome(Logins::Serial serial, const Outcome& outcome)
{
    resume_after_work([&] {
        const Logins::iterator login = end_work(serial);
        if (login != logins_.end())
            act(login, outcome);
    });
}

void DovecotSession::act(Logins::iterator login, const Outcome& outcome)
{
    if (outcome.verdict == Verdict::unavailable)
        return tell_unavailable(login);
    if (outcome.verdict != Verdict::accepted)
        return fail(login, {.user = login->second.account, .reason = listener().dovecot.refusal_reason});
    act(login, login->second.exchange->take_acceptance(outcome.reply));
}

/// Then goes on with what the peer has said meanwhile.
template <typename Act>
void DovecotSession::resume_after_work(const Act& act)
{
    resume_with([&] {
        act();
        if (!received_.empty() && !is_lost_)
            take(received_.buffer().first(received_.size()), true);
    });
}

/// Whatever fails in it ends this session and no other.
template <typename Act>
void DovecotSession::resume_with(const Act& act)
try {
    act();
    rest();
} catch (const std::exception& error) {
    services_.log.error(std::string{"a session was ended: "} + error.what());
    is_lost_ = true;
    rest();
}

void DovecotSession::tell_unavailable(Logins::iterator login)
{
    const bool would_end_others = logins_.has_one_to_tell();
    if (listener().dovecot.when_unavailable == DovecotUnavailable::close && !would_end_others)
        is_lost_ = true;
    else
        fail(login, {.user = login->second.account, .code = dovecot::Failure::Code::temp_fail});
}

void DovecotSession::fail(Logins::iterator login, const dovecot::Failure& failure)
{
    take_leave_if_last(login);
    tell_failure(login->second.id, failure);
    logins_.tell_end(login);
}

// --- the connection ----------------------------------------------------------------------------------------

void DovecotSession::tell_failure(std::uint32_t id, const dovecot::Failure& failure)
{
    std::array<char, dovecot::reply_bytes_max> memory{};
    tell(dovecot::write_fail(memory, id, failure));
}

/// A peer that does not read what it is told is as good as gone.
void DovecotSession::tell(std::string_view line)
{
    if (!is_lost_ && !socket_.send(line))
        is_lost_ = true;
}

/// At the end of everything that a session does: what does it wait for now? May destroy it.
void DovecotSession::rest()
{
    if (is_finishing_ && hears() && has_settled() && !logins_.needs_words(logins_.end()))
        hear_last_words();
    if (is_at_end_ && logins_.in_work() < in_work_max)
        logins_.forget_waiting();
    if (is_lost_ || (is_at_end_ && logins_.is_empty()))
        return hang_up();
    if (!hears())
        watch_.reset();
    else if (!watch_)
        watch_.emplace(services_.loop, socket_.fd(), EPOLLIN, [this](std::uint32_t) { serve(); });
    schedule_timer();
}

/// Who has not said who it is has not got as far as to begin a login.
bool DovecotSession::has_settled() const noexcept
{
    return logins_.has_begun_one() ||
           (conversation_.peer_pid() != 0 && services_.loop.clock().now() >= settles_until_);
}

/// Before the last reply: who has got that may begin another login before we do anything else.
void DovecotSession::take_leave_if_last(Logins::iterator login)
{
    if (is_finishing_ && !logins_.needs_words(login))
        socket_.end_receiving();
}

/// What the Authenticator has goes on to its end, since it will call back.
void DovecotSession::hang_up()
{
    is_lost_ = true;
    if (is_idle())
        return services_.on_end(self_);
    timer_.cancel();
    watch_.reset();
    socket_ = PeerSocket{UniqueFd{}};
    received_.clear();
    logins_.forget_waiting();
}

/// A peer that writes from now on is told by its own system call, and asks another front. What it wrote
/// before is still there.
void DovecotSession::hear_last_words()
{
    socket_.end_receiving();
    while (hears())
        read();
}

/// A login half-way has the time of one that is asked now. Its client may have given it up: Postfix does not
/// say so.
void DovecotSession::finish()
{
    is_finishing_ = true;
    waits_until_ = std::min(waits_until_, services_.loop.clock().now() + listener().deadline);
    serve();
}

void DovecotSession::hurry(TimePoint when)
{
    waits_until_ = std::min(waits_until_, when);
    schedule_timer();
}

void DovecotSession::schedule_timer()
{
    TimePoint next = std::min({waits_until_, line_due_, logins_.next_expiry()});
    if (is_finishing_ && services_.loop.clock().now() < settles_until_)
        next = std::min(next, settles_until_);
    if (next != TimePoint::max() && !is_at_end_)
        timer_.schedule(next);
    else
        timer_.cancel();
}

void DovecotSession::on_timer()
{
    resume_with([this] {
        logins_.forget_overdue();
        if (services_.loop.clock().now() >= line_due_)
            give_up_line();
        if (services_.loop.clock().now() >= waits_until_)
            hear_no_more();
    });
}

void DovecotSession::give_up_line()
{
    services_.log.warning("a connection to " + listener().name +
                          " was ended: its peer did not complete what it had begun to say");
    hear_no_more();
}

/// What is in work is served.
void DovecotSession::hear_no_more()
{
    socket_.end_receiving();
    received_.clear();
    line_due_ = TimePoint::max();
    is_at_end_ = true;
}

} // namespace postern
