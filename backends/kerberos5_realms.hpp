// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/kerberos5_handles.hpp"

#include <string_view>

namespace postern::kerberos5 {

/// Whether anybody is asked for it: the default realm, or one that krb5.conf has a section for, or hosts of.
/// Throws BackendError in an outage, and when there is no default realm: krb5.conf may be missing, and its
/// list with it.
[[nodiscard]] bool is_realm_of_the_admin(const Context& context, std::string_view realm);

} // namespace postern::kerberos5
