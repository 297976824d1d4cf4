// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/dovecot_wire.hpp"
#include "tests/support/line_server.hpp"
#include "tests/support/sasl_server.hpp"
#include "tests/support/sasl_steps.hpp"

#include <optional>
#include <string>
#include <utility>

/// The server's side of Dovecot's protocol for a LineServer. The one account is alice, with the password
/// "hush".
namespace postern {

inline const std::string dovecot_greeting =
    "VERSION 1 2\nMECH PLAIN plaintext\nMECH LOGIN plaintext\nMECH CRAM-MD5 dictionary active\n"
    "MECH SCRAM-SHA-1 mutual-auth\nMECH SCRAM-SHA-256 mutual-auth\nMECH GSSAPI mutual-auth\n"
    "SPID 4711\nCUID 1\nCOOKIE 87786339933d022640fa7e1d7517df45\nDONE\n";

/// Greets, and returns the line of AUTH.
inline std::string greet_until_auth(const LineServer::Peer& peer)
{
    peer.say(dovecot_greeting);
    if (!peer.line().starts_with("VERSION 1 ") || !peer.line().starts_with("CPID "))
        throw std::runtime_error{"the peer does not greet"};
    return peer.line();
}

/// Nothing but the greeting, and that reply to AUTH; then the connection ends.
inline auto dovecot_replying(std::string reply)
{
    return [reply = std::move(reply)](const LineServer::Peer& peer) {
        greet_until_auth(peer);
        peer.say(reply);
    };
}

inline std::string from_base64(std::string_view text)
{
    std::string memory(text.size(), '\0');
    return std::string{dovecot::decode_base64(text, memory).value()};
}

/// The words of a server to a client, as they are or falsified.
using Falsify = std::string (*)(std::string words);

inline std::string honestly(std::string words)
{
    return words;
}

/// A whole login by that mechanism.
inline auto dovecot_server(sasl::Mechanism mechanism,
                           SaslServer::TakesData takes_data = SaslServer::TakesData::no,
                           Falsify falsify = honestly)
{
    return [=](const LineServer::Peer& peer) {
        const std::string auth = greet_until_auth(peer);
        SaslServer server{mechanism, {"alice", "hush"}, takes_data};
        const std::size_t at = auth.find(" resp=");
        auto said = server.begin(at == std::string::npos ? std::nullopt
                                                         : std::optional{from_base64(auth.substr(at + 6))});
        while (said) {
            peer.say("CONT 1 " + in_base64(falsify(*said)) + "\n");
            const std::string answer = peer.line();
            said = server.take(from_base64(answer.substr(answer.rfind(' ') + 1)));
        }
        const auto& data = server.additional_data();
        const std::string last = data ? " resp=" + in_base64(falsify(*data)) : "";
        peer.say(server.has_accepted() ? "OK 1 user=alice" + last + "\n" : "FAIL 1 user=alice\n");
    };
}

} // namespace postern
