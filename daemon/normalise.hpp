// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/request.hpp"

namespace postern {

/// Makes of the names in a request the ones that backends are asked about.
///
/// The saslauthd protocol's are taken as they come: libsasl2 has split login and realm already. With -r the
/// login becomes login@realm, and the realm is still passed on, as saslauthd does.
inline void normalise(Request& request, bool joins_realm)
{
    if (joins_realm && !request.realm.empty())
        request.user += '@' + request.realm;
}

} // namespace postern
