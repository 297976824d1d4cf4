// SPDX-License-Identifier: BSD-2-Clause
#include "backends/imap_connection.hpp"

#include "backends/backend.hpp"
#include "base/wipe.hpp"

#include <sys/random.h>

#include <algorithm>
#include <array>

namespace postern {

namespace {

using Wants = imap::Dialogue::Wants;

TimePoint now() noexcept
{
    return SystemClock{}.now();
}

/// What nobody can answer to who has not seen it.
std::string new_tag()
{
    std::array<unsigned char, 6> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        throw BackendError{"getrandom failed"};
    std::string tag;
    for (const unsigned char byte : random)
        tag += static_cast<char>('A' + byte % 26);
    return tag;
}

} // namespace

ImapConnection::ImapConnection(const ImapServer& server, const ImapSettings& settings, TimePoint deadline)
    : host_{server.host}
    , settings_{settings}
    , connect_deadline_{std::min(deadline, now() + settings.connect_timeout)}
    , connection_{server.host, server.port, connect_deadline_}
    , dialogue_{new_tag(), settings.tls == ImapTls::starttls ? imap::StartTls::required : imap::StartTls::no}
{
    if (settings.tls == ImapTls::implicit)
        connection_.begin_tls(*settings.trust, host_, connect_deadline_);
    std::array<char, imap::outgoing_bytes_max(0)> memory{};
    converse(memory, deadline);
    if (dialogue_.wants() != Wants::credentials)
        throw ConnectionError{dialogue_.decision().reason};
}

bool ImapConnection::is_alive() noexcept
try {
    while (dialogue_.wants() == Wants::credentials && hear(now())) {
    }
    return dialogue_.wants() == Wants::credentials;
} catch (const std::exception&) {
    return false;
}

Decision ImapConnection::log_in(const Request& request, std::span<char> memory, TimePoint deadline)
{
    dialogue_.log_in(request.user, request.password.view());
    converse(memory, deadline);
    return dialogue_.decision();
}

void ImapConnection::log_out() noexcept
try {
    connection_.send(dialogue_.logout(), now());
} catch (const std::exception&) { // it has gone first
}

/// Until credentials are wanted, or there is a decision.
void ImapConnection::converse(std::span<char> memory, TimePoint deadline)
{
    for (;;) {
        const TimePoint answer_deadline = std::min(deadline, now() + settings_.timeout);
        switch (dialogue_.wants()) {
        case Wants::to_send: connection_.send(dialogue_.outgoing(memory), answer_deadline); break;
        case Wants::to_receive: hear_answer(answer_deadline); break;
        case Wants::tls:
            connection_.begin_tls(*settings_.trust, host_,
                                  std::min(deadline, now() + settings_.connect_timeout));
            dialogue_.tls_started();
            break;
        case Wants::credentials:
        case Wants::nothing: return;
        }
    }
}

void ImapConnection::hear_answer(TimePoint deadline)
{
    const auto is_awaited = [this] { return dialogue_.wants() == Wants::to_receive; };
    while (is_awaited() && hear(deadline) && now() < deadline) {
    }
    if (is_awaited())
        throw ConnectionSilence{"no answer in time; awaited was " + std::string{dialogue_.awaited()}};
}

/// False when there was nothing to hear by the deadline.
bool ImapConnection::hear(TimePoint deadline)
{
    std::array<char, 4096> said; // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
    const auto bytes = connection_.receive(said, deadline);
    if (!bytes)
        return false;
    const Wipe at_the_end{std::span{said}.first(*bytes)}; // a server may send back what it got
    if (*bytes == 0)
        dialogue_.end_of_stream();
    dialogue_.receive({said.data(), *bytes});
    return true;
}

} // namespace postern
