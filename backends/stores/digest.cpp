// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/digest.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>

#include <cassert>
#include <limits>
#include <memory>
#include <stdexcept>

namespace postern {

namespace {

static_assert(Digest::bytes_max == EVP_MAX_MD_SIZE);

const EVP_MD* method_of(Hash hash) noexcept
{
    switch (hash) {
    case Hash::md5: return ::EVP_md5();
    case Hash::sha1: return ::EVP_sha1();
    case Hash::sha256: return ::EVP_sha256();
    case Hash::sha384: return ::EVP_sha384();
    case Hash::sha512: return ::EVP_sha512();
    }
    return nullptr;
}

void expect(bool is_computed)
{
    if (!is_computed)
        throw std::runtime_error{"OpenSSL cannot compute a hash"};
}

int int_of(std::size_t number)
{
    if (number > std::numeric_limits<int>::max())
        throw std::length_error{"too much for OpenSSL"};
    return static_cast<int>(number);
}

const unsigned char* bytes_of(std::string_view text) noexcept
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

} // namespace

std::size_t digest_bytes(Hash hash) noexcept
{
    return static_cast<std::size_t>(::EVP_MD_get_size(method_of(hash)));
}

Digest::Digest(std::size_t size) noexcept : size_{size}
{
    assert(size <= bytes_max);
}

Digest::~Digest()
{
    sodium_memzero(bytes_.data(), bytes_.size());
}

bool Digest::is(std::string_view bytes) const noexcept
{
    return bytes.size() == size_ && sodium_memcmp(bytes_.data(), bytes.data(), size_) == 0;
}

Digest Digest::exclusive_or(std::string_view bytes) const noexcept
{
    assert(bytes.size() == size_);
    Digest made{*this};
    for (std::size_t i = 0; i < size_; ++i)
        made.bytes_.at(i) ^= static_cast<unsigned char>(bytes[i]);
    return made;
}

Digest digest(Hash hash, std::string_view bytes, std::string_view salt)
{
    const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context{::EVP_MD_CTX_new(),
                                                                            ::EVP_MD_CTX_free};
    Digest made{digest_bytes(hash)};
    expect(context && ::EVP_DigestInit_ex(context.get(), method_of(hash), nullptr) == 1 &&
           ::EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
           ::EVP_DigestUpdate(context.get(), salt.data(), salt.size()) == 1 &&
           ::EVP_DigestFinal_ex(context.get(), made.buffer().data(), nullptr) == 1);
    return made;
}

Digest hmac(Hash hash, std::string_view key, std::string_view bytes)
{
    Digest made{digest_bytes(hash)};
    expect(::HMAC(method_of(hash), key.data(), int_of(key.size()), bytes_of(bytes), bytes.size(),
                  made.buffer().data(), nullptr) != nullptr);
    return made;
}

Digest pbkdf2(Hash hash, std::string_view password, std::string_view salt, std::uint32_t iterations)
{
    Digest made{digest_bytes(hash)};
    expect(::PKCS5_PBKDF2_HMAC(password.data(), int_of(password.size()), bytes_of(salt), int_of(salt.size()),
                               int_of(iterations), method_of(hash), int_of(made.size()),
                               made.buffer().data()) == 1);
    return made;
}

} // namespace postern
