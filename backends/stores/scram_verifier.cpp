// SPDX-License-Identifier: BSD-2-Clause
//
// The names of keys are those of RFC 5802. A key never leaves its Key, and every buffer that one is made in
// is a Key too, so that wiping is nobody's business but its destructor's.
#include "backends/stores/scram_verifier.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sodium.h>
#include <stringprep.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <stdexcept>
#include <utility>

namespace postern {

namespace {

struct Algorithm {
    ScramHash hash;
    std::string_view mechanism;
    const EVP_MD* (*make)();
    std::size_t key_bytes;
};

constexpr std::array algorithms{
    Algorithm{ScramHash::sha1, "SCRAM-SHA-1", EVP_sha1, 20},
    Algorithm{ScramHash::sha256, "SCRAM-SHA-256", EVP_sha256, 32},
};

const Algorithm& algorithm_of(ScramHash hash)
{
    return *std::ranges::find(algorithms, hash, &Algorithm::hash);
}

void expect(bool is_computed)
{
    if (!is_computed)
        throw std::runtime_error{"OpenSSL cannot compute a hash"};
}

const unsigned char* as_bytes(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::string_view as_text(std::span<const unsigned char> bytes)
{
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// `made` has room for what EVP_MD makes.
void make_hmac(const EVP_MD* digest, std::string_view key, std::string_view message, unsigned char* made)
{
    unsigned int size = 0;
    expect(::HMAC(digest, key.data(), static_cast<int>(key.size()), as_bytes(message), message.size(), made,
                  &size) != nullptr);
}

bool is_ascii(std::string_view text)
{
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// A password as it is hashed. ASCII stays as it is: SASLprep refuses control characters and changes nothing
/// else of it.
class Prepared {
public:
    explicit Prepared(const Secret& password) : bytes_{password.view()}
    {
        if (is_ascii(bytes_) || bytes_.find('\0') != std::string_view::npos) // libidn would stop there
            return;
        const Terminated input{bytes_};
        if (::stringprep_profile(input.text, &made_, "SASLprep", STRINGPREP_NO_UNASSIGNED) == STRINGPREP_OK &&
            !is_nothing())
            bytes_ = made_;
    }

    Prepared(const Prepared&) = delete;
    Prepared& operator=(const Prepared&) = delete;

    ~Prepared()
    {
        if (made_ != nullptr)
            sodium_memzero(made_, std::strlen(made_));
        std::free(made_); // NOLINT(cppcoreguidelines-no-malloc): libidn's
    }

    [[nodiscard]] std::string_view view() const noexcept { return bytes_; }

    /// Whether SASLprep has left nothing.
    [[nodiscard]] bool is_nothing() const noexcept { return made_ != nullptr && *made_ == '\0'; }

private:
    /// A copy with a NUL behind it.
    struct Terminated {
        explicit Terminated(std::string_view bytes)
            : size{bytes.size() + 1}, text{static_cast<char*>(sodium_malloc(size))}
        {
            if (text == nullptr)
                throw std::bad_alloc{};
            text[bytes.copy(text, bytes.size())] = '\0';
        }

        Terminated(const Terminated&) = delete;
        Terminated& operator=(const Terminated&) = delete;

        ~Terminated() { sodium_free(text); }

        std::size_t size;
        char* text;
    };

    std::string_view bytes_;
    char* made_ = nullptr;
};

std::string base64(std::string_view bytes)
{
    std::string text(sodium_base64_ENCODED_LEN(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(text.data(), text.size(), as_bytes(bytes), bytes.size(),
                      sodium_base64_VARIANT_ORIGINAL);
    text.pop_back(); // the NUL
    return text;
}

/// How many bytes `text` stands for; 0 when it is no base64, or more than `bytes` has room for.
std::size_t read_base64(std::string_view text, std::span<unsigned char> bytes)
{
    std::size_t size = 0;
    const bool is_whole = sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr,
                                            &size, nullptr, sodium_base64_VARIANT_ORIGINAL) == 0;
    return is_whole ? size : 0;
}

std::string_view without_blanks(std::string_view text)
{
    const std::size_t begin = std::min(text.find_first_not_of(' '), text.size());
    return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

/// What stands before the separator, which is taken off `text` as well; nothing when there is none.
std::optional<std::string_view> take_before(std::string_view& text, char separator)
{
    const std::size_t at = text.find(separator);
    if (at == std::string_view::npos)
        return std::nullopt;
    const std::string_view before = text.substr(0, at);
    text.remove_prefix(at + 1);
    return before;
}

/// 0 when it is no number that a verifier may have.
std::uint32_t read_iterations(std::string_view text)
{
    std::uint32_t iterations = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), iterations);
    const bool is_number = error == std::errc{} && end == text.data() + text.size();
    return is_number && iterations <= scram_iterations_max ? iterations : 0;
}

} // namespace

std::optional<ScramHash> scram_hash_of(std::string_view mechanism) noexcept
{
    const auto* const found = std::ranges::find(algorithms, mechanism, &Algorithm::mechanism);
    return found == algorithms.end() ? std::nullopt : std::optional{found->hash};
}

ScramVerifier::Key::~Key()
{
    sodium_memzero(bytes.data(), bytes.size());
}

ScramVerifier ScramVerifier::make(ScramHash hash, const Secret& password)
{
    std::string salt(scram_salt_bytes, '\0');
    randombytes_buf(salt.data(), salt.size());
    return make(hash, password, std::move(salt), scram_iterations);
}

ScramVerifier ScramVerifier::make(ScramHash hash, const Secret& password, std::string salt,
                                  std::uint32_t iterations)
{
    ScramVerifier made{hash, std::move(salt), iterations};
    made.derive_keys(password);
    return made;
}

void ScramVerifier::derive_keys(const Secret& password)
{
    const Algorithm& algorithm = algorithm_of(hash_);
    const Prepared prepared{password};
    Key salted_password;
    Key client_key;
    const std::string_view key{as_text(salted_password.bytes).substr(0, algorithm.key_bytes)};
    expect(::PKCS5_PBKDF2_HMAC(prepared.view().data(), static_cast<int>(prepared.view().size()),
                               as_bytes(salt_), static_cast<int>(salt_.size()), static_cast<int>(iterations_),
                               algorithm.make(), static_cast<int>(algorithm.key_bytes),
                               salted_password.bytes.data()) == 1);
    make_hmac(algorithm.make(), key, "Client Key", client_key.bytes.data());
    make_hmac(algorithm.make(), key, "Server Key", server_key_.bytes.data());
    expect(::EVP_Digest(client_key.bytes.data(), algorithm.key_bytes, stored_key_.bytes.data(), nullptr,
                        algorithm.make(), nullptr) == 1);
}

std::optional<ScramVerifier> ScramVerifier::parse(std::string_view text)
{
    const auto mechanism = take_before(text, '$');
    const auto iterations = take_before(text, ':');
    const auto salt = take_before(text, '$');
    const auto stored_key = take_before(text, ':');
    const auto hash = scram_hash_of(without_blanks(mechanism.value_or("")));
    if (!hash || !iterations || !salt || !stored_key)
        return std::nullopt;
    std::array<unsigned char, scram_salt_bytes_max> salt_bytes{};
    const std::size_t salt_size = read_base64(without_blanks(*salt), salt_bytes);
    ScramVerifier parsed{*hash, std::string{as_text(salt_bytes).substr(0, salt_size)},
                         read_iterations(without_blanks(*iterations))};
    const std::size_t key_bytes = algorithm_of(*hash).key_bytes;
    if (salt_size == 0 || parsed.iterations_ == 0 ||
        read_base64(without_blanks(*stored_key), parsed.stored_key_.bytes) != key_bytes ||
        read_base64(without_blanks(text), parsed.server_key_.bytes) != key_bytes)
        return std::nullopt;
    return parsed;
}

std::string ScramVerifier::text() const
{
    const Algorithm& algorithm = algorithm_of(hash_);
    return std::string{algorithm.mechanism} + '$' + std::to_string(iterations_) + ':' + base64(salt_) + '$' +
           base64(as_text(stored_key_.bytes).substr(0, algorithm.key_bytes)) + ':' +
           base64(as_text(server_key_.bytes).substr(0, algorithm.key_bytes));
}

bool ScramVerifier::matches(const Secret& password) const
{
    const ScramVerifier other = make(hash_, password, salt_, iterations_);
    return sodium_memcmp(other.stored_key_.bytes.data(), stored_key_.bytes.data(),
                         stored_key_.bytes.size()) == 0;
}

std::string ScramVerifier::challenge_of(std::string_view salt, std::uint32_t iterations)
{
    return "s=" + base64(salt) + ",i=" + std::to_string(iterations);
}

std::optional<std::string> ScramVerifier::prove(std::string_view transcript, const Secret& proof) const
{
    const auto& [hash, mechanism, make, key_bytes] = algorithm_of(hash_);
    if (proof.size() != key_bytes)
        return std::nullopt;
    Key client_key; // ClientSignature at first; the proof is that and the key, one upon the other
    make_hmac(make(), as_text(stored_key_.bytes).substr(0, key_bytes), transcript, client_key.bytes.data());
    for (std::size_t i = 0; i < key_bytes; ++i)
        client_key.bytes.at(i) ^= static_cast<unsigned char>(proof.view()[i]);
    Key stored_key;
    expect(::EVP_Digest(client_key.bytes.data(), key_bytes, stored_key.bytes.data(), nullptr, make(),
                        nullptr) == 1);
    if (sodium_memcmp(stored_key.bytes.data(), stored_key_.bytes.data(), key_bytes) != 0)
        return std::nullopt;
    std::array<unsigned char, EVP_MAX_MD_SIZE> signature{};
    make_hmac(make(), as_text(server_key_.bytes).substr(0, key_bytes), transcript, signature.data());
    return base64(as_text(signature).substr(0, key_bytes));
}

bool is_nothing_when_prepared(const Secret& password)
{
    return Prepared{password}.is_nothing();
}

void spend_scram(ScramHash hash, const Secret& password, std::uint32_t iterations)
{
    static_cast<void>(ScramVerifier::make(hash, password, std::string(scram_salt_bytes, 's'), iterations));
}

bool cram_md5_proves(const Secret& password, std::string_view challenge, const Secret& digest)
{
    constexpr std::size_t digest_bytes = 16;
    std::array<unsigned char, digest_bytes> proof{};
    std::array<unsigned char, EVP_MAX_MD_SIZE> right{};
    std::size_t size = 0;
    const bool is_digest = digest.size() == 2 * digest_bytes &&
                           sodium_hex2bin(proof.data(), proof.size(), digest.view().data(), digest.size(),
                                          nullptr, &size, nullptr) == 0 &&
                           size == digest_bytes;
    make_hmac(EVP_md5(), password.view(), challenge, right.data());
    const bool is_right = is_digest && sodium_memcmp(right.data(), proof.data(), digest_bytes) == 0;
    sodium_memzero(right.data(), right.size()); // guesses can be tried against both
    sodium_memzero(proof.data(), proof.size());
    return is_right;
}

} // namespace postern
