// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_answers.hpp"
#include "backends/server_problems.hpp"

#include <string>

/// Why a directory was not asked, where more matters than server_problems.hpp says, and which of its answers
/// are no answers.
namespace postern {

struct LdapFound;

/// It did not answer in time.
class ServerSilence final : public ServerProblem {
public:
    using ServerProblem::ServerProblem;
};

/// The server has closed the connection, perhaps long ago.
class ConnectionLost final : public ServerProblem {
public:
    using ServerProblem::ServerProblem;
};

/// Throws when the answer says that the server could not do what it was asked, and nothing about that.
void check_answer(const LdapAnswer& answer, const std::string& what);

/// The same for a search, when what it found does not say enough.
void check_search(const LdapFound& found, const std::string& what);

} // namespace postern
