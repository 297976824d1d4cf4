// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_connection.hpp"
#include "backends/ldap_settings.hpp"
#include "protocol/verdict.hpp"

namespace postern {

/// Whether a user whose password was right may log in: accepted, or barred, because the directory does not
/// have him in the group that the admin wants. `names` has his DN.
///
/// Asks on that connection. Throws Unasked when the server could not be asked, and BackendError when the
/// group is not there to be asked for.
[[nodiscard]] Decision check_ldap_group(LdapConnection& connection, const LdapSettings& settings,
                                        const LdapNames& names);

} // namespace postern
