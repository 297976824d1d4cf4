// SPDX-License-Identifier: BSD-2-Clause
#include "backends/server_connection.hpp"

#include "base/posix_error.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

namespace postern {

namespace {

TimePoint now() noexcept
{
    return SystemClock{}.now();
}

/// False at the deadline.
bool wait_for(int socket, short events, TimePoint deadline)
{
    using std::chrono::milliseconds;
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - now());
        if (left <= milliseconds{0}) // ready or not: who gives or takes a byte a time would have no end
            return false;
        pollfd entry{socket, events, 0};
        const int ready =
            ::poll(&entry, 1, static_cast<int>(std::min(left, milliseconds{3'600'000}).count()));
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            throw ConnectionError{"poll: " + error_text(errno)};
    }
}

} // namespace

ServerConnection::ServerConnection(const std::string& host, const std::string& service, TimePoint deadline)
    : socket_{connect_to_host(host, service, deadline)}
{
}

void ServerConnection::begin_tls(const TlsTrust& trust, const std::string& host, TimePoint deadline)
try {
    tls_.emplace(trust, host);
    for (;;) {
        const bool is_done = tls_->handshake();
        send_of_tls(deadline);
        if (is_done)
            return;
        if (now() >= deadline || !receive_for_tls(deadline))
            throw ConnectionSilence{"TLS: no answer in time"};
        if (has_ended_)
            throw ConnectionError{"TLS: the server closed the connection"};
    }
} catch (const TlsError& error) {
    throw ConnectionError{error.what()};
}

void ServerConnection::send(std::string_view bytes, TimePoint deadline)
try {
    if (!tls_)
        return send_raw(bytes, deadline);
    tls_->write(bytes);
    send_of_tls(deadline);
} catch (const TlsError& error) {
    throw ConnectionError{error.what()};
}

void ServerConnection::send_of_tls(TimePoint deadline)
{
    send_raw(tls_->outgoing(), deadline);
    tls_->forget_outgoing();
}

void ServerConnection::send_raw(std::string_view bytes, TimePoint deadline) const
{
    while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (errno == EAGAIN && !wait_for(socket_.get(), POLLOUT, deadline))
            throw ConnectionSilence{"what is sent is not taken in time"};
        else if (errno != EAGAIN && errno != EINTR)
            throw ConnectionError{"the connection broke: " + error_text(errno)};
    }
}

std::optional<std::size_t> ServerConnection::receive(std::span<char> memory, TimePoint deadline)
try {
    if (!tls_)
        return receive_raw(memory, deadline);
    for (bool is_late = false;; is_late = now() >= deadline) { // TLS has records without end that say nothing
        if (const std::size_t bytes = tls_->read(memory); bytes > 0)
            return bytes;
        if (has_ended_ || tls_->has_ended())
            return 0;
        send_of_tls(deadline); // an answer that TLS itself owes
        if (is_late || !receive_for_tls(deadline))
            return {};
    }
} catch (const TlsError& error) {
    throw ConnectionError{error.what()};
}

/// False at the deadline.
bool ServerConnection::receive_for_tls(TimePoint deadline)
{
    std::array<char, 16'384> encrypted; // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
    const auto bytes = receive_raw(encrypted, deadline);
    if (!bytes)
        return false;
    has_ended_ = *bytes == 0;
    tls_->receive({encrypted.data(), *bytes});
    return true;
}

std::optional<std::size_t> ServerConnection::receive_raw(std::span<char> memory, TimePoint deadline) const
{
    for (;;) {
        const ssize_t bytes = ::recv(socket_.get(), memory.data(), memory.size(), 0);
        if (bytes >= 0)
            return static_cast<std::size_t>(bytes);
        if (errno == EAGAIN && !wait_for(socket_.get(), POLLIN, deadline))
            return {};
        if (errno != EAGAIN && errno != EINTR)
            throw ConnectionError{"the connection broke: " + error_text(errno)};
    }
}

} // namespace postern
