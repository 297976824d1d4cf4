// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/stores/digest.hpp"
#include "base/secret.hpp"
#include "protocol/scram_challenge.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

/// The server's side of SCRAM's arithmetic (RFC 5802, section 3), and CRAM-MD5's (RFC 2195). No messages: who
/// speaks them knows the nonces, here there are keys.
///
/// Passwords are prepared by SASLprep (RFC 4013) as RFC 5802 has it, and taken byte for byte where that
/// fails: bytes that are no UTF-8, control characters, characters younger than Unicode 3.2, and where it
/// would leave nothing. libgsasl and most
/// clients prepare; the plug-in of Cyrus SASL never does. So everybody agrees on passwords of ASCII and on
/// those that SASLprep leaves as they are, precomposed letters for example; a password with others (U+00A0,
/// an accent that follows its letter) is one that a client of Cyrus SASL cannot prove. What is not ASCII
/// passes through memory of libidn, which is not wiped.
///
/// Nothing blocks but PBKDF2, for milliseconds. Any thread. Throws std::bad_alloc.
namespace postern {

enum class ScramHash : std::uint8_t { sha1, sha256 };

/// Of SASL's "SCRAM-SHA-1" and "SCRAM-SHA-256"; nothing for any other name.
[[nodiscard]] std::optional<ScramHash> scram_hash_of(std::string_view mechanism) noexcept;

inline constexpr std::size_t scram_salt_bytes_max = 128; ///< of a verifier of others

/// What is kept of a password so that SCRAM can be checked: salt, StoredKey and ServerKey.
///
/// Whoever has it can guess the password at PBKDF2's price, and pose as the server, but cannot log in.
class ScramVerifier {
public:
    /// Under a new, random salt.
    [[nodiscard]] static ScramVerifier make(ScramHash hash, const Secret& password);
    [[nodiscard]] static ScramVerifier make(ScramHash hash, const Secret& password, std::string salt,
                                            std::uint32_t iterations);

    /// From the value of Cyrus SASL's property authPassword, as its plug-in scram reads it:
    ///     SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY
    /// all but the count in base64, blanks allowed around the name and the second `$` (RFC 5803 and RFC
    /// 3112). Nothing when it is anything else.
    [[nodiscard]] static std::optional<ScramVerifier> parse(std::string_view text);

    /// The same text.
    [[nodiscard]] std::string text() const;

    [[nodiscard]] ScramHash hash() const noexcept { return hash_; }

    [[nodiscard]] std::uint32_t iterations() const noexcept { return iterations_; }

    /// Whether it was made of that password: what a PLAIN login needs. Costs what make() does.
    [[nodiscard]] bool matches(const Secret& password) const;

    /// What the server's first message says behind its nonce.
    [[nodiscard]] std::string challenge() const { return scram_challenge(salt_, iterations_); }

    /// ServerSignature in base64 when `proof`, the bytes of ClientProof, is the one for that AuthMessage.
    [[nodiscard]] std::optional<std::string> prove(std::string_view transcript, const Secret& proof) const;

private:
    ScramVerifier(ScramHash hash, std::string salt, std::uint32_t iterations, const Digest& stored_key,
                  const Digest& server_key)
        : hash_{hash}
        , iterations_{iterations}
        , salt_{std::move(salt)}
        , stored_key_{stored_key}
        , server_key_{server_key}
    {
    }

    ScramHash hash_;
    std::uint32_t iterations_;
    std::string salt_; ///< bytes
    Digest stored_key_;
    Digest server_key_;
};

/// Whether the password has bytes, but SASLprep leaves none of them: a client that prepares it would log in
/// with an empty one, or not at all.
[[nodiscard]] bool is_nothing_when_prepared(const Secret& password);

/// Costs what ScramVerifier::make() does: for a user whom nobody knows.
void spend_scram(ScramHash hash, const Secret& password, std::uint32_t iterations);

/// Whether `proof`, 32 hexadecimal digits, proves by CRAM-MD5 that its maker has the password.
[[nodiscard]] bool cram_md5_proves(const Secret& password, std::string_view challenge, const Secret& proof);

} // namespace postern
