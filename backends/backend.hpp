// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"
#include "protocol/request.hpp"
#include "protocol/verdict.hpp"

#include <chrono>
#include <functional>
#include <map>
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

    /// Whether what it works with was replaced on disk, a library for example, so that only a new worker has
    /// the new one. Asked before each request, which another worker then gets.
    [[nodiscard]] virtual bool is_outdated() { return false; }
};

/// The values of a backend's options: every option of its type in BackendType::options, defaults filled in.
using BackendOptions = std::map<std::string, std::string, std::less<>>;

/// What the worker lends to the backend that it makes.
struct BackendContext {
    const BackendOptions& options;
    SecretArena& secrets; ///< for passwords that the backend reads itself
    Log& log;             ///< for what no decision can say; never blocks
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
