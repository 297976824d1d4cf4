// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "tools/login_outcome.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace postern {

/// A login to be tried; borrows everything.
struct LoginAttempt {
    std::string_view user;
    const Secret& password;
    std::string_view service;
    std::string_view realm;
};

/// What a reply's text means to libsasl2: "OK…" accepts, everything else refuses, less than two bytes are
/// trouble of the daemon.
[[nodiscard]] LoginOutcome reply_meaning(std::string_view text);

/// A client of a saslauthd socket: asks once and closes, as libsasl2 and testsaslauthd do.
///
/// Unlike these it never waits longer than `patience`. Trouble is an outcome, not an exception; throws
/// std::length_error when the request is over login_bytes_max. `secrets` must have slots of that size.
[[nodiscard]] LoginOutcome try_login(const std::string& socket_path, const LoginAttempt& login,
                                     SecretArena& secrets, std::chrono::milliseconds patience);

} // namespace postern
