// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "tests/support/manual_clock.hpp"

namespace postern {

/// Serves everything that is due on a loop of that clock, and what comes of it.
inline void serve_what_is_due(EventLoop& loop, const ManualClock& clock)
{
    for (int turn = 0; turn < 4; ++turn) {
        Timer end{loop, [&loop] { loop.stop(); }};
        end.schedule(clock.now());
        loop.run();
    }
}

} // namespace postern
