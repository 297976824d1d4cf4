// SPDX-License-Identifier: BSD-2-Clause
//
// The common case takes four system calls: accept, read, write, close. libsasl2 sends a request with one
// writev(2) right after connect(2), so it is nearly always there when the connection is accepted.
//
// Closing a UNIX socket with unread bytes resets the connection, and a peer that still writes gets EPIPE
// before it reads its reply. So a session that knows of more bytes than it took drains: it half-closes and
// reads to the end, or to the deadline.
#include "daemon/saslauthd_session.hpp"

#include "base/wipe.hpp"

#include <algorithm>
#include <array>
#include <new>
#include <utility>

namespace postern {

SaslauthdSession::SaslauthdSession(const SessionServices& services, const ListenerConfig& listener,
                                   UniqueFd socket)
    : Session{listener}
    , services_{services}
    , socket_{std::move(socket)}
    , deadline_{services.loop.clock().now() + listener.deadline}
    , waits_until_{deadline_}
    , timer_{services.loop, [this] { on_deadline(); }}
{
}

void SaslauthdSession::begin(SessionList::iterator self)
{
    self_ = self;
    serve();
}

void SaslauthdSession::hurry(TimePoint when)
{
    if (!is_idle())
        return;
    waits_until_ = std::min(waits_until_, when);
    timer_.schedule(waits_until_);
}

void SaslauthdSession::serve()
try {
    if (state_ == State::draining)
        drain();
    else
        read();
} catch (const std::exception& error) {
    fail(error);
}

void SaslauthdSession::fail(const std::exception& error)
{
    services_.log.error(std::string{"a session was ended: "} + error.what());
    end();
}

/// Into its own buffer if it has one already, else into the shared one.
void SaslauthdSession::read()
{
    const bool is_first = received_.buffer().empty();
    const std::span<char> buffer = is_first ? services_.scratch.buffer() : received_.buffer();
    const std::size_t had = received_.size();
    const PeerSocket::Incoming incoming = socket_.receive(buffer.subspan(had));
    if (incoming.state == PeerSocket::Received::nothing)
        return wait_for_peer();
    if (incoming.state == PeerSocket::Received::end)
        return end();
    const Wipe wipe{is_first ? buffer.first(incoming.size) : std::span<char>{}};
    take({buffer.data(), had + incoming.size}); // this may be destroyed now
}

void SaslauthdSession::take(std::string_view bytes)
{
    const saslauthd::Parsed parsed = saslauthd::parse_request(bytes, listener().field_bytes_max);
    if (const auto* fields = std::get_if<saslauthd::Fields>(&parsed))
        use(*fields);
    else if (const auto* refused = std::get_if<saslauthd::Refused>(&parsed))
        refuse(*refused);
    else
        keep(bytes);
}

void SaslauthdSession::use(const saslauthd::Fields& fields)
{
    if (services_.loop.clock().now() + listener().deadline / 2 > deadline_) {
        services_.log.warning("a request took half of its time to arrive: it is answered as unavailable");
        return answer(Outcome{.verdict = Verdict::unavailable}, fields.has_bytes_behind);
    }
    NormalisedRequest named = normalise({std::string{fields.login},
                                         {},
                                         std::string{fields.service},
                                         std::string{fields.realm},
                                         std::string{fields.client_address}},
                                        listener().names);
    try {
        named.request.password = Secret{services_.secrets, fields.password};
    } catch (const std::bad_alloc&) { // no slot is free: the outage of this login
        services_.authenticator.note_outage(named.request, origin(services_.log, socket_),
                                            "no memory for passwords is free");
        return answer(Outcome{.verdict = Verdict::unavailable}, fields.has_bytes_behind);
    }
    const LoginTerms terms{deadline_, listener().names, listener().route, origin(services_.log, socket_)};
    if (const auto outcome = services_.authenticator.recall(named, terms))
        return answer(*outcome, fields.has_bytes_behind);
    state_ = State::authenticating;
    drains_ = fields.has_bytes_behind;
    watch_.reset();
    timer_.cancel();
    services_.on_activity(self_);
    received_.clear();
    services_.authenticator.authenticate(std::move(named), terms,
                                         [this](const Outcome& outcome) { answer(outcome, drains_); });
}

void SaslauthdSession::refuse(const saslauthd::Refused& refused)
{
    using Why = saslauthd::Refused::Why;
    const std::string field{saslauthd::field_name_text(refused.field)};
    if (refused.why == Why::field_too_long)
        services_.log.error(field + " exceeded MAX_REQ_LEN: " + std::to_string(listener().field_bytes_max));
    else if (refused.why == Why::field_with_nul)
        services_.log.error(field + " with a NUL byte received");
    else
        services_.log.error("NULL " + field + " received");
    answer(saslauthd::reply(refused), true);
}

void SaslauthdSession::keep(std::string_view bytes)
{
    if (received_.buffer().empty())
        received_ = Secret{services_.secrets, bytes};
    else
        received_.resize(bytes.size());
    services_.on_activity(self_);
    wait_for_peer();
}

void SaslauthdSession::wait_for_peer()
{
    if (watch_)
        return;
    watch_.emplace(services_.loop, socket_.fd(), EPOLLIN, [this](std::uint32_t) { serve(); });
    timer_.schedule(waits_until_);
}

/// The words behind OK are those of whoever was asked.
void SaslauthdSession::answer(const Outcome& outcome, bool drains)
{
    std::array<char, saslauthd::reply_bytes_max> memory{};
    static const saslauthd::ReplyTexts no_texts;
    const saslauthd::ReplyTexts& texts = outcome.is_cached ? no_texts : listener().reply_texts;
    answer(saslauthd::write_reply(memory, outcome.verdict, listener().when_unavailable, texts), drains);
}

/// A reply is short and the socket's buffer is empty: it is sent whole, or the peer is gone.
void SaslauthdSession::answer(std::string_view reply_bytes, bool drains)
try {
    if (!socket_.send(reply_bytes) || !drains || services_.loop.clock().now() >= waits_until_)
        return end();
    socket_.end_sending();
    state_ = State::draining;
    services_.on_activity(self_);
    received_.clear();
    drain();
} catch (const std::exception& error) {
    fail(error);
}

void SaslauthdSession::drain()
{
    const std::span<char> buffer = services_.scratch.buffer();
    const PeerSocket::Incoming incoming = socket_.receive(buffer);
    if (incoming.state == PeerSocket::Received::end)
        return end();
    const Wipe wipe{buffer.first(incoming.size)};
    wait_for_peer(); // level-triggered: what is left is read in the next turn
}

/// A peer that has begun a request is told that there will be no answer; libsasl2 leaks a descriptor when
/// it is not.
void SaslauthdSession::on_deadline()
{
    if (state_ == State::reading && !received_.empty())
        answer(Outcome{.verdict = Verdict::unavailable}, false);
    else
        end();
}

void SaslauthdSession::end()
{
    services_.on_end(self_);
}

} // namespace postern
