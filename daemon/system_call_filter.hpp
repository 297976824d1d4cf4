// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

namespace postern {

/// The front's system-call filter: an allow-list of what serving open descriptors takes. It can neither open
/// a file, nor start a program, nor make a connection, nor look into another process, whatever a stranger
/// has made of it.
///
/// A call that is not on the list ends the process: the SIGSYS handler, the only signal handler in the tree,
/// writes the call's number to the channel for the supervisor to log, and exits. Loaded last, when all is
/// set up. Builds with sanitizers run without it, since those open files at will.
void load_system_call_filter();

/// "openat" for its number, for the log; the number itself when it has no name.
[[nodiscard]] std::string system_call_name(std::uint32_t number);

} // namespace postern
