// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace postern {

/// What this program is when it is called as testsaslauthd: Debian's program of that name, with its flags,
/// its output and its exit status.
///
/// Three things differ: the password does not stay visible in `ps`, a daemon that never answers is given up
/// after a minute, and a request too long for the incumbent's buffer does not crash it.
int run_testsaslauthd(int argc, char** argv);

} // namespace postern
