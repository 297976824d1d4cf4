// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

/// The most bytes of a whole request; libsasl2 sends half as many.
inline constexpr std::size_t login_bytes_max = 16 * 1024;

/// A login to be tried; borrows everything.
struct LoginAttempt {
    std::string_view user;
    const Secret& password;
    std::string_view service;
    std::string_view realm;
};

/// How far a login came, in the order of things.
enum class LoginStep : std::uint8_t { connect, send, reply_length, reply_text, reply_meaning };

/// What became of a login.
struct LoginOutcome {
    enum class Kind : std::uint8_t { accepted, refused, unavailable };

    Kind kind = Kind::unavailable;
    LoginStep step = LoginStep::reply_meaning; ///< where an unavailable one ended
    std::string cause;                         ///< why; empty for the others
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
