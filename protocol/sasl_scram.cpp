// SPDX-License-Identifier: BSD-2-Clause
//
// SCRAM (RFC 5802), without what it is famous for: salt, iterations and the server's signature come from the
// backend, and the client's proof goes there. What is left is a matter of form, and the form is what the
// proof is about: both sides sign all that was said but the proof itself. So what a client said is kept as it
// was said and never written anew, with two exceptions that are compared instead, channel binding and nonce.
//
// Channel binding is not offered (no mechanism ends in -PLUS), so a client that could have done it ("y") has
// not been cheated, and one that insists ("p=") has misread. Extensions that are not mandatory are signed and
// ignored, as the RFC wants it; a mandatory one ("m=") ends the exchange.
//
//     C: n,,n=user,r=NONCE                 gs2-header client-first-message-bare
//     S: r=NONCEnonce,s=SALT,i=4096
//     C: c=biws,r=NONCEnonce,p=PROOF
//     S: v=SIGNATURE
//     C: (nothing)                         where OK cannot carry the line before
#include "base/base64.hpp"
#include "base/nul_byte.hpp"
#include "protocol/request.hpp"
#include "protocol/sasl_exchanges.hpp"
#include "protocol/scram_challenge.hpp"
#include "protocol/verdict.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <span>
#include <utility>

namespace postern::sasl {

namespace {

constexpr std::size_t digest_bytes_max = 32;

bool is_letter(char byte) noexcept
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

bool is_nonce(std::string_view text) noexcept
{
    return !text.empty() &&
           std::ranges::all_of(text, [](char byte) { return byte > ' ' && byte < '\x7f' && byte != ','; });
}

/// "n=user": a letter and a value, which is not empty and has neither NUL nor comma.
struct Attribute {
    char letter;
    std::string_view value;
};

/// The attributes of a message, which commas separate.
class AttributeReader {
public:
    explicit AttributeReader(std::string_view message) noexcept : rest_{message} {}

    [[nodiscard]] bool at_end() const noexcept { return !rest_; }

    /// Nothing when what comes next is no attribute, or nothing comes.
    [[nodiscard]] std::optional<Attribute> next() noexcept
    {
        if (!rest_)
            return std::nullopt;
        const std::size_t comma = rest_->find(',');
        const std::string_view text = rest_->substr(0, comma);
        rest_ = comma == std::string_view::npos ? std::nullopt : std::optional{rest_->substr(comma + 1)};
        if (text.size() < 3 || !is_letter(text[0]) || text[1] != '=' || has_nul(text))
            return std::nullopt;
        return Attribute{text[0], text.substr(2)};
    }

private:
    std::optional<std::string_view> rest_;
};

/// Ignores those that may be ignored.
std::optional<Failure> skip_extensions(AttributeReader& reader) noexcept
{
    while (!reader.at_end()) {
        const auto attribute = reader.next();
        if (!attribute)
            return Failure::malformed;
        if (attribute->letter == 'm')
            return Failure::unsupported;
    }
    return std::nullopt;
}

/// The values of the two attributes that a message begins with.
std::variant<std::array<std::string_view, 2>, Failure> parse_pair(std::string_view message,
                                                                  const std::array<char, 2>& letters) noexcept
{
    AttributeReader reader{message};
    std::array<std::string_view, 2> values;
    for (std::size_t i = 0; i < letters.size(); ++i) {
        const auto attribute = reader.next();
        if (attribute && attribute->letter == 'm')
            return Failure::unsupported;
        if (!attribute || attribute->letter != letters.at(i))
            return Failure::malformed;
        values.at(i) = attribute->value;
    }
    if (const auto why = skip_extensions(reader))
        return *why;
    return values;
}

/// What is named where comma and equals sign are written "=2C" and "=3D".
std::optional<std::string> decode_saslname(std::string_view text)
{
    std::string name;
    while (!text.empty()) {
        const std::size_t taken = text[0] == '=' ? 3 : 1;
        if (taken == 1)
            name += text[0];
        else if (text.starts_with("=2C"))
            name += ',';
        else if (text.starts_with("=3D"))
            name += '=';
        else
            return std::nullopt;
        text.remove_prefix(taken);
    }
    return name;
}

/// The first message of a client.
struct ClientFirst {
    std::string gs2_header;
    std::string bare;
    std::string authzid; ///< empty: the user's own
    std::string user;
    std::string nonce;
};

/// What is in front of the next comma; that and the comma are taken off `message`.
std::optional<std::string_view> take_part(std::string_view& message) noexcept
{
    const std::size_t comma = message.find(',');
    if (comma == std::string_view::npos)
        return std::nullopt;
    const std::string_view part = message.substr(0, comma);
    message.remove_prefix(comma + 1);
    return part;
}

/// Takes it off `message`.
std::optional<Failure> parse_gs2_header(std::string_view& message, ClientFirst& first)
{
    const std::string_view whole = message;
    const auto binding = take_part(message);
    const auto identity = take_part(message);
    if (binding && binding->starts_with("p="))
        return Failure::unsupported;
    if (!identity || (binding != "n" && binding != "y"))
        return Failure::malformed;
    if (!identity->empty()) {
        const auto attribute = AttributeReader{*identity}.next();
        const auto name =
            attribute && attribute->letter == 'a' ? decode_saslname(attribute->value) : std::nullopt;
        if (!name)
            return Failure::malformed;
        first.authzid = *name;
    }
    first.gs2_header = whole.substr(0, whole.size() - message.size());
    return std::nullopt;
}

std::optional<Failure> parse_bare(std::string_view message, ClientFirst& first)
{
    const auto parsed = parse_pair(message, {'n', 'r'});
    if (const auto* const why = std::get_if<Failure>(&parsed))
        return *why;
    const auto& [user, nonce] = std::get<0>(parsed);
    const auto name = decode_saslname(user);
    first.nonce = nonce;
    if (!name || !is_nonce(first.nonce))
        return Failure::malformed;
    first.user = *name;
    first.bare = message;
    return std::nullopt;
}

/// "s=SALT,i=COUNT", as a backend has to say it.
bool is_challenge(std::string_view reply) noexcept
{
    if (reply.size() > decision_reply_bytes_max)
        return false;
    AttributeReader reader{reply};
    const auto salt = reader.next();
    const auto count = reader.next();
    if (!salt || salt->letter != 's' || !count || count->letter != 'i' || !reader.at_end())
        return false;
    std::array<char, decision_reply_bytes_max> bytes{};
    if (read_base64(salt->value, bytes).value_or(0) == 0)
        return false;
    std::uint32_t iterations = 0;
    const char* const end = count->value.data() + count->value.size();
    const auto [stopped, error] = std::from_chars(count->value.data(), end, iterations);
    return error == std::errc{} && stopped == end && !count->value.starts_with('0') &&
           iterations <= scram_iterations_max;
}

class ScramExchange final : public Exchange {
public:
    ScramExchange(const ExchangeTerms& terms, std::size_t digest_bytes)
        : terms_{terms}, digest_bytes_{digest_bytes}
    {
        assert(is_nonce(terms_.nonce));
    }

private:
    enum class Stage : std::uint8_t { client_first, client_final, acknowledgement };

    Step next(std::string_view message) override
    {
        switch (stage_) {
        case Stage::client_first: return take_client_first(message);
        case Stage::client_final: return take_client_final(message);
        case Stage::acknowledgement: break;
        }
        if (!message.empty())
            return Fail{Failure::malformed, first_.user};
        return Succeed{};
    }

    Step take_client_first(std::string_view message)
    {
        if (message.size() > transcript_bytes_max)
            return Fail{Failure::too_long};
        if (const auto why = parse_gs2_header(message, first_))
            return Fail{*why};
        if (const auto why = parse_bare(message, first_))
            return Fail{*why};
        if (const auto why = user_problem(first_.user, terms_.field_bytes_max))
            return Fail{*why};
        if (first_.nonce.size() > client_nonce_bytes_max)
            return Fail{Failure::too_long, first_.user};
        if (!first_.authzid.empty() && first_.authzid != first_.user)
            return Fail{Failure::authorization_identity, first_.user};
        return AskChallenge{first_.user};
    }

    Step challenge_with(std::string_view reply) override
    {
        if (!is_challenge(reply))
            return Fail{Failure::backend, first_.user};
        stage_ = Stage::client_final;
        nonce_ = first_.nonce + terms_.nonce;
        server_first_ = "r=" + nonce_ + "," + std::string{reply};
        return SendChallenge{server_first_};
    }

    Step take_client_final(std::string_view message)
    {
        const std::size_t proof = std::min(message.rfind(','), message.size());
        if (!message.substr(proof).starts_with(",p="))
            return Fail{Failure::malformed, first_.user};
        const std::string_view without_proof = message.substr(0, proof);
        if (const auto why = client_final_problem(without_proof))
            return Fail{*why, first_.user};
        std::string transcript = first_.bare + "," + server_first_ + ",";
        if (transcript.size() + without_proof.size() > transcript_bytes_max)
            return Fail{Failure::too_long, first_.user};
        return check_proof(transcript.append(without_proof), message.substr(proof + 3));
    }

    [[nodiscard]] std::optional<Failure> client_final_problem(std::string_view without_proof) const
    {
        const auto parsed = parse_pair(without_proof, {'c', 'r'});
        if (const auto* const why = std::get_if<Failure>(&parsed))
            return *why;
        const auto& [binding, nonce] = std::get<0>(parsed);
        if (binding != in_base64(first_.gs2_header) || nonce != nonce_)
            return Failure::inconsistent;
        return std::nullopt;
    }

    [[nodiscard]] Step check_proof(std::string transcript, std::string_view text) const
    {
        Secret proof{terms_.secrets, ""};
        if (read_base64(text, proof.room(base64_bytes_max(text.size()))) != digest_bytes_)
            return Fail{Failure::malformed, first_.user};
        proof.resize(digest_bytes_);
        return CheckProof{first_.user, std::move(transcript), std::move(proof)};
    }

    Step conclude(std::string_view signature) override
    {
        std::array<char, digest_bytes_max> bytes{};
        if (read_base64(signature, bytes) != digest_bytes_)
            return Fail{Failure::backend, first_.user};
        std::string server_final = "v=" + std::string{signature};
        if (terms_.takes_data_with_success)
            return Succeed{std::move(server_final)};
        stage_ = Stage::acknowledgement;
        return SendChallenge{std::move(server_final)};
    }

    ExchangeTerms terms_;
    std::size_t digest_bytes_;
    Stage stage_ = Stage::client_first;
    ClientFirst first_;
    std::string nonce_; ///< the client's, and ours behind it
    std::string server_first_;
};

} // namespace

std::unique_ptr<Exchange> make_scram_exchange(const ExchangeTerms& terms, std::size_t digest_bytes)
{
    return std::make_unique<ScramExchange>(terms, digest_bytes);
}

} // namespace postern::sasl
