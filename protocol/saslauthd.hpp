// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/verdict.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

/// The wire of Cyrus saslauthd, as its releases up to 2.1.28 and its development branch speak it.
///
/// Bytes in, values out: no sockets, no clock, no log. protocol/README.md shows it byte by byte. It is
/// what libsasl2 (lib/checkpw.c), testsaslauthd, Exim's `saslauthd{}` condition and others send.
namespace postern::saslauthd {

/// The fields of a request, borrowed from the bytes that were parsed; one of them is a password.
struct Fields {
    std::string_view login;
    std::string_view password;
    std::string_view service;
    std::string_view realm;
    std::string_view client_address; ///< the optional fifth field, "address;port"; empty when absent
    bool has_bytes_behind = false;   ///< the peer sent more than was taken
};

/// The names of the four fields, as the incumbent's log lines call them.
enum class FieldName : std::uint8_t { login, password, service, realm };
[[nodiscard]] std::string_view field_name_text(FieldName name) noexcept;

struct NeedsMore {};

/// A request that is refused as soon as it is seen, whatever the passwords are.
struct Refused {
    enum class Why : std::uint8_t { field_too_long, field_with_nul, empty_login, empty_password };
    Why why = Why::field_too_long;
    FieldName field = FieldName::login;
};

using Parsed = std::variant<NeedsMore, Fields, Refused>;

/// Looks at everything a peer has sent so far. A length is checked as soon as it is there, before its
/// bytes. The fifth field is taken only when all of it is in `bytes`: a partial one is ignored, because
/// peers that send four fields would otherwise wait for ever for an answer.
[[nodiscard]] Parsed parse_request(std::string_view bytes, std::size_t field_bytes_max) noexcept;

/// The most bytes that parse_request() has a use for.
[[nodiscard]] constexpr std::size_t request_bytes_max(std::size_t field_bytes_max) noexcept
{
    return 5 * (2 + field_bytes_max);
}

/// What listener option when_unavailable says.
enum class WhenUnavailable : std::uint8_t { empty_reply, say_no };

/// What stands behind OK and NO. Some of saslauthd's mechanisms say there what they have done; nobody needs
/// it, and some peers show it.
struct ReplyTexts {
    std::string accepted; ///< empty: OK alone
    std::string refused;  ///< empty: NO alone

    bool operator==(const ReplyTexts&) const = default;
};

/// Of one text, at most: libsasl2 takes 1023 bytes with the word in front.
inline constexpr std::size_t reply_text_bytes_max = 120;
inline constexpr std::size_t reply_bytes_max = 2 + 3 + reply_text_bytes_max;

/// Writes a whole reply as it goes on the wire, a 16-bit length and a text, into `memory` and returns its
/// bytes. Every refusal has the same; a NO that stands for an outage has no text.
///
/// Unavailable is a reply of length zero: libsasl2 takes it for trouble of the daemon (SASL_FAIL), and
/// Postfix answers 454 instead of 535. Closing without a reply would say the same, and leak a descriptor
/// in libsasl2 2.1.28. Throws std::length_error when the reply does not fit.
[[nodiscard]] std::string_view write_reply(std::span<char> memory, Verdict verdict,
                                           WhenUnavailable when_unavailable = WhenUnavailable::empty_reply,
                                           const ReplyTexts& texts = {});

/// The same for what is refused as soon as it is seen. Points to constant bytes.
[[nodiscard]] std::string_view reply(const Refused& refused) noexcept;

/// A client's side: writes a request into `memory` and returns its bytes. Throws std::length_error when
/// a field is over 65535 bytes or all do not fit.
[[nodiscard]] std::string_view write_request(std::span<char> memory, const Fields& fields);

/// A client's side: the text of a complete reply, borrowed; nothing while bytes are missing.
[[nodiscard]] std::optional<std::string_view> parse_reply(std::string_view bytes) noexcept;

} // namespace postern::saslauthd
