// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "backends/debug_lines.hpp"
#include "base/posix_error.hpp"

#include <string.h>

#include <cstddef>
#include <vector>

namespace postern {

/// What the host's name service knows of an account: its passwd or shadow entry, with a hash in it, wherever
/// /etc/nsswitch.conf says. Its memory is wiped at its end.
template <typename Entry>
class NameServiceEntry {
public:
    /// getpwnam_r(3) or getspnam_r(3).
    using Lookup = int (*)(const char* user, Entry* entry, char* memory, std::size_t size, Entry** found);

    /// Throws BackendError, its text beginning with `failure`, when nobody could look: which is not the same
    /// as that there is no such account. `debug_lines` are told, `call` being what the incumbent calls.
    NameServiceEntry(Lookup look_up, const std::string& user, const std::string& failure,
                     const DebugLines& debug_lines, const std::string& call)
    {
        int error = ERANGE;
        while (error == ERANGE && memory_.size() < bytes_max) {
            grow();
            error = look_up(user.c_str(), &entry_, memory_.data(), memory_.size(), &found_);
        }
        if (error == 0)
            return;
        wipe();
        debug_lines.write(call + '(' + user + ") failure: " + error_text(error));
        throw BackendError{failure + ": " + error_text(error)};
    }

    NameServiceEntry(const NameServiceEntry&) = delete;
    NameServiceEntry& operator=(const NameServiceEntry&) = delete;

    ~NameServiceEntry() { wipe(); }

    /// Whether there is such an account.
    explicit operator bool() const noexcept { return found_ != nullptr; }

    [[nodiscard]] const Entry& operator*() const noexcept { return *found_; }

private:
    static constexpr std::size_t bytes_min = 4096;
    static constexpr std::size_t bytes_max = 256 * 1024;

    void grow()
    {
        const std::size_t size = memory_.empty() ? bytes_min : 4 * memory_.size();
        wipe();
        memory_ = std::vector<char>(size);
    }

    void wipe() noexcept
    {
        if (!memory_.empty())
            ::explicit_bzero(memory_.data(), memory_.size());
    }

    std::vector<char> memory_;
    Entry entry_{};
    Entry* found_ = nullptr;
};

} // namespace postern
