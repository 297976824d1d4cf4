// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/front_bounds.hpp"

#include "daemon/control_listener.hpp"
#include "daemon/dovecot_session.hpp"
#include "daemon/worker_queues.hpp"
#include "protocol/dovecot_wire.hpp"
#include "protocol/saslauthd.hpp"
#include "protocol/worker_messages.hpp"

#include <algorithm>

namespace postern {

namespace {

/// Descriptors that are no sessions: standard streams, channel, epoll, timer, log, listeners, and room to
/// accept the connection that makes another one end.
constexpr std::uint64_t descriptors_reserved = 64;

/// Without them nobody is served, whatever the limit is.
constexpr std::uint64_t sessions_min = 16;

/// Beside those of sessions: the one to read into, and some to spare.
constexpr std::size_t slots_reserved = 16;

/// What leads to each: its channel, and the socket of its TaskQueue.
constexpr std::uint64_t descriptors_of_worker = 2;

/// Those that were replaced hold their channel for a moment longer.
std::uint64_t workers_possible(const FrontSetup& setup) noexcept
{
    std::uint64_t workers = 0;
    for (const PoolSetup& pool : setup.pools)
        workers += std::uint64_t{pool.config.workers_max} + pool.config.workers;
    return workers;
}

/// Of which all pools together hold no more.
std::size_t requests_possible(const FrontSetup& setup) noexcept
{
    std::size_t requests = 0;
    for (const PoolSetup& pool : setup.pools)
        requests += pool.config.queue_max + pool.config.workers_max * (1 + worker_queue_max);
    return requests;
}

} // namespace

std::size_t sessions_possible(const FrontSetup& setup, std::uint64_t open_files_max) noexcept
{
    const std::uint64_t taken = descriptors_reserved + setup.listeners.size() +
                                ControlListener::sessions_max +
                                descriptors_of_worker * workers_possible(setup);
    const std::uint64_t left = open_files_max > taken + sessions_min ? open_files_max - taken : sessions_min;
    return static_cast<std::size_t>(std::min<std::uint64_t>(setup.sessions_max, left));
}

std::size_t slot_bytes(const FrontSetup& setup) noexcept
{
    std::size_t bytes = 0;
    for (const ListenerConfig& listener : setup.listeners)
        bytes = std::max({bytes, saslauthd::request_bytes_max(listener.field_bytes_max),
                          worker_message_bytes_max(listener.field_bytes_max), dovecot::line_bytes_max});
    return bytes;
}

/// A session holds a buffer or a request, seldom both. One of the Dovecot protocol has many requests.
std::size_t slots_max(const FrontSetup& setup, std::size_t sessions_max) noexcept
{
    const bool has_dovecot =
        std::ranges::count(setup.listeners, ListenerProtocol::dovecot, &ListenerConfig::protocol) != 0;
    const std::size_t requests =
        std::min(requests_possible(setup), sessions_max * DovecotSession::in_work_max);
    return 2 * sessions_max + slots_reserved + (has_dovecot ? requests : 0);
}

} // namespace postern
