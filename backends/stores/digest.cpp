// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/digest.hpp"

#include <nettle/hmac.h>
#include <nettle/md5.h>
#include <nettle/nettle-meta.h>
#include <nettle/pbkdf2.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <sodium.h>

#include <cassert>

#undef pbkdf2 // nettle's other name of nettle_pbkdf2()

namespace postern {

namespace {

/// nettle leaves there what it has made of a key, a password perhaps.
constexpr std::size_t stack_of_nettle = 2048;

const nettle_hash& function_of(Hash hash) noexcept
{
    switch (hash) {
    case Hash::md5: return nettle_md5;
    case Hash::sha1: return nettle_sha1;
    case Hash::sha256: return nettle_sha256;
    case Hash::sha384: return nettle_sha384;
    case Hash::sha512: break;
    }
    return nettle_sha512;
}

const std::uint8_t* bytes_of(std::string_view text) noexcept
{
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

/// How far one of the functions has come with its input; wiped.
class State {
public:
    State() noexcept = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() { sodium_memzero(&memory_, sizeof memory_); }

    [[nodiscard]] void* get() noexcept { return &memory_; }

private:
    union {
        md5_ctx md5;
        sha1_ctx sha1;
        sha256_ctx sha256;
        sha512_ctx sha512; // SHA-384's too
    } memory_{};
};

/// HMAC with a key, of one message after the other.
class KeyedHash {
public:
    KeyedHash(Hash hash, std::string_view key) noexcept : function_{function_of(hash)}
    {
        nettle_hmac_set_key(outer_.get(), inner_.get(), state_.get(), &function_, key.size(), bytes_of(key));
    }

    void update(std::size_t size, const std::uint8_t* bytes) noexcept
    {
        nettle_hmac_update(state_.get(), &function_, size, bytes);
    }

    /// Ends a message.
    void finish(std::size_t size, std::uint8_t* made) noexcept
    {
        nettle_hmac_digest(outer_.get(), inner_.get(), state_.get(), &function_, size, made);
    }

private:
    const nettle_hash& function_;
    State outer_;
    State inner_;
    State state_;
};

} // namespace

std::size_t digest_bytes(Hash hash) noexcept
{
    return function_of(hash).digest_size;
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

Digest digest(Hash hash, std::string_view bytes, std::string_view salt) noexcept
{
    const nettle_hash& function = function_of(hash);
    State state;
    Digest made{function.digest_size};
    function.init(state.get());
    function.update(state.get(), bytes.size(), bytes_of(bytes));
    function.update(state.get(), salt.size(), bytes_of(salt));
    function.digest(state.get(), made.size(), made.buffer().data());
    sodium_stackzero(stack_of_nettle);
    return made;
}

Digest hmac(Hash hash, std::string_view key, std::string_view bytes) noexcept
{
    KeyedHash keyed{hash, key};
    Digest made{digest_bytes(hash)};
    keyed.update(bytes.size(), bytes_of(bytes));
    keyed.finish(made.size(), made.buffer().data());
    sodium_stackzero(stack_of_nettle);
    return made;
}

Digest pbkdf2(Hash hash, std::string_view password, std::string_view salt, std::uint32_t iterations) noexcept
{
    constexpr auto update = [](void* keyed, std::size_t size, const std::uint8_t* bytes) {
        static_cast<KeyedHash*>(keyed)->update(size, bytes);
    };
    constexpr auto finish = [](void* keyed, std::size_t size, std::uint8_t* made) {
        static_cast<KeyedHash*>(keyed)->finish(size, made);
    };
    KeyedHash keyed{hash, password};
    Digest made{digest_bytes(hash)};
    nettle_pbkdf2(&keyed, update, finish, made.size(), iterations, salt.size(), bytes_of(salt), made.size(),
                  made.buffer().data());
    sodium_stackzero(stack_of_nettle);
    return made;
}

} // namespace postern
