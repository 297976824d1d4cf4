// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"

#include <string>

namespace postern {

/// What saslauthd writes about a login when it was started with -V, in its words and where it writes them.
/// Not the hashes.
class DebugLines {
public:
    /// `source` is saslauthd's name for the code: "auth_shadow".
    DebugLines(Log& log, const std::string& source) : log_{log}, begin_{"DEBUG: " + source + ": "} {}

    void write(const std::string& text) const
    {
        if (log_.writes_debug())
            log_.write_foreign(LogOrigin::foreign_to_auth, LogLevel::debug, begin_ + text);
    }

private:
    Log& log_;
    std::string begin_;
};

} // namespace postern
