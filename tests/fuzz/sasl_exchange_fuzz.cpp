// SPDX-License-Identifier: BSD-2-Clause

// Whatever a client and a backend say, an exchange lets nobody in who was not accepted, and asks about
// nothing but what the client has said in the form of its mechanism. One target for each value of MECHANISM.
#include "base/lower_case.hpp"
#include "protocol/request.hpp"
#include "protocol/sasl_exchange.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

using namespace postern;
using sasl::Mechanism;

namespace {

using namespace std::string_literals;

constexpr char end_of_message = '\x1e';
const std::string cram_challenge = "<17.4@mail>";
const std::string server_nonce = "server";

/// SCRAM has one target for both SHAs; an input chooses.
Mechanism variant_of(Mechanism mechanism, bool is_sha_256)
{
    return mechanism == Mechanism::scram_sha_1 && is_sha_256 ? Mechanism::scram_sha_256 : mechanism;
}

constexpr std::size_t secrets_max = 3;

/// One for all inputs: to map memory for each takes longer than the exchange.
SecretArena& secrets()
{
    static SecretArena arena{1024, secrets_max};
    return arena;
}

bool is_user(std::string_view text, std::size_t field_bytes_max)
{
    return !text.empty() && text.size() <= field_bytes_max &&
           std::ranges::all_of(text, [](unsigned char byte) { return byte >= 0x20 && byte != 0x7f; });
}

std::string saslname(std::string_view name)
{
    std::string text;
    for (const char byte : name)
        text += byte == ',' ? "=2C"s : byte == '=' ? "=3D"s : std::string(1, byte);
    return text;
}

/// One exchange, what was said in it, and what it promises of each step.
class Watched {
public:
    Watched(Mechanism mechanism, bool takes_data, std::size_t field_bytes_max)
        : mechanism_{mechanism}
        , field_bytes_max_{field_bytes_max}
        , exchange_{make_exchange(mechanism, {.secrets = secrets(),
                                              .challenge = cram_challenge,
                                              .nonce = server_nonce,
                                              .takes_data_with_success = takes_data,
                                              .field_bytes_max = field_bytes_max})}
    {
    }

    void begin(std::optional<std::string_view> initial_response)
    {
        said_ = initial_response.value_or("");
        next(exchange_->begin(initial_response));
    }

    /// Gives the words to the call of that number; what was awaited is number 0.
    void hear(std::string_view words, std::size_t call)
    {
        if (call == 0)
            call = std::holds_alternative<sasl::SendChallenge>(step_)  ? 1
                   : std::holds_alternative<sasl::AskChallenge>(step_) ? 2
                                                                       : 3;
        if (call == 1) {
            before_ = said_;
            said_ = words;
            next(exchange_->take(words));
        } else if (call == 2) {
            reply_ = words;
            next(exchange_->take_challenge(words));
        } else {
            was_asked_ = std::holds_alternative<sasl::CheckPassword>(step_) ||
                         std::holds_alternative<sasl::CheckProof>(step_) || was_asked_;
            next(exchange_->take_acceptance(words));
        }
    }

private:
    void next(sasl::Step step)
    {
        promise(!is_over_ || std::holds_alternative<sasl::Fail>(step), "what is over stays over");
        step_ = std::move(step);
        std::visit([this](const auto& taken) { look_at(taken); }, step_);
    }

    void look_at(const sasl::SendChallenge&) const {}

    void look_at(const sasl::CheckPassword& check) const
    {
        const std::string_view password = check.password.view();
        promise(is_user(check.user, field_bytes_max_), "a user is one");
        promise(!password.empty() && password.size() <= field_bytes_max_ &&
                    password.find('\0') == std::string_view::npos,
                "a password is one");
        if (mechanism_ == Mechanism::plain) {
            const std::string message = "\0"s + check.user + "\0"s + std::string{password};
            promise(said_ == message || said_ == check.user + message, "PLAIN asks about what was said");
        } else {
            promise(mechanism_ == Mechanism::login && before_ == check.user && said_ == password,
                    "LOGIN asks about what was said");
        }
    }

    void look_at(const sasl::AskChallenge& ask) const
    {
        promise(is_user(ask.user, field_bytes_max_), "a user is one");
        promise(said_.find(",n=" + saslname(ask.user) + ",r=") != std::string::npos,
                "SCRAM asks about what was said");
        promise(said_.starts_with("n,,") || said_.starts_with("y,,") ||
                    said_.substr(1).starts_with(",a=" + saslname(ask.user) + ",n="),
                "a user of SCRAM acts for himself");
    }

    void look_at(const sasl::CheckProof& check) const
    {
        const std::string_view proof = check.proof.view();
        promise(is_user(check.user, field_bytes_max_), "a user is one");
        promise(check.transcript.size() <= transcript_bytes_max, "a transcript is bounded");
        if (mechanism_ == Mechanism::cram_md5) {
            promise(check.transcript == cram_challenge && proof.size() == 32 &&
                        proof.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
                        in_lower_case(said_) == in_lower_case(check.user) + " " + std::string{proof},
                    "CRAM-MD5 asks about what was said");
            return;
        }
        promise(proof.size() == (mechanism_ == Mechanism::scram_sha_1 ? 20 : 32), "a proof has its size");
        const std::string without_proof = said_.substr(0, said_.rfind(",p="));
        const std::string_view bare = std::string_view{before_}.substr(before_.find(",n=") + 1);
        const std::string_view name_and_rest = bare.substr(bare.find(",r=") + 3);
        const std::string nonce =
            std::string{name_and_rest.substr(0, name_and_rest.find(','))} + server_nonce;
        promise(check.transcript == std::string{bare} + ",r=" + nonce + "," + reply_ + "," + without_proof,
                "SCRAM's transcript is what was said");
        promise(without_proof.find(",r=" + nonce) != std::string::npos, "the client has repeated the nonce");
    }

    void look_at(const sasl::Succeed&)
    {
        promise(was_asked_, "nobody is in who was not accepted");
        is_over_ = true;
    }

    void look_at(const sasl::Fail& fail)
    {
        promise(fail.user.empty() || is_user(fail.user, field_bytes_max_), "a user is one");
        is_over_ = true;
    }

    Mechanism mechanism_;
    std::size_t field_bytes_max_;
    std::unique_ptr<sasl::Exchange> exchange_;
    sasl::Step step_ = sasl::Fail{sasl::Failure::unexpected};
    std::string said_;
    std::string before_; ///< what the client has said before that
    std::string reply_;
    bool was_asked_ = false;
    bool is_over_ = false;
};

/// What is said, one after the other.
std::vector<std::string_view> messages_of(std::string_view bytes)
{
    std::vector<std::string_view> messages;
    for (;;) {
        const std::size_t end = bytes.find(end_of_message);
        messages.push_back(bytes.substr(0, end));
        if (end == std::string_view::npos)
            return messages;
        bytes.remove_prefix(end + 1);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzInput input{data, size};
    const std::size_t flags = input.take_number();
    const std::size_t field_bytes_max = 1 + input.take_number();
    std::size_t order = input.take_number(); // two bits a message; no bits: the right order
    const auto messages = messages_of(input.rest());

    {
        Watched exchange{variant_of(Mechanism::MECHANISM, (flags & 1) != 0), (flags & 2) != 0,
                         field_bytes_max};
        const bool has_initial_response = (flags & 4) != 0;
        exchange.begin(has_initial_response ? std::optional{messages.front()} : std::nullopt);
        for (std::size_t i = has_initial_response ? 1 : 0; i < messages.size(); ++i) {
            exchange.hear(messages[i], order & 3U);
            order >>= 2U;
        }
    }
    promise(secrets().slots_free() == secrets_max, "no secret is kept");
    return 0;
}
