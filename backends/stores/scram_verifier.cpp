// SPDX-License-Identifier: BSD-2-Clause
//
// The names of keys are those of RFC 5802. A key never leaves its Digest, and what it is made of is one too,
// so that wiping is nobody's business but a destructor's.
#include "backends/stores/scram_verifier.hpp"

#include "base/base64.hpp"
#include "base/nul_byte.hpp"

#include <sodium.h>
#include <stringprep.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>
#include <span>
#include <utility>

namespace postern {

namespace {

struct Algorithm {
    ScramHash hash;
    std::string_view mechanism;
    Hash function;
};

constexpr std::array algorithms{
    Algorithm{ScramHash::sha1, "SCRAM-SHA-1", Hash::sha1},
    Algorithm{ScramHash::sha256, "SCRAM-SHA-256", Hash::sha256},
};

const Algorithm& algorithm_of(ScramHash hash)
{
    return *std::ranges::find(algorithms, hash, &Algorithm::hash);
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
        if (is_ascii(bytes_) || has_nul(bytes_)) // libidn would stop there
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

/// Nothing when it is no base64, or of another size than the keys of that function.
std::optional<Digest> read_key(std::string_view text, Hash function)
{
    Digest key{digest_bytes(function)};
    const std::span<unsigned char> bytes = key.buffer();
    const auto size = read_base64(text, {reinterpret_cast<char*>(bytes.data()), bytes.size()});
    return size == key.size() ? std::optional{key} : std::nullopt;
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

ScramVerifier ScramVerifier::make(ScramHash hash, const Secret& password)
{
    std::string salt(scram_salt_bytes, '\0');
    randombytes_buf(salt.data(), salt.size());
    return make(hash, password, std::move(salt), scram_iterations);
}

ScramVerifier ScramVerifier::make(ScramHash hash, const Secret& password, std::string salt,
                                  std::uint32_t iterations)
{
    const Hash function = algorithm_of(hash).function;
    const Digest salted_password = pbkdf2(function, Prepared{password}.view(), salt, iterations);
    const Digest client_key = hmac(function, salted_password.view(), "Client Key");
    return {hash, std::move(salt), iterations, digest(function, client_key.view()),
            hmac(function, salted_password.view(), "Server Key")};
}

std::optional<ScramVerifier> ScramVerifier::parse(std::string_view text)
{
    const auto mechanism = take_before(text, '$');
    const auto iterations_text = take_before(text, ':');
    const auto salt_text = take_before(text, '$');
    const auto stored_key_text = take_before(text, ':');
    const auto hash = scram_hash_of(without_blanks(mechanism.value_or("")));
    if (!hash || !iterations_text || !salt_text || !stored_key_text)
        return std::nullopt;
    const Hash function = algorithm_of(*hash).function;
    std::array<char, scram_salt_bytes_max> salt{};
    const std::size_t salt_bytes = read_base64(without_blanks(*salt_text), salt).value_or(0);
    const std::uint32_t iterations = read_iterations(without_blanks(*iterations_text));
    const auto stored_key = read_key(without_blanks(*stored_key_text), function);
    const auto server_key = read_key(without_blanks(text), function);
    if (salt_bytes == 0 || iterations == 0 || !stored_key || !server_key)
        return std::nullopt;
    return ScramVerifier{*hash, {salt.data(), salt_bytes}, iterations, *stored_key, *server_key};
}

std::string ScramVerifier::text() const
{
    return std::string{algorithm_of(hash_).mechanism} + '$' + std::to_string(iterations_) + ':' +
           in_base64(salt_) + '$' + in_base64(stored_key_.view()) + ':' + in_base64(server_key_.view());
}

bool ScramVerifier::matches(const Secret& password) const
{
    return stored_key_.is(make(hash_, password, salt_, iterations_).stored_key_.view());
}

std::optional<std::string> ScramVerifier::prove(std::string_view transcript, const Secret& proof) const
{
    const Hash function = algorithm_of(hash_).function;
    if (proof.size() != digest_bytes(function))
        return std::nullopt;
    const Digest client_signature = hmac(function, stored_key_.view(), transcript);
    const Digest client_key = client_signature.exclusive_or(proof.view());
    if (!stored_key_.is(digest(function, client_key.view()).view()))
        return std::nullopt;
    return in_base64(hmac(function, server_key_.view(), transcript).view());
}

bool is_nothing_when_prepared(const Secret& password)
{
    return Prepared{password}.is_nothing();
}

void spend_scram(ScramHash hash, const Secret& password, std::uint32_t iterations)
{
    static_cast<void>(ScramVerifier::make(hash, password, std::string(scram_salt_bytes, 's'), iterations));
}

bool cram_md5_proves(const Secret& password, std::string_view challenge, const Secret& proof)
{
    Digest sent{digest_bytes(Hash::md5)}; // guesses can be tried against it
    std::size_t size = 0;
    const bool is_digest = proof.size() == 2 * sent.size() &&
                           sodium_hex2bin(sent.buffer().data(), sent.size(), proof.view().data(),
                                          proof.size(), nullptr, &size, nullptr) == 0 &&
                           size == sent.size();
    const Digest right = hmac(Hash::md5, password.view(), challenge);
    return right.is(sent.view()) && is_digest;
}

} // namespace postern
