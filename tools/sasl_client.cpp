// SPDX-License-Identifier: BSD-2-Clause
//
// What a client of SCRAM (RFC 5802, 3) computes:
//
//     SaltedPassword = PBKDF2(password, salt, iterations)
//     ClientKey      = HMAC(SaltedPassword, "Client Key")
//     ClientProof    = ClientKey XOR HMAC(H(ClientKey), AuthMessage)
//     ServerSignature = HMAC(HMAC(SaltedPassword, "Server Key"), AuthMessage)
//
// Everything on the way to it lets its finder log in, so every buffer is wiped.
#include "tools/sasl_client.hpp"

#include "backends/stores/digest.hpp"
#include "base/base64.hpp"
#include "base/wipe.hpp"
#include "protocol/scram_challenge.hpp"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace postern {

namespace {

using sasl::Mechanism;

/// Nothing when it is no base64. Only for what a server says.
std::optional<std::string> from_base64(std::string_view text)
{
    std::string bytes(base64_bytes_max(text.size()), '\0');
    const auto size = read_base64(text, bytes);
    if (!size)
        return std::nullopt;
    bytes.resize(*size);
    return bytes;
}

/// A secret of several parts.
template <typename... Parts>
Secret joined(SecretArena& arena, const Parts&... parts)
{
    Secret whole{arena, ""};
    const auto append = [&whole](std::string_view part) {
        const std::size_t size = whole.size();
        whole.resize(size + part.size());
        std::ranges::copy(part, whole.buffer().begin() + static_cast<std::ptrdiff_t>(size));
    };
    (append(parts), ...);
    return whole;
}

/// The value of the attribute `letter`, which must come next; it is taken off `message`.
std::optional<std::string_view> take_attribute(std::string_view& message, char letter) noexcept
{
    if (message.size() < 3 || message[0] != letter || message[1] != '=')
        return std::nullopt;
    const std::string_view whole = message.substr(0, message.find(','));
    message.remove_prefix(std::min(whole.size() + 1, message.size()));
    return whole.substr(2);
}

/// Nothing when it is no number.
std::optional<unsigned> iterations_in(std::string_view text) noexcept
{
    unsigned iterations = 0;
    const char* const end = text.data() + text.size();
    const auto [stopped, error] = std::from_chars(text.data(), end, iterations);
    return error == std::errc{} && stopped == end ? std::optional{iterations} : std::nullopt;
}

/// A name as SCRAM writes it.
std::string saslname(std::string_view name)
{
    std::string text;
    for (const char byte : name) {
        if (byte == ',')
            text += "=2C";
        else if (byte == '=')
            text += "=3D";
        else
            text += byte;
    }
    return text;
}

class PlainClient final : public SaslClient {
public:
    PlainClient(const SaslLogin& login, SecretArena& secrets) : login_{login}, secrets_{secrets} {}

    std::optional<Secret> respond(std::string_view challenge) override
    {
        using namespace std::string_view_literals;
        if (!challenge.empty() || std::exchange(has_answered_, true))
            return std::nullopt;
        return joined(secrets_, "\0"sv, login_.user, "\0"sv, login_.password.view());
    }

    bool accepts(std::optional<std::string_view>) override { return has_answered_; }

private:
    const SaslLogin& login_;
    SecretArena& secrets_;
    bool has_answered_ = false;
};

/// The words of the prompts differ between servers, their order does not.
class LoginClient final : public SaslClient {
public:
    LoginClient(const SaslLogin& login, SecretArena& secrets) : login_{login}, secrets_{secrets} {}

    std::optional<Secret> initial_response() override { return std::nullopt; }

    std::optional<Secret> respond(std::string_view) override
    {
        switch (answers_++) {
        case 0: return Secret{secrets_, login_.user};
        case 1: return Secret{secrets_, login_.password.view()};
        default: return std::nullopt;
        }
    }

    bool accepts(std::optional<std::string_view>) override { return answers_ == 2; }

private:
    const SaslLogin& login_;
    SecretArena& secrets_;
    unsigned answers_ = 0;
};

class CramMd5Client final : public SaslClient {
public:
    CramMd5Client(const SaslLogin& login, SecretArena& secrets) : login_{login}, secrets_{secrets} {}

    std::optional<Secret> initial_response() override { return std::nullopt; }

    std::optional<Secret> respond(std::string_view challenge) override
    {
        if (challenge.empty() || std::exchange(has_answered_, true))
            return std::nullopt;
        Digest proof = hmac(Hash::md5, login_.password.view(), challenge);
        std::array<char, 33> digits{}; // with a NUL
        const Wipe at_the_end{digits};
        sodium_bin2hex(digits.data(), digits.size(), proof.buffer().data(), proof.size());
        return joined(secrets_, login_.user, " ", std::string_view{digits.data(), 32});
    }

    bool accepts(std::optional<std::string_view>) override { return has_answered_; }

private:
    const SaslLogin& login_;
    SecretArena& secrets_;
    bool has_answered_ = false;
};

class ScramClient final : public SaslClient {
public:
    ScramClient(Hash hash, const SaslLogin& login, std::string nonce, SecretArena& secrets)
        : hash_{hash}, login_{login}, secrets_{secrets}, nonce_{std::move(nonce)}
    {
    }

    std::optional<Secret> respond(std::string_view challenge) override
    {
        switch (std::exchange(stage_, Stage::over)) {
        case Stage::first:
            if (!challenge.empty())
                return std::nullopt;
            stage_ = Stage::final;
            return joined(secrets_, gs2_header, first_bare());
        case Stage::final: return answer_to_first(challenge);
        case Stage::signature:
            if (!check_signature(challenge))
                return std::nullopt;
            return Secret{secrets_, ""};
        case Stage::over: break;
        }
        return std::nullopt;
    }

    bool accepts(std::optional<std::string_view> additional_data) override
    {
        if (std::exchange(stage_, Stage::over) == Stage::signature && additional_data)
            return check_signature(*additional_data);
        return server_is_proved_ && !additional_data;
    }

    std::string complaint() const override { return complaint_; }

    bool has_seen_false_signature() const noexcept override { return has_seen_false_signature_; }

private:
    enum class Stage : std::uint8_t { first, final, signature, over };

    static constexpr std::string_view gs2_header = "n,,";

    [[nodiscard]] std::string first_bare() const { return "n=" + saslname(login_.user) + ",r=" + nonce_; }

    std::optional<Secret> answer_to_first(std::string_view server_first)
    {
        std::string_view rest = server_first;
        const auto nonce = take_attribute(rest, 'r');
        const auto salt_text = take_attribute(rest, 's');
        const auto count_text = take_attribute(rest, 'i');
        if (!nonce || !salt_text || !count_text || !nonce->starts_with(nonce_) ||
            nonce->size() == nonce_.size())
            return std::nullopt;
        const auto salt = from_base64(*salt_text);
        const auto iterations = iterations_in(*count_text);
        if (!salt || salt->empty() || !iterations || !is_bearable(*iterations))
            return std::nullopt;

        const std::string without_proof = "c=" + in_base64(gs2_header) + ",r=" + std::string{*nonce};
        const std::string transcript = first_bare() + "," + std::string{server_first} + "," + without_proof;
        stage_ = Stage::signature;
        return joined(secrets_, without_proof, ",p=", prove(*salt, *iterations, transcript).view());
    }

    /// A server that asks for little work may want to guess the password from the proof; one that asks for
    /// much keeps us busy.
    [[nodiscard]] bool is_bearable(unsigned iterations)
    {
        const bool is_too_little = iterations < scram_iterations_min;
        if (!is_too_little && iterations <= scram_iterations_max)
            return true;
        complaint_ = "it asks for " + std::to_string(iterations) + " rounds of PBKDF2, and " +
                     (is_too_little ? std::to_string(scram_iterations_min) + " are the fewest (RFC 7677)"
                                    : std::to_string(scram_iterations_max) + " are the most that are made");
        return false;
    }

    /// The proof in base64; what the server will have to say is remembered.
    [[nodiscard]] Secret prove(std::string_view salt, std::uint32_t iterations, std::string_view transcript)
    {
        const Digest salted = pbkdf2(hash_, login_.password.view(), salt, iterations);
        const Digest client_key = hmac(hash_, salted.view(), "Client Key");
        const Digest stored_key = digest(hash_, client_key.view());
        const Digest client_signature = hmac(hash_, stored_key.view(), transcript);
        signature_ = hmac(hash_, hmac(hash_, salted.view(), "Server Key").view(), transcript);

        Secret proof{secrets_, ""};
        proof.resize(
            write_base64(proof.buffer(), client_key.exclusive_or(client_signature.view()).view()).size());
        return proof;
    }

    bool check_signature(std::string_view server_final)
    {
        const auto text = take_attribute(server_final, 'v');
        const auto bytes = text ? from_base64(*text) : std::nullopt;
        server_is_proved_ = bytes && signature_.is(*bytes);
        has_seen_false_signature_ = text && !server_is_proved_;
        return server_is_proved_;
    }

    Hash hash_;
    const SaslLogin& login_;
    SecretArena& secrets_;
    std::string nonce_;
    Digest signature_; ///< that the server has to show
    Stage stage_ = Stage::first;
    bool server_is_proved_ = false;
    bool has_seen_false_signature_ = false;
    std::string complaint_;
};

} // namespace

std::unique_ptr<SaslClient> make_sasl_client(Mechanism mechanism, const SaslLogin& login, std::string nonce,
                                             SecretArena& secrets)
{
    switch (mechanism) {
    case Mechanism::plain: return std::make_unique<PlainClient>(login, secrets);
    case Mechanism::login: return std::make_unique<LoginClient>(login, secrets);
    case Mechanism::cram_md5: return std::make_unique<CramMd5Client>(login, secrets);
    case Mechanism::scram_sha_1:
        return std::make_unique<ScramClient>(Hash::sha1, login, std::move(nonce), secrets);
    case Mechanism::scram_sha_256:
        return std::make_unique<ScramClient>(Hash::sha256, login, std::move(nonce), secrets);
    }
    return nullptr;
}

} // namespace postern
