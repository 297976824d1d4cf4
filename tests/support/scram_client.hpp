// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/base64.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <stdexcept>
#include <string>
#include <string_view>

/// What the client of a SCRAM exchange computes (RFC 5802, section 3), from the messages as they are written.
namespace postern {

inline std::string from_base64(std::string_view text)
{
    std::string bytes(base64_bytes_max(text.size()), '\0');
    bytes.resize(read_base64(text, bytes).value());
    return bytes;
}

/// The value of one attribute: `s` of "r=…,s=…,i=…".
inline std::string attribute(std::string_view message, char name)
{
    std::string padded = ',' + std::string{message} + ',';
    const std::size_t begin = padded.find(std::string{','} + name + '=') + 3;
    return padded.substr(begin, padded.find(',', begin) - begin);
}

/// The bytes of ClientProof, for what the server said: "s=…,i=…", and AuthMessage.
inline std::string client_proof(bool is_sha256, std::string_view password, std::string_view challenge,
                                std::string_view transcript)
{
    const EVP_MD* const md = is_sha256 ? EVP_sha256() : EVP_sha1();
    const auto size = static_cast<std::size_t>(EVP_MD_get_size(md));
    const auto hmac = [&](const std::string& key, std::string_view message) {
        std::string made(size, '\0');
        HMAC(md, key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(message.data()), message.size(),
             reinterpret_cast<unsigned char*>(made.data()), nullptr);
        return made;
    };
    const std::string salt = from_base64(attribute(challenge, 's'));
    std::string salted(size, '\0');
    PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()),
                      reinterpret_cast<const unsigned char*>(salt.data()), static_cast<int>(salt.size()),
                      std::stoi(attribute(challenge, 'i')), md, static_cast<int>(size),
                      reinterpret_cast<unsigned char*>(salted.data()));
    std::string proof = hmac(salted, "Client Key");
    std::string stored(size, '\0');
    EVP_Digest(proof.data(), size, reinterpret_cast<unsigned char*>(stored.data()), nullptr, md, nullptr);
    const std::string signature = hmac(stored, transcript);
    for (std::size_t i = 0; i < size; ++i)
        proof[i] = static_cast<char>(proof[i] ^ signature[i]);
    return proof;
}

} // namespace postern
