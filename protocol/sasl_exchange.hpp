// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "protocol/sasl_mechanism.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

/// The server's side of SASL (RFC 4422): what a client and a server say to each other until there is
/// something to ask a backend, and after that.
namespace postern::sasl {

/// The most bytes that a client may add to a nonce of SCRAM.
inline constexpr std::size_t client_nonce_bytes_max = 256;

/// What an exchange is given, since it has neither chance nor a clock.
struct ExchangeTerms {
    SecretArena& secrets;                 ///< with slots of at least `field_bytes_max` and of 32 bytes
    std::string challenge{};              ///< for CRAM-MD5: "<random.time@host>", never the same twice
    std::string nonce{};                  ///< for SCRAM: printable, without a comma, never the same twice
    bool takes_data_with_success = false; ///< the client's protocol can carry data with its OK
    std::size_t field_bytes_max = 1024;   ///< of a user's name, and of a password
};

/// The next words to the client, who has to answer them.
struct SendChallenge {
    std::string bytes;
};

/// To be asked as Asked::password.
struct CheckPassword {
    std::string user;
    Secret password;
};

/// To be asked as Asked::challenge.
struct AskChallenge {
    std::string user;
};

/// To be asked as Asked::proof.
struct CheckProof {
    std::string user;
    std::string transcript;
    Secret proof;
};

struct Succeed {
    std::optional<std::string> additional_data{}; ///< to go with the OK
};

/// Why there is nothing more to say. None of these is for the client: all refusals look alike.
enum class Failure : std::uint8_t {
    malformed,              ///< not what the mechanism looks like
    empty_field,            ///< no user, or no password
    too_long,               ///< a field or a message is over its bound
    control_byte,           ///< in the name of the user
    authorization_identity, ///< the client wants to act for somebody else
    unsupported,            ///< the client demands what was not offered
    inconsistent,           ///< the client goes back on what was said before
    unexpected,             ///< nobody had asked
    backend,                ///< the backend's reply makes no sense: an outage, and no fault of the client's
};

/// For the log: "the client wants to act for somebody else".
[[nodiscard]] std::string_view failure_text(Failure why) noexcept;

struct Fail {
    Failure why;
    std::string user{}; ///< for the log, as far as there was a name that can be told
};

/// What is to be done next.
using Step = std::variant<SendChallenge, CheckPassword, AskChallenge, CheckProof, Succeed, Fail>;

/// One exchange with one client, from the choice of a mechanism to its end: PLAIN, LOGIN, CRAM-MD5, SCRAM.
///
/// Bytes in, steps out. It does not decode base64 around messages, wait, log or know what a password is
/// worth: a backend that is asked for it decides, and no verifier comes here. A backend's refusal is not told
/// to an exchange, which then just ends.
///
/// Whatever is given to it at the wrong moment fails, and nothing follows a Fail but another. Passwords and
/// proofs are copied once, into the Secret of a step. What it is given is lent until it returns. Throws
/// std::bad_alloc when no slot is free for a secret.
class Exchange {
public:
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    /// `initial_response` is what came with the name of the mechanism; it may be there and empty.
    [[nodiscard]] Step begin(std::optional<std::string_view> initial_response);

    /// The client's answer to SendChallenge.
    [[nodiscard]] Step take(std::string_view response);

    /// The backend's reply to AskChallenge, which it has accepted.
    [[nodiscard]] Step take_challenge(std::string_view reply);

    /// The backend's reply to CheckPassword or CheckProof, which it has accepted. There may still be a word
    /// to be said to the client, who is in only with Succeed.
    [[nodiscard]] Step take_acceptance(std::string_view reply);

protected:
    Exchange() = default;

private:
    /// What is said to a client that has said nothing yet.
    [[nodiscard]] virtual std::string first_challenge() const { return {}; }
    [[nodiscard]] virtual bool allows_initial_response() const { return true; }
    [[nodiscard]] virtual Step next(std::string_view response) = 0;
    [[nodiscard]] virtual Step challenge_with(std::string_view reply);
    [[nodiscard]] virtual Step conclude(std::string_view reply);

    enum class Awaits : std::uint8_t { beginning, response, challenge, acceptance, nothing };

    template <typename Act>
    Step when(Awaits awaited, const Act& act);

    Awaits awaits_ = Awaits::beginning;
};

[[nodiscard]] std::unique_ptr<Exchange> make_exchange(Mechanism mechanism, const ExchangeTerms& terms);

} // namespace postern::sasl
