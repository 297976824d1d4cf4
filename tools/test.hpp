// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

namespace postern {

/// `postern test`: tries a login as a mail server would, over a socket of saslauthd's protocol or Dovecot's.
///
/// It finds out which one it is before it says anything. Prints what testsaslauthd prints and ends as it does
/// (0 accepted, 255 refused, the last repeat decides), but tells an outage from a refusal: UNAVAILABLE, with
/// its cause, and EX_TEMPFAIL. A server that cannot know the user, and lets him in, is an IMPOSTOR, and
/// EX_PROTOCOL. With --json, prints one object a line for programs; the password is in neither.
int run_test(Arguments arguments);

} // namespace postern
