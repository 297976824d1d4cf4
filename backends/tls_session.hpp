// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;
struct bio_st;

namespace postern {

/// TLS could not be begun or went wrong. The text says which check failed.
class TlsError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Whose certificates are believed: those in a file, or the host's own.
class TlsTrust {
public:
    /// An empty `ca_file` stands for the host's own. Throws TlsError when the file cannot be used.
    explicit TlsTrust(const std::string& ca_file);

private:
    friend class TlsSession;

    struct Free {
        void operator()(ssl_ctx_st* context) const noexcept;
    };
    std::unique_ptr<ssl_ctx_st, Free> context_;
};

/// The client's side of one TLS connection, 1.2 or newer, to a server that proves its name.
///
/// Bytes in, bytes out: it has no socket and never waits. What came from the wire goes into receive(), what
/// is to go there comes out of take_outgoing(); between them are handshake(), read() and write().
class TlsSession {
public:
    /// `host` is the name or address that the certificate has to be for.
    TlsSession(const TlsTrust& trust, const std::string& host);

    void receive(std::string_view bytes);

    [[nodiscard]] std::string_view outgoing() const;
    void forget_outgoing();

    /// Goes on with the handshake; true when it is done. Throws TlsError.
    [[nodiscard]] bool handshake();

    /// What the other side has said, as much as is there. Throws TlsError.
    [[nodiscard]] std::size_t read(std::span<char> memory);

    /// The other side will say no more.
    [[nodiscard]] bool has_ended() const;

    void write(std::string_view bytes);

private:
    struct Free {
        void operator()(ssl_st* session) const noexcept;
    };

    [[noreturn]] void throw_problem(const std::string& what) const;

    std::unique_ptr<ssl_st, Free> session_;
    bio_st* from_wire_; ///< the session's own
    bio_st* to_wire_;
};

} // namespace postern
