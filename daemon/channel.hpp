// SPDX-License-Identifier: BSD-2-Clause
#pragma once

namespace postern {

/// The descriptor on which every role finds its channel, and the only one it inherits besides the standard
/// streams: a front's leads to the supervisor, a worker's to its front.
inline constexpr int channel_fd = 3;

} // namespace postern
