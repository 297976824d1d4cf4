// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// Hash functions that SASL and directories still ask for, and what is made with them: digests, HMAC (RFC
/// 2104), PBKDF2 (RFC 8018). The only place here that knows nettle. OpenSSL's libcrypto has them too, but of
/// its tables every process that maps it gets a copy, 400 KB, and there is one for each worker.
///
/// Nothing blocks but PBKDF2, and nothing fails. Any thread. What is computed on the way is wiped.
namespace postern {

enum class Hash : std::uint8_t { md5, sha1, sha256, sha384, sha512 };

[[nodiscard]] std::size_t digest_bytes(Hash hash) noexcept;

/// What a hash function makes, of a password as a rule: whoever has it can guess, or log in. So it is wiped.
class Digest {
public:
    static constexpr std::size_t bytes_max = 64;

    Digest() noexcept = default;
    /// Zeros, to be filled in place. At most bytes_max.
    explicit Digest(std::size_t size) noexcept;
    Digest(const Digest&) noexcept = default;
    Digest& operator=(const Digest&) noexcept = default;
    ~Digest();

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::span<unsigned char> buffer() noexcept { return std::span{bytes_}.first(size_); }

    [[nodiscard]] std::string_view view() const noexcept
    {
        return {reinterpret_cast<const char*>(bytes_.data()), size_};
    }

    /// Whether these are its bytes, in a time that depends on none of them.
    [[nodiscard]] bool is(std::string_view bytes) const noexcept;

    /// Bit by bit, with as many bytes as it has.
    [[nodiscard]] Digest exclusive_or(std::string_view bytes) const noexcept;

private:
    std::array<unsigned char, bytes_max> bytes_{};
    std::size_t size_ = 0;
};

/// Of `bytes`, and of `salt` behind them.
[[nodiscard]] Digest digest(Hash hash, std::string_view bytes, std::string_view salt = {}) noexcept;

[[nodiscard]] Digest hmac(Hash hash, std::string_view key, std::string_view bytes) noexcept;

/// As many bytes as the hash has. At least one iteration.
[[nodiscard]] Digest pbkdf2(Hash hash, std::string_view password, std::string_view salt,
                            std::uint32_t iterations) noexcept;

} // namespace postern
