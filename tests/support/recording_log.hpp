// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"

#include <string>
#include <vector>

namespace postern {

/// A log that a test can read: lines such as "6 auth failure: …", their severity in front.
class RecordingLog final : public Log {
public:
    void write(LogLevel level, std::string_view text) noexcept override
    {
        lines.emplace_back(std::to_string(static_cast<int>(level)) + ' ' + std::string{text});
    }
    std::vector<std::string> lines;
};

} // namespace postern
