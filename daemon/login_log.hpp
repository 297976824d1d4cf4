// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"
#include "protocol/request.hpp"
#include "protocol/verdict.hpp"

#include <string_view>

namespace postern {

/// Writes the one line of a login, in the words of saslauthd, which expressions in the wild match:
///
///     auth failure: [user=U] [service=S] [realm=R] [mech=M] [reason=TEXT]
///
/// Accepted is "auth success: …" without a reason, at `success_level`. An outage is "auth unavailable: …", a
/// warning: who counts failures must not count it. What else is known is appended, so that old expressions
/// match still: [sasl=MECHANISM] [tls=yes] [remote=ADDRESS].
void log_login(Log& log, LogLevel success_level, const Request& request, Verdict verdict,
               std::string_view backend, std::string_view reason) noexcept;

/// The line of one that was accepted without asking anybody, at the same level:
///
///     auth success (cached): [user=U] [service=S] [realm=R]
void log_cached_login(Log& log, LogLevel success_level, const Request& request) noexcept;

} // namespace postern
