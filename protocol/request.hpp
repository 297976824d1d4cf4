// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <string>

namespace postern {

/// One question: may this user log in with this password?
///
/// Protocols make it, Authenticator carries it, a backend answers it. It only moves, because it holds a
/// Secret. Every field is a stranger's bytes: no NUL is among them, everything else may be.
struct Request {
    std::string user;
    Secret password;
    std::string service;        ///< what the user logs in to: "smtp", "imap"; may be empty
    std::string realm;          ///< may be empty
    std::string client_address; ///< of the mail user, as the peer stated it; empty when it did not
};

} // namespace postern
