// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/sasl_server.hpp"

#include "tests/support/sasl_steps.hpp"

#include <gsasl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <stdexcept>
#include <utility>

namespace postern {

namespace {

using sasl::Mechanism;

const std::string salt = "\x01 salt, of 21 bytes \xff";
constexpr unsigned iterations = 4096;

std::string hmac(const EVP_MD* hash, std::string_view key, std::string_view text)
{
    std::array<char, EVP_MAX_MD_SIZE> result{};
    unsigned int size = 0;
    ::HMAC(hash, key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(),
           reinterpret_cast<unsigned char*>(result.data()), &size);
    return {result.data(), size};
}

std::string digest(const EVP_MD* hash, std::string_view text)
{
    std::array<char, EVP_MAX_MD_SIZE> result{};
    unsigned int size = 0;
    ::EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(result.data()), &size, hash,
                 nullptr);
    return {result.data(), size};
}

std::string in_hexadecimal(std::string_view bytes)
{
    std::string text;
    for (const char byte : bytes) {
        text += "0123456789abcdef"[static_cast<unsigned char>(byte) >> 4U];
        text += "0123456789abcdef"[static_cast<unsigned char>(byte) & 15U];
    }
    return text;
}

struct ScramKeys {
    std::string stored;
    std::string server;
};

ScramKeys scram_keys(Gsasl_hash hash, std::size_t size, const std::string& password)
{
    std::array<char, 64> salted{};
    std::array<char, 64> client{};
    std::array<char, 64> server{};
    std::array<char, 64> stored{};
    if (::gsasl_scram_secrets_from_password(hash, password.c_str(), iterations, salt.data(), salt.size(),
                                            salted.data(), client.data(), server.data(),
                                            stored.data()) != GSASL_OK)
        throw std::runtime_error{"libgsasl has no keys for that password"};
    return {{stored.data(), size}, {server.data(), size}};
}

} // namespace

SaslServer::SaslServer(Mechanism mechanism, Account account, TakesData takes_data)
    : mechanism_{mechanism}
    , account_{std::move(account)}
    , exchange_{make_exchange(mechanism, {.secrets = arena_,
                                          .challenge = "<17.1700000000@mail.example.org>",
                                          .nonce = "Vd(2lz*Vl0+/=server",
                                          .takes_data_with_success = takes_data == TakesData::yes})}
{
}

std::optional<std::string> SaslServer::begin(std::optional<std::string_view> initial_response)
{
    return drive(exchange_->begin(initial_response));
}

std::optional<std::string> SaslServer::take(std::string_view response)
{
    return drive(exchange_->take(response));
}

std::optional<std::string> SaslServer::drive(sasl::Step step)
{
    for (;;) {
        if (const auto* const send = std::get_if<sasl::SendChallenge>(&step))
            return send->bytes;
        if (const auto* const fail = std::get_if<sasl::Fail>(&step)) {
            failure_ = failure_text(fail->why);
            return std::nullopt;
        }
        if (const auto* const succeed = std::get_if<sasl::Succeed>(&step)) {
            has_accepted_ = true;
            data_ = succeed->additional_data;
            return std::nullopt;
        }
        auto next = act_on(step);
        if (!next)
            return std::nullopt;
        step = std::move(*next);
    }
}

std::optional<sasl::Step> SaslServer::act_on(sasl::Step& step)
{
    if (const auto* const password = std::get_if<sasl::CheckPassword>(&step)) {
        if (password->user != account_.user || password->password.view() != account_.password)
            return std::nullopt;
        return exchange_->take_acceptance("");
    }
    if (std::holds_alternative<sasl::AskChallenge>(step)) // known or not
        return exchange_->take_challenge("s=" + in_base64(salt) + ",i=" + std::to_string(iterations));
    const auto reply = check(std::get<sasl::CheckProof>(step));
    if (!reply)
        return std::nullopt;
    return exchange_->take_acceptance(*reply);
}

std::optional<std::string> SaslServer::check(const sasl::CheckProof& proof) const
{
    if (proof.user != account_.user)
        return std::nullopt;
    if (mechanism_ != Mechanism::cram_md5)
        return check_scram(proof);
    const std::string right = in_hexadecimal(hmac(::EVP_md5(), account_.password, proof.transcript));
    return proof.proof.view() == right ? std::optional{std::string{}} : std::nullopt;
}

std::optional<std::string> SaslServer::check_scram(const sasl::CheckProof& proof) const
{
    const bool is_sha_1 = mechanism_ == Mechanism::scram_sha_1;
    const EVP_MD* const hash = is_sha_1 ? ::EVP_sha1() : ::EVP_sha256();
    const ScramKeys keys = is_sha_1 ? scram_keys(GSASL_HASH_SHA1, 20, account_.password)
                                    : scram_keys(GSASL_HASH_SHA256, 32, account_.password);
    std::string client_key = hmac(hash, keys.stored, proof.transcript);
    for (std::size_t i = 0; i < client_key.size(); ++i)
        client_key[i] = static_cast<char>(client_key[i] ^ proof.proof.view().at(i));
    if (digest(hash, client_key) != keys.stored)
        return std::nullopt;
    return in_base64(hmac(hash, keys.server, proof.transcript));
}

} // namespace postern
