// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace postern {

/// A file that one process at a time holds, by a record lock on the whole of it, and that goes when it is not
/// held any more.
///
/// The lock belongs to the open file: it survives fork(), and ends with the last process that has it.
class LockFile {
public:
    /// For somebody who lets go in a moment.
    enum class Wait : std::uint8_t { no, for_a_moment };

    /// Makes the file (0600) if it is missing. Nothing when somebody else holds it, and for longer than is
    /// waited for, or has a lease on it. Throws std::system_error.
    [[nodiscard]] static std::optional<LockFile> take(const std::string& path,
                                                      Wait wait = Wait::for_a_moment);

    LockFile(LockFile&&) noexcept = default;
    LockFile& operator=(LockFile&&) = delete;
    ~LockFile();

    [[nodiscard]] int fd() const noexcept { return file_.get(); }

    /// Whether somebody holds a file of that name.
    [[nodiscard]] static bool is_held(const std::string& path);

private:
    LockFile(std::string path, UniqueFd file);

    std::string path_;
    UniqueFd file_;
};

} // namespace postern
