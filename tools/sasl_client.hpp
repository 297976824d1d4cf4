// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "protocol/sasl_exchange.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// Who logs in by SASL.
struct SaslLogin {
    std::string user;
    const Secret& password;
};

/// The client's side of SASL: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 and SCRAM-SHA-256, for tools that log in as
/// a mail user does.
///
/// Bytes in, bytes out, without base64 around them; names and passwords are sent as they are, without
/// SASLprep (RFC 4013). It believes no server that does not prove, where the mechanism lets it, that it knows
/// the user too.
///
/// A response may hold the password, so it is a Secret. Throws std::length_error when a slot does not hold
/// the whole of it.
class SaslClient {
public:
    SaslClient(const SaslClient&) = delete;
    SaslClient& operator=(const SaslClient&) = delete;
    virtual ~SaslClient() = default;

    /// What goes with the name of the mechanism. Nothing: the server speaks first. Who cannot send it
    /// answers the server's first, empty, challenge by respond().
    [[nodiscard]] virtual std::optional<Secret> initial_response() { return respond(""); }

    /// The answer to a challenge. Nothing: the server's words make no sense, and the login is over.
    [[nodiscard]] virtual std::optional<Secret> respond(std::string_view challenge) = 0;

    /// Whether a server that says that the user is in is to be believed. `additional_data` came with its
    /// word.
    [[nodiscard]] virtual bool accepts(std::optional<std::string_view> additional_data) = 0;

    /// What is wrong with words that respond() had no answer to, for people: "it asks for …". Empty where all
    /// that can be said is that they make no sense.
    [[nodiscard]] virtual std::string complaint() const { return {}; }

    /// Whether the server has signed, and wrongly: it does not know the user, whoever it is.
    [[nodiscard]] virtual bool has_seen_false_signature() const noexcept { return false; }

protected:
    SaslClient() = default;
};

/// `login` and `secrets` outlive the client. `nonce` is for SCRAM: printable, without a comma, never the same
/// twice.
[[nodiscard]] std::unique_ptr<SaslClient> make_sasl_client(sasl::Mechanism mechanism, const SaslLogin& login,
                                                           std::string nonce, SecretArena& secrets);

} // namespace postern
