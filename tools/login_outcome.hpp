// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace postern {

/// The most bytes of a whole request, or of a line of one; libsasl2 sends half as many.
inline constexpr std::size_t login_bytes_max = 16 * 1024;

/// How far a login came, in the order of things.
enum class LoginStep : std::uint8_t { connect, send, reply_length, reply_text, reply_meaning };

/// What became of a login, whatever protocol it was made by.
struct LoginOutcome {
    enum class Kind : std::uint8_t {
        accepted,
        refused,
        unavailable, ///< nobody could be asked
        impostor,    ///< whoever answers does not know the user: nobody's yes
    };

    Kind kind = Kind::unavailable;
    LoginStep step = LoginStep::reply_meaning; ///< where an unavailable one ended
    std::string cause; ///< why; empty for an accepted one, and for a refused one without a reason
};

/// An outage of what is behind the socket. `error` is an errno or `closed_early` (daemon_socket.hpp).
[[nodiscard]] LoginOutcome unavailable(LoginStep step, int error, std::chrono::milliseconds patience);

/// The same, with its cause in words.
[[nodiscard]] LoginOutcome unavailable(std::string cause);

} // namespace postern
