// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/dovecot_wire.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

/// The Dovecot authentication protocol as its server speaks it, to Postfix (smtpd_sasl_type = dovecot), Exim
/// (driver = dovecot) and others.
///
/// It carries SASL and knows nothing of it but the names of mechanisms: what stands in a response or a
/// challenge are bytes. Facts are from Dovecot's documentation (auth_protocol), and from what Dovecot 2.3.19,
/// Postfix 3.7 and Exim 4.96 send.
namespace postern::dovecot {

// --- what a server reads -----------------------------------------------------------------------------------

/// What a peer says about a login beside its mechanism.
struct Parameters {
    std::string_view service{};
    std::string_view client_address{}; ///< of the mail user; empty when it is unknown, or none
    std::string_view server_address{}; ///< that he has connected to; the same
    std::uint16_t client_port = 0;     ///< 0 when it is unknown
    std::uint16_t server_port = 0;
    std::string_view local_name{}; ///< the server's name, as TLS asked for it
    std::string_view session{};    ///< the peer's own name for it
    bool is_secured = false;
    bool has_no_penalty = false;       ///< the throttle is asked to look away: to be believed of few
    bool takes_final_response = false; ///< the server's last data may stand in OK
};

/// A login begins.
struct Auth {
    std::uint32_t id = 0;
    std::string_view mechanism; ///< as the peer spells it, perhaps one that was not offered
    Parameters parameters;
    std::optional<std::string_view> response; ///< in base64; password material
};

/// A login goes on.
struct Cont {
    std::uint32_t id = 0;      ///< need not be one that is live
    std::string_view response; ///< in base64, perhaps empty; password material
};

/// A login is given up. There is no reply.
struct Cancel {
    std::uint32_t id = 0;
};

/// Nothing that the peer says from here on means anything: the connection is to be closed.
struct Broken {
    enum class Why : std::uint8_t {
        line_too_long,
        malformed,
        version_expected,
        version_unknown,
        cpid_expected,
        unknown_command,
        bad_id,
        duplicate_id,
        no_service,
        fields_behind_response,
    };
    Why why = Why::malformed;
};

/// For the log: "a line has more than 16384 bytes". Holds nothing that the peer said.
[[nodiscard]] std::string_view broken_text(Broken::Why why) noexcept;

using Command = std::variant<NeedsMore, Auth, Cont, Cancel, Broken>;

/// One connection from the server's side: what the peer has said so far, and whether it may say that now.
///
/// It holds no bytes. Which requests are live, what becomes of them, and how many there may be is its owner's
/// business.
class ServerSide {
public:
    /// `is_live`: whether a request with that id is in work, so that no other may have it.
    explicit ServerSide(std::function<bool(std::uint32_t id)> is_live);

    struct Next {
        Command command;
        std::size_t taken = 0; ///< bytes off the front
    };

    /// The next command for a session. VERSION and CPID are none: they are taken on the way.
    ///
    /// `arrived` begins with the first byte that was not taken yet, and with NeedsMore it is to be given
    /// again with more behind it. A buffer of line_bytes_max is enough. A command borrows from it, and is
    /// unescaped in it.
    [[nodiscard]] Next next(std::span<char> arrived);

    /// What the peer said, once it has.
    [[nodiscard]] std::uint32_t peer_minor() const noexcept { return peer_minor_; }
    [[nodiscard]] std::uint32_t peer_pid() const noexcept { return peer_pid_; }

private:
    enum class State : std::uint8_t { version, cpid, commands };

    Command take_line(std::span<char> line);
    Command take_version(FieldReader& fields);
    Command take_cpid(FieldReader& fields);
    Command take_auth(FieldReader& fields);
    Command take_cont(FieldReader& fields);
    Command take_cancel(FieldReader& fields);

    std::function<bool(std::uint32_t)> is_live_;
    LineFinder line_finder_;
    State state_ = State::version;
    std::optional<Broken> broken_; ///< from then on
    std::uint32_t peer_minor_ = 0;
    std::uint32_t peer_pid_ = 0;
};

// --- what a server writes ----------------------------------------------------------------------------------
//
// Each writes into `memory` and returns its bytes; throws std::length_error when they do not fit.

struct Handshake {
    std::span<const std::string_view> mechanisms; ///< names, at least one
    std::uint32_t server_pid = 0;
    std::uint32_t connection = 0;           ///< a number that no other connection of that process has
    std::array<unsigned char, 16> cookie{}; ///< random bytes
};

/// Enough for all mechanisms.
inline constexpr std::size_t handshake_bytes_max = 512;

/// Everything a server says before the first command. It is to be sent at once, whatever the peer does:
/// Exim says nothing before it has seen all of it. Throws std::logic_error without a mechanism, or with one
/// that Postern does not have.
[[nodiscard]] std::string_view write_handshake(std::span<char> memory, const Handshake& handshake);

/// Of a reply, with its LF: Exim reads lines into 8192 bytes.
inline constexpr std::size_t reply_bytes_max = 8191;

/// The most bytes that a challenge can have.
inline constexpr std::size_t challenge_bytes_max =
    (reply_bytes_max - std::string_view{"CONT\t4294967295\t\n"}.size()) / 4 * 3;

/// The longest name that a reply holds.
inline constexpr std::size_t user_bytes_max = 1024;

/// Whether a reply can name that user: the name is not empty, not too long, and free of control bytes.
///
/// Who cannot be named is refused before anybody is asked. The protocol has an escape for such bytes, but
/// neither Postfix nor Exim knows it: they would go on with another name than the one that was checked.
[[nodiscard]] bool can_be_named(std::string_view user) noexcept;

/// Accepted. A `response` is the mechanism's last data, for a peer that takes it there. Throws
/// std::logic_error for a user who cannot be named: Postfix and Exim take an OK without one for trouble.
[[nodiscard]] std::string_view write_ok(std::span<char> memory, std::uint32_t id, std::string_view user,
                                        std::optional<std::string_view> response = std::nullopt);

struct Failure {
    enum class Code : std::uint8_t { none, temp_fail, authz_fail, invalid_base64 };

    std::string_view user{};   ///< for the peer's log; left out if it cannot be named
    std::string_view reason{}; ///< Postfix shows it to the mail user; left out when empty
    Code code = Code::none;
};

/// Not accepted. Throws std::logic_error for a reason with control bytes.
[[nodiscard]] std::string_view write_fail(std::span<char> memory, std::uint32_t id, const Failure& failure);

/// The field is there even when the challenge is empty, since some peers crash without it.
[[nodiscard]] std::string_view write_cont(std::span<char> memory, std::uint32_t id,
                                          std::string_view challenge);

} // namespace postern::dovecot
