// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/message_socket.hpp"

namespace postern {

/// The front: the one process that reads what strangers send. Accepts connections on every listener, reads
/// requests, has them decided by its workers, and replies. Runs without any right of its own, in an empty
/// root, behind a system-call filter.
///
/// `channel` leads to the supervisor, which starts and kills the workers for it. Without one it serves on
/// with the workers that it has. Returns the exit status, when it was told to finish and every request in
/// flight has been answered.
[[nodiscard]] int run_front(MessageSocket channel);

} // namespace postern
