// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/imap_line.hpp"
#include "protocol/verdict.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

/// IMAP (RFC 3501) from a client's side, as far as a login goes and no further.
namespace postern::imap {

/// The most that a server may send between two of our commands.
inline constexpr std::size_t answer_bytes_max = 262'144;

/// The longest command line that every server takes: Dovecot's login process has a buffer of 1024 bytes.
inline constexpr std::size_t short_line_bytes_max = 1000;

/// What Dialogue::outgoing() may need for a name and a password of so many bytes together.
[[nodiscard]] constexpr std::size_t outgoing_bytes_max(std::size_t credential_bytes) noexcept
{
    return 3 * credential_bytes + 256;
}

/// Whether IMAP can carry it as a name or password at all: it is not empty and has no NUL.
[[nodiscard]] bool can_be_sent(std::string_view text) noexcept;

/// Whether a connection becomes an encrypted one by STARTTLS. There is no "if possible": who can remove a
/// word from the wire could then read passwords.
enum class StartTls : std::uint8_t { no, required };

/// One login at an IMAP server: greeting, STARTTLS, capabilities, credentials, verdict.
///
/// Bytes in, bytes out: no sockets, no clock, no TLS. The caller does what it wants next, and hands it what
/// came. Whatever a server sends, the outcome is a decision, and `accepted` only by the whole line that says
/// so in answer to the whole of the credentials.
class Dialogue {
public:
    enum class Wants : std::uint8_t {
        to_receive,  ///< receive()
        to_send,     ///< outgoing()
        tls,         ///< a handshake, and then tls_started()
        credentials, ///< log_in(); until then, receive() what the server says by itself
        nothing,     ///< decision() is there
    };

    /// Commands are tagged with `tag` and a number. A server that cannot guess it cannot answer what it was
    /// not asked.
    Dialogue(std::string tag, StartTls start_tls);
    Dialogue(const Dialogue&) = delete;
    Dialogue& operator=(const Dialogue&) = delete;

    [[nodiscard]] Wants wants() const noexcept;

    /// Any piece of what the server says. Nothing is kept of it beyond the current line.
    void receive(std::string_view bytes);

    /// The server will say no more.
    void end_of_stream();

    void tls_started();

    /// Both are lent until there is a decision. What cannot be sent is rejected.
    void log_in(std::string_view user, std::string_view password);

    /// Writes the bytes that are to be sent into `memory`, of outgoing_bytes_max(): the password may be among
    /// them. Throws std::length_error when they do not fit.
    [[nodiscard]] std::string_view outgoing(std::span<char> memory);

    /// What is waited for: "the greeting". For the text of an error.
    [[nodiscard]] std::string_view awaited() const noexcept;

    [[nodiscard]] const Decision& decision() const noexcept { return decision_; }

    /// The last command; nobody waits for its answer.
    [[nodiscard]] std::string logout();

private:
    enum class State : std::uint8_t {
        greeting,
        capabilities,   // CAPABILITY
        starting_tls,   // STARTTLS
        tls,            // the caller's turn
        ready,          // the caller's turn
        mechanism,      // AUTHENTICATE PLAIN
        user_size,      // LOGIN {5}
        password_size,  // alice {6}
        password,       // secret
        response,       // what PLAIN makes of both
        whole_response, // AUTHENTICATE PLAIN …
        whole_login,    // LOGIN "alice" "secret", LOGIN {5+} …
        decided,
    };

    struct Capabilities {
        bool are_known = false;
        bool auth_plain = false;
        bool sasl_ir = false;
        bool login_disabled = false;
        bool literal_plus = false;
        bool literal_minus = false;
    };

    void take_line(std::string_view line);
    void take_greeting(std::string_view line);
    void take_untagged(std::string_view line);
    void take_continuation();
    void take_tagged(std::string_view status_text);
    void take_verdict(std::string_view status_text);
    void take_capabilities(std::string_view list);
    void take_capability_code(std::string_view status_text);
    void take_unexpected(std::string_view line);

    void go_on();
    void enter(State state);
    void send_in(State state);
    void decide(Decision decision);
    void unavailable(std::string reason);

    [[nodiscard]] bool has_literals_without_waiting() const noexcept;
    [[nodiscard]] std::string tag() const;

    std::string tag_;
    unsigned commands_ = 0;
    StartTls start_tls_;
    State state_ = State::greeting;
    bool is_to_send_ = false;
    bool has_credentials_ = false;
    Capabilities capabilities_;
    LineWindow line_;
    std::size_t answer_bytes_ = 0;
    std::string_view user_;
    std::string_view password_;
    Decision decision_;
};

} // namespace postern::imap
