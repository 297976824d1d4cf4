// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/ldap_password.hpp"

#include "backends/stores/password_hash.hpp"

#include <openssl/evp.h>
#include <sodium.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace postern {

namespace {

constexpr std::size_t stored_bytes_max = 4096;
constexpr std::uint32_t iterations_max = 10'000'000; ///< some seconds

using Bytes = std::vector<unsigned char>;

/// What was made of a password: wiped.
struct Digest {
    Digest() = default;
    Digest(const Digest&) = delete;
    Digest& operator=(const Digest&) = delete;
    ~Digest() { sodium_memzero(bytes.data(), bytes.size()); }

    [[nodiscard]] bool is(const unsigned char* expected, std::size_t expected_size) const noexcept
    {
        return size == expected_size && sodium_memcmp(bytes.data(), expected, size) == 0;
    }

    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
    unsigned size = 0;
};

const unsigned char* bytes_of(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::optional<Bytes> decode_base64(std::string_view text, int variant)
{
    if (text.empty())
        return {};
    Bytes bytes(text.size());
    std::size_t size = 0;
    if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size, nullptr,
                          variant) != 0)
        return {};
    bytes.resize(size);
    return bytes;
}

/// The base64 of passlib and of OpenLDAP's pw-pbkdf2: a dot for the plus, and nothing at the end.
std::optional<Bytes> decode_adapted_base64(std::string_view text)
{
    std::string usual{text};
    std::ranges::replace(usual, '.', '+');
    return decode_base64(usual, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
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

/// `hash` is what stands behind the braces; `method` is OpenSSL's, where one is needed.
using Match = bool (*)(std::string_view hash, const Secret& password, const EVP_MD* method);

bool matches_text(std::string_view hash, const Secret& password, const EVP_MD*)
{
    return is_same_text(hash, password.view());
}

bool matches_crypt(std::string_view hash, const Secret& password, const EVP_MD*)
{
    return crypt_matches(hash, password);
}

bool matches_argon2(std::string_view hash, const Secret& password, const EVP_MD*)
{
    return argon2_matches(hash, password);
}

/// The digest of password and salt, and the salt behind it.
bool matches_digest(const Bytes& stored, const Secret& password, const EVP_MD* method)
{
    const auto size = static_cast<std::size_t>(EVP_MD_get_size(method));
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    Digest made;
    if (!context)
        throw std::bad_alloc{};
    return EVP_DigestInit_ex(context.get(), method, nullptr) == 1 &&
           EVP_DigestUpdate(context.get(), password.view().data(), password.size()) == 1 &&
           EVP_DigestUpdate(context.get(), stored.data() + size, stored.size() - size) == 1 &&
           EVP_DigestFinal_ex(context.get(), made.bytes.data(), &made.size) == 1 &&
           made.is(stored.data(), size);
}

bool matches_unsalted(std::string_view hash, const Secret& password, const EVP_MD* method)
{
    const auto stored = decode_base64(hash, sodium_base64_VARIANT_ORIGINAL);
    return stored && stored->size() == static_cast<std::size_t>(EVP_MD_get_size(method)) &&
           matches_digest(*stored, password, method);
}

bool matches_salted(std::string_view hash, const Secret& password, const EVP_MD* method)
{
    const auto stored = decode_base64(hash, sodium_base64_VARIANT_ORIGINAL);
    return stored && stored->size() > static_cast<std::size_t>(EVP_MD_get_size(method)) &&
           matches_digest(*stored, password, method);
}

/// ITERATIONS$SALT$HASH
bool matches_pbkdf2(std::string_view hash, const Secret& password, const EVP_MD* method)
{
    std::uint32_t iterations = 0;
    const auto [end, error] = std::from_chars(hash.data(), hash.data() + hash.size(), iterations);
    hash.remove_prefix(static_cast<std::size_t>(end - hash.data()));
    const std::size_t second = hash.find('$', 1);
    if (error != std::errc{} || iterations == 0 || iterations > iterations_max || !hash.starts_with('$') ||
        second == std::string_view::npos)
        return false;
    const auto salt = decode_adapted_base64(hash.substr(1, second - 1));
    const auto stored = decode_adapted_base64(hash.substr(second + 1));
    Digest made;
    made.size = static_cast<unsigned>(EVP_MD_get_size(method));
    if (!salt || salt->empty() || !stored || stored->size() != made.size)
        return false;
    return PKCS5_PBKDF2_HMAC(password.view().data(), static_cast<int>(password.size()), salt->data(),
                             static_cast<int>(salt->size()), static_cast<int>(iterations), method,
                             static_cast<int>(made.size), made.bytes.data()) == 1 &&
           made.is(stored->data(), stored->size());
}

const EVP_MD* no_method()
{
    return nullptr;
}

struct Scheme {
    std::string_view name;
    Match match;
    const EVP_MD* (*method)();
};

constexpr std::array schemes{
    Scheme{"CLEARTEXT", matches_text, no_method},
    Scheme{"CRYPT", matches_crypt, no_method},
    Scheme{"UNIX", matches_crypt, no_method},
    Scheme{"MD5", matches_unsalted, EVP_md5},
    Scheme{"SMD5", matches_salted, EVP_md5},
    Scheme{"SHA", matches_unsalted, EVP_sha1},
    Scheme{"SSHA", matches_salted, EVP_sha1},
    Scheme{"SHA256", matches_unsalted, EVP_sha256},
    Scheme{"SSHA256", matches_salted, EVP_sha256},
    Scheme{"SHA384", matches_unsalted, EVP_sha384},
    Scheme{"SSHA384", matches_salted, EVP_sha384},
    Scheme{"SHA512", matches_unsalted, EVP_sha512},
    Scheme{"SSHA512", matches_salted, EVP_sha512},
    Scheme{"ARGON2", matches_argon2, no_method},
    Scheme{"PBKDF2", matches_pbkdf2, EVP_sha1},
    Scheme{"PBKDF2-SHA1", matches_pbkdf2, EVP_sha1},
    Scheme{"PBKDF2-SHA256", matches_pbkdf2, EVP_sha256},
    Scheme{"PBKDF2-SHA512", matches_pbkdf2, EVP_sha512},
};

bool is_same_name(std::string_view a, std::string_view b)
{
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace

bool ldap_password_matches(std::string_view stored, const Secret& password)
{
    if (stored.empty() || stored.size() > stored_bytes_max || password.empty() ||
        password.view().find('\0') != std::string_view::npos) // HMAC takes no notice of those at the end
        return false;
    const std::size_t end = stored.starts_with('{') ? stored.find('}') : std::string_view::npos;
    if (end == std::string_view::npos)
        return is_same_text(stored, password.view());
    const std::string_view name = stored.substr(1, end - 1);
    const auto* const scheme = std::ranges::find_if(
        schemes, [name](const Scheme& candidate) { return is_same_name(candidate.name, name); });
    return scheme != schemes.end() && scheme->match(stored.substr(end + 1), password, scheme->method());
}

} // namespace postern
