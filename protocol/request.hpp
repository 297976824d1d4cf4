// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

/// What a backend is asked about a user.
enum class Asked : std::uint8_t {
    password = 1,  ///< does it belong to the user?
    challenge = 2, ///< what must a client know before it can prove that it has the password?
    proof = 3,     ///< does it prove that?
};

/// One question: may this user log in with this password?
///
/// Protocols make it, Authenticator carries it, a backend answers it. It only moves, because it holds a
/// Secret. Every field is a stranger's bytes: no NUL is among them, everything else may be.
struct Request {
    std::string user;
    Secret password;              ///< or the proof, which can be searched for the password
    std::string service;          ///< what the user logs in to: "smtp", "imap"; may be empty
    std::string realm;            ///< may be empty
    std::string client_address;   ///< of the mail user, as the peer stated it; empty when it did not
    std::string server_address{}; ///< that the mail user has connected to; the same
    std::string mechanism{}; ///< the name of the SASL mechanism: "PLAIN"; empty when the peer did not say
    bool is_secured = false; ///< the peer says that the mail user's connection is encrypted
    Asked asked = Asked::password;
    std::string transcript{}; ///< what a proof is about: the AuthMessage of SCRAM, the challenge of CRAM-MD5
    std::string salt{};       ///< the user's, of SCRAM, where the store has none: scram_salt_bytes of them
};

/// The longest transcript.
inline constexpr std::size_t transcript_bytes_max = 8192;

/// Where the client is, without the port that some peers state behind a semicolon.
[[nodiscard]] inline std::string_view client_host(const Request& request) noexcept
{
    const std::string_view address = request.client_address;
    return address.substr(0, address.find(';'));
}

} // namespace postern
