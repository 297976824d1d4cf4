// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

namespace postern {

/// `postern test`: tries a login over a saslauthd socket, as a mail server would.
///
/// Prints what testsaslauthd prints and ends as it does (0 accepted, 255 refused, the last repeat decides),
/// but tells an outage from a refusal: UNAVAILABLE, with its cause, and EX_TEMPFAIL. With --json, prints one
/// object a line for programs; the password is in neither.
int run_test(Arguments arguments);

} // namespace postern
