// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/ldap_password.hpp"

#include "backends/stores/digest.hpp"
#include "backends/stores/password_hash.hpp"
#include "base/base64.hpp"
#include "base/lower_case.hpp"
#include "base/nul_byte.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <string>

namespace postern {

namespace {

constexpr std::size_t stored_bytes_max = 4096;
constexpr std::uint32_t iterations_max = 10'000'000; ///< some seconds

/// What stands in base64: a digest, a salt, or both. Guesses can be tried against it, so it is wiped.
class Decoded {
public:
    explicit Decoded(std::string_view text, Base64Padding padding = Base64Padding::expected) noexcept
        : size_{read_base64(text, bytes_, padding).value_or(0)}
    {
    }
    Decoded(const Decoded&) = delete;
    Decoded& operator=(const Decoded&) = delete;
    ~Decoded() { sodium_memzero(bytes_.data(), bytes_.size()); }

    /// Empty when it was no base64.
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

private:
    std::array<char, stored_bytes_max> bytes_{};
    std::size_t size_;
};

const unsigned char* bytes_of(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// The base64 of passlib and of OpenLDAP's pw-pbkdf2: a dot for the plus, and nothing at the end.
Decoded decode_adapted(std::string_view text)
{
    std::string usual{text};
    std::ranges::replace(usual, '.', '+');
    return Decoded{usual, Base64Padding::forbidden};
}

/// Neither its content nor the length of what they share shows in the time that this takes.
bool is_same_text(std::string_view stored, std::string_view password)
{
    std::array<unsigned char, crypto_generichash_BYTES> ours{};
    std::array<unsigned char, crypto_generichash_BYTES> theirs{};
    crypto_generichash(ours.data(), ours.size(), bytes_of(stored), stored.size(), nullptr, 0);
    crypto_generichash(theirs.data(), theirs.size(), bytes_of(password), password.size(), nullptr, 0);
    const bool is_same = sodium_memcmp(ours.data(), theirs.data(), ours.size()) == 0;
    sodium_memzero(ours.data(), ours.size());
    sodium_memzero(theirs.data(), theirs.size());
    return is_same;
}

// ---- the schemes

/// `stored` is what stands behind the braces; `hash` is of those schemes that have one.
using Match = bool (*)(std::string_view stored, const Secret& password, Hash hash);

bool matches_text(std::string_view stored, const Secret& password, Hash)
{
    return is_same_text(stored, password.view());
}

bool matches_crypt(std::string_view stored, const Secret& password, Hash)
{
    return crypt_matches(stored, password);
}

bool matches_argon2(std::string_view stored, const Secret& password, Hash)
{
    return argon2_matches(stored, password);
}

bool matches_unsalted(std::string_view stored, const Secret& password, Hash hash)
{
    return digest(hash, password.view()).is(Decoded{stored}.view());
}

/// The digest of password and salt, and the salt behind it.
bool matches_salted(std::string_view stored, const Secret& password, Hash hash)
{
    const Decoded decoded{stored};
    const std::string_view bytes = decoded.view();
    const std::size_t size = digest_bytes(hash);
    return bytes.size() > size && digest(hash, password.view(), bytes.substr(size)).is(bytes.substr(0, size));
}

/// ITERATIONS$SALT$HASH
bool matches_pbkdf2(std::string_view stored, const Secret& password, Hash hash)
{
    std::uint32_t iterations = 0;
    const auto [end, error] = std::from_chars(stored.data(), stored.data() + stored.size(), iterations);
    stored.remove_prefix(static_cast<std::size_t>(end - stored.data()));
    const std::size_t second = stored.find('$', 1);
    if (error != std::errc{} || iterations == 0 || iterations > iterations_max || !stored.starts_with('$') ||
        second == std::string_view::npos)
        return false;
    const Decoded salt = decode_adapted(stored.substr(1, second - 1));
    const Decoded right = decode_adapted(stored.substr(second + 1));
    if (salt.view().empty() || right.view().size() != digest_bytes(hash))
        return false;
    return pbkdf2(hash, password.view(), salt.view(), iterations).is(right.view());
}

struct Scheme {
    std::string_view name;
    Match match;
    Hash hash{};
};

constexpr std::array schemes{
    Scheme{"CLEARTEXT", matches_text},
    Scheme{"CRYPT", matches_crypt},
    Scheme{"UNIX", matches_crypt},
    Scheme{"MD5", matches_unsalted, Hash::md5},
    Scheme{"SMD5", matches_salted, Hash::md5},
    Scheme{"SHA", matches_unsalted, Hash::sha1},
    Scheme{"SSHA", matches_salted, Hash::sha1},
    Scheme{"SHA256", matches_unsalted, Hash::sha256},
    Scheme{"SSHA256", matches_salted, Hash::sha256},
    Scheme{"SHA384", matches_unsalted, Hash::sha384},
    Scheme{"SSHA384", matches_salted, Hash::sha384},
    Scheme{"SHA512", matches_unsalted, Hash::sha512},
    Scheme{"SSHA512", matches_salted, Hash::sha512},
    Scheme{"ARGON2", matches_argon2},
    Scheme{"PBKDF2", matches_pbkdf2, Hash::sha1},
    Scheme{"PBKDF2-SHA1", matches_pbkdf2, Hash::sha1},
    Scheme{"PBKDF2-SHA256", matches_pbkdf2, Hash::sha256},
    Scheme{"PBKDF2-SHA512", matches_pbkdf2, Hash::sha512},
};

} // namespace

bool ldap_password_matches(std::string_view stored, const Secret& password)
{
    if (stored.empty() || stored.size() > stored_bytes_max || password.empty() ||
        has_nul(password.view())) // HMAC takes no notice of those at the end
        return false;
    const std::size_t end = stored.starts_with('{') ? stored.find('}') : std::string_view::npos;
    if (end == std::string_view::npos)
        return is_same_text(stored, password.view());
    const std::string_view name = stored.substr(1, end - 1);
    const auto* const scheme = std::ranges::find_if(
        schemes, [name](const Scheme& candidate) { return is_same_word(candidate.name, name); });
    return scheme != schemes.end() && scheme->match(stored.substr(end + 1), password, scheme->hash);
}

} // namespace postern
