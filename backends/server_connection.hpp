// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/server_socket.hpp"
#include "backends/tls_session.hpp"
#include "base/clock.hpp"
#include "base/unique_fd.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postern {

/// A connection to a server on the network, encrypted from some moment on or never.
///
/// Every call ends by its deadline, but for the resolver's share in connecting. All may throw
/// ConnectionError.
class ServerConnection {
public:
    /// Tries all addresses of the host; each gets its share of the time. `service` is a number or a name.
    ServerConnection(const std::string& host, const std::string& service, TimePoint deadline);

    /// From here on nothing is said in the open.
    void begin_tls(const TlsTrust& trust, const std::string& host, TimePoint deadline);

    void send(std::string_view bytes, TimePoint deadline);

    /// How many bytes came; 0: no more will. Nothing when none came by the deadline.
    [[nodiscard]] std::optional<std::size_t> receive(std::span<char> memory, TimePoint deadline);

private:
    [[nodiscard]] std::optional<std::size_t> receive_raw(std::span<char> memory, TimePoint deadline) const;
    [[nodiscard]] bool receive_for_tls(TimePoint deadline);
    void send_raw(std::string_view bytes, TimePoint deadline) const;
    void send_of_tls(TimePoint deadline);

    UniqueFd socket_;
    std::optional<TlsSession> tls_;
    bool has_ended_ = false;
};

} // namespace postern
