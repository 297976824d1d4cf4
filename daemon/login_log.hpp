// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/peer_socket.hpp"
#include "protocol/request.hpp"
#include "protocol/verdict.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace postern {

/// Where a login came in, for the log.
struct LoginOrigin {
    std::string_view listener{};        ///< its name
    std::optional<PeerIdentity> peer{}; ///< none: nobody wants to know, or the kernel does not
};

/// What the log is told of a login.
struct LoginRecord {
    const Request& request;
    Verdict verdict = Verdict::unavailable;
    std::string_view backend{}; ///< that decided; empty: none did
    std::string_view reason{};
    std::uint64_t number = 0; ///< of the front's requests, in the order in which they came
    LoginOrigin origin{};
    Duration took{};        ///< from the request to the verdict
    bool is_cached = false; ///< accepted without asking anybody
};

/// Writes the one line of a login, in the words of saslauthd, which expressions in the wild match:
///
///     auth failure: [user=U] [service=S] [realm=R] [mech=M] [reason=TEXT]
///
/// Accepted is "auth success: …" without a reason, at `success_level`, or "auth success (cached): …" without
/// a backend either. An outage is "auth unavailable: …", a warning: who counts failures must not count it.
/// What else is known is appended, so that old expressions match still: [sasl=MECHANISM] [tls=yes]
/// [remote=ADDRESS].
///
/// A log of JSON gets an object with all of the record instead (docs/log.md). Never the password.
void log_login(Log& log, LogLevel success_level, const LoginRecord& record) noexcept;

} // namespace postern
