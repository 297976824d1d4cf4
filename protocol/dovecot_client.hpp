// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/dovecot_auth.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// The Dovecot authentication protocol as its client speaks it: what Postern's tools say to a daemon, be it
/// Postern's or Dovecot's own.
namespace postern::dovecot {

// --- what a client writes ----------------------------------------------------------------------------------
//
// Each writes into `memory` and returns its bytes. Throws std::length_error when they do not fit, or would be
// a line of more than line_bytes_max. Responses are raw bytes, and password material: so is what is written.

inline constexpr std::size_t greeting_bytes_max = 64;

/// What a client says first, of its own accord. `pid` is not 0.
[[nodiscard]] std::string_view write_greeting(std::span<char> memory, std::uint32_t pid,
                                              std::uint32_t minor = version_minor);

/// `id` is not 0, and of no other live request. A response of no bytes is one that is there.
[[nodiscard]] std::string_view write_auth(std::span<char> memory, std::uint32_t id,
                                          std::string_view mechanism, const Parameters& parameters,
                                          std::optional<std::string_view> response);

[[nodiscard]] std::string_view write_response(std::span<char> memory, std::uint32_t id,
                                              std::string_view response);

[[nodiscard]] std::string_view write_cancel(std::span<char> memory, std::uint32_t id);

// --- what a client reads -----------------------------------------------------------------------------------

/// The server has said what it offers: ClientSide::offers().
struct Greeted {};

struct Accepted {
    std::uint32_t id = 0;
    std::string_view user; ///< empty when the server did not say, which Postfix and Exim refuse
    std::optional<std::string_view> response; ///< in base64: the mechanism's last data
};

struct Refused {
    std::uint32_t id = 0;
    std::string_view user;
    std::string_view reason;
    std::string_view code;     ///< "temp_fail"; empty when there is none
    bool is_temporary = false; ///< by its code, or by the word of older servers
};

struct Challenge {
    std::uint32_t id = 0;
    std::string_view challenge; ///< in base64, perhaps empty
};

/// This is no server that can be asked.
struct Unusable {
    enum class Why : std::uint8_t {
        line_too_long,
        malformed,
        version_missing,
        version_unknown,
        no_mechanism,
        too_many_mechanisms,
    };
    Why why = Why::malformed;
};

/// For people: "it offers no mechanism …".
[[nodiscard]] std::string_view unusable_text(Unusable::Why why) noexcept;

using ServerLine = std::variant<NeedsMore, Greeted, Accepted, Refused, Challenge, Unusable>;

/// One connection from the client's side: what the server has said so far.
///
/// It holds no bytes but what the server offers. Lines that it does not know are skipped, as others do.
class ClientSide {
public:
    struct Offer {
        std::string name;
        std::vector<std::string> flags;
    };

    static constexpr std::size_t offers_max = 64;

    struct Next {
        ServerLine line;
        std::size_t taken = 0; ///< bytes off the front
    };

    /// As ServerSide::next(): the first thing that is of use to a caller.
    [[nodiscard]] Next next(std::span<char> arrived);

    [[nodiscard]] const std::vector<Offer>& offers() const noexcept { return offers_; }

    /// In letters of any case.
    [[nodiscard]] bool has_offered(std::string_view mechanism) const noexcept;

private:
    enum class State : std::uint8_t { version, handshake, replies };

    ServerLine take_line(std::span<char> line);
    ServerLine take_version(FieldReader& fields);
    ServerLine take_handshake(std::string_view word, FieldReader& fields);
    ServerLine take_offer(FieldReader& fields);
    ServerLine take_reply(std::string_view word, FieldReader& fields);

    LineFinder line_finder_;
    State state_ = State::version;
    std::optional<Unusable> unusable_; ///< from then on
    std::vector<Offer> offers_;
};

} // namespace postern::dovecot
