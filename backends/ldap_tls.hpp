// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_handle.hpp"
#include "backends/ldap_settings.hpp"

#include <chrono>

/// TLS on a connection to a directory, by libldap and within a time. Whether the server was asked for it
/// (StartTLS), and what to do without, is LdapConnection's business.
namespace postern {

/// Gives the handle what the settings say, and ldap.conf where they say nothing. Throws BackendError.
void prepare_tls(LdapHandle& handle, const LdapTls& settings);

/// Throws ServerProblem, also when it took too long.
void shake_hands(LdapHandle& handle, std::chrono::milliseconds time);

} // namespace postern
