// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/believable_challenge.hpp"

#include "protocol/scram_challenge.hpp"

#include <sodium.h>

namespace postern {

namespace {

void add(crypto_generichash_state& state, std::string_view bytes)
{
    const std::uint64_t size = bytes.size(); // in front, so that no two pairs of texts are one
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(&size), sizeof size);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
}

} // namespace

std::string scram_salt_of(const ChallengeKey& key, std::string_view account, std::string_view mechanism)
{
    std::string salt(scram_salt_bytes, '\0');
    crypto_generichash_state state;
    crypto_generichash_init(&state, key.data(), key.size(), salt.size());
    add(state, mechanism);
    add(state, account);
    crypto_generichash_final(&state, reinterpret_cast<unsigned char*>(salt.data()), salt.size());
    return salt;
}

std::string believable_challenge(std::string_view salt)
{
    return scram_challenge(salt, scram_iterations);
}

} // namespace postern
