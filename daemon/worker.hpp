// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/message_socket.hpp"

namespace postern {

/// Exit status of a worker that cannot ever work: its plug-in does not load, or its options make no sense
/// (EX_CONFIG of sysexits.h).
inline constexpr int worker_cannot_work = 78;

/// A worker: loads one backend and asks it about one request after the other, in blocking code. May hang
/// and may crash, since foreign libraries run here; the front and the supervisor deal with both.
///
/// `channel` leads to the front. Returns the exit status when the front closes it.
[[nodiscard]] int run_worker(MessageSocket& channel);

} // namespace postern
