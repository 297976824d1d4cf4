// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/dovecot_auth.hpp"
#include "tools/login_outcome.hpp"
#include "tools/sasl_client.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// A client of a socket of the Dovecot authentication protocol, be it Postern's or Dovecot's own. Trouble is
/// an outcome here, not an exception, and nothing waits longer than `patience`.
namespace postern {

/// What a socket says before it is asked.
struct SocketGreeting {
    enum class Kind : std::uint8_t {
        dovecot, ///< greets, and says what it offers
        silence, ///< has ended the connection without a word, as a saslauthd does
        trouble, ///< cannot be asked, whatever it speaks
    };

    Kind kind = Kind::trouble;
    std::vector<std::string> mechanisms{}; ///< of a greeting
    LoginOutcome trouble{};
};

/// Connects, says that nothing will be asked, and listens to the end of a greeting or of the connection. So
/// no password comes to a server that would take it for something else, and no time is spent on waiting for
/// words that a saslauthd never says.
[[nodiscard]] SocketGreeting listen_to(const std::string& socket_path, std::chrono::milliseconds patience);

/// A login to be tried; borrows everything.
struct DovecotLogin {
    sasl::Mechanism mechanism;
    const SaslLogin& who;
    const dovecot::Parameters& parameters;
};

/// Asks once and closes. An OK is believed if the mechanism lets it be: see SaslClient.
///
/// Throws std::length_error when something to be said is over login_bytes_max. `secrets` must have slots of
/// that size, six of them free.
[[nodiscard]] LoginOutcome try_dovecot_login(const std::string& socket_path, const DovecotLogin& login,
                                             SecretArena& secrets, std::chrono::milliseconds patience);

/// "PLAIN, LOGIN and SCRAM-SHA-1", as one line of a terminal may show it.
[[nodiscard]] std::string listed(const std::vector<std::string>& mechanisms);

} // namespace postern
