// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

inline constexpr std::size_t config_line_bytes_max = 64 * 1024;
inline constexpr std::size_t config_file_bytes_max = 1024 * 1024;

/// The bytes of a configuration file, with whatever secrets are among them: wiped when it ends. Of one that
/// is larger than config_file_bytes_max there is one byte more than that, so that its reader can tell.
class FileText {
public:
    /// Throws std::system_error when the file cannot be read, and ConfigError when it is none.
    explicit FileText(const std::string& path);
    FileText(const FileText&) = delete;
    FileText& operator=(const FileText&) = delete;
    ~FileText();

    [[nodiscard]] std::string_view view() const noexcept { return {bytes_.data(), size_}; }

    [[nodiscard]] uid_t owner() const noexcept { return owner_; }

    [[nodiscard]] bool everybody_may_read() const noexcept { return (mode_ & S_IROTH) != 0; }

    [[nodiscard]] bool others_may_write() const noexcept { return (mode_ & (S_IWGRP | S_IWOTH)) != 0; }

private:
    std::vector<char> bytes_;
    std::size_t size_ = 0;
    uid_t owner_ = 0;
    mode_t mode_ = 0;
};

} // namespace postern
