// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/option_rules.hpp"
#include "backends/servers.hpp"
#include "base/log.hpp"
#include "protocol/request.hpp"
#include "protocol/verdict.hpp"

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace postern {

/// The source could not be asked: unreachable, damaged, refused to us. The text is for the log and holds
/// no password.
class BackendError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A source of truth about passwords: PAM, an LDAP directory, a password file.
///
/// A backend answers one question: does this password belong to this user? It does not cache, throttle,
/// retry or decide what a client is told; Authenticator does these once, for every backend.
///
/// Runs in a worker process, which loaded it from a plug-in: it may block, and if it crashes the worker is
/// replaced and the request becomes Verdict::unavailable. One request at a time, one thread.
class Backend {
public:
    virtual ~Backend() = default;

    /// `request` is lent until check() returns; keep nothing of it, the password least of all. A refused
    /// password is a Decision. Throws BackendError when the source cannot be asked.
    [[nodiscard]] virtual Decision check(const Request& request) = 0;

    /// What a client must know before it can prove by request.mechanism that it has the user's password. For
    /// SCRAM, Decision::reply is "s=SALT,i=COUNT", salt in base64 (RFC 5802, 5.1). Accepted says that there
    /// is something to prove, and nothing more. Asked only for the mechanisms of its BackendType.
    [[nodiscard]] virtual Decision challenge(const Request& request);

    /// Whether request.password, here the client's proof, shows that the client has the user's password: for
    /// SCRAM the bytes of ClientProof, for CRAM-MD5 the hexadecimal digest; request.transcript is what it is
    /// about. For SCRAM the reply is ServerSignature in base64. Of the verifier nothing leaves the worker.
    [[nodiscard]] virtual Decision prove(const Request& request);

    /// Whether what it works with was replaced on disk, a library for example, so that only a new worker has
    /// the new one. Asked before each request, which another worker then gets.
    [[nodiscard]] virtual bool is_outdated() { return false; }

    /// Whether it can be asked without more ado. While it is not, the front asks other workers.
    [[nodiscard]] virtual bool is_prepared() { return true; }

    /// Does ahead of time what the next request will need: opens a connection, for example. Called when
    /// is_prepared() says no, and again when the time that it returns has passed without a request. When it
    /// fails, the next request does without.
    [[nodiscard]] virtual std::chrono::milliseconds prepare() { return std::chrono::milliseconds::max(); }

    /// Whether the one server that BackendContext::servers does not leave alone can be asked: as much of a
    /// login as needs no user. Throws BackendError when it cannot.
    virtual void probe() {}
};

inline Decision Backend::challenge(const Request&)
{
    throw BackendError{"it takes passwords only"};
}

inline Decision Backend::prove(const Request&)
{
    throw BackendError{"it takes passwords only"};
}

/// What the worker lends to the backend that it makes.
struct BackendContext {
    const BackendOptions& options;
    SecretArena& secrets; ///< for passwords that the backend reads itself
    Log& log;             ///< for what no decision can say; never blocks
    Servers& servers;     ///< for a type with an option of kind `servers`
};

/// What a plug-in exports under the name `postern_plugin`. It belongs to one build of Postern and is refused
/// by any other, since nothing here is a stable binary interface.
struct Plugin {
    const char* build_id;
    const char* type; ///< the name of the backend type
    /// Throws BackendError when the options make no sense; never because the source is down.
    std::unique_ptr<Backend> (*make_backend)(const BackendContext& context);
};

} // namespace postern
