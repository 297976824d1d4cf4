// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/server_connection.hpp"
#include "base/clock.hpp"
#include "protocol/imap_dialogue.hpp"
#include "protocol/request.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace postern {

struct ImapServer {
    std::string host;
    std::string port; ///< or the name of a service, which is looked up when it is needed
    std::string name; ///< as the admin wrote it
};

enum class ImapTls : std::uint8_t { none, starttls, implicit };

struct ImapSettings {
    ImapTls tls;
    std::optional<TlsTrust> trust; ///< where there is TLS
    std::chrono::milliseconds connect_timeout;
    std::chrono::milliseconds timeout; ///< of one answer
};

/// A connection to an IMAP server that is good for one login: what a server does with one that has failed, or
/// succeeded, is nobody's business here. The password is in the memory of the caller, and in OpenSSL's
/// (tls_session.cpp).
///
/// All of it waits, and ends by the deadlines.
class ImapConnection {
public:
    /// Goes as far as it can without a user. `settings` are lent as long as it lives. Throws ConnectionError,
    /// and BackendError when there is no chance to be had.
    ImapConnection(const ImapServer& server, const ImapSettings& settings, TimePoint deadline);

    /// Whether the server has not ended it meanwhile.
    [[nodiscard]] bool is_alive() noexcept;

    /// The commands are put together in `memory`, of imap::outgoing_bytes_max(). Throws ConnectionError when
    /// there is no decision.
    [[nodiscard]] Decision log_in(const Request& request, std::span<char> memory, TimePoint deadline);

    /// Tells the server that nothing more will come, if it will hear it now.
    void log_out() noexcept;

private:
    void converse(std::span<char> memory, TimePoint deadline);
    void hear_answer(TimePoint deadline);
    bool hear(TimePoint deadline);

    std::string host_;
    const ImapSettings& settings_;
    TimePoint connect_deadline_;
    ServerConnection connection_;
    imap::Dialogue dialogue_;
};

} // namespace postern
