// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace postern {

/// A new directory that is removed with all that is in it.
class TemporaryDirectory {
public:
    TemporaryDirectory()
    {
        std::string name = std::filesystem::temp_directory_path() / "postern-test-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr)
            throw_errno("mkdtemp");
        path_ = name;
    }

    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    ~TemporaryDirectory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    [[nodiscard]] std::string file(const std::string& name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

} // namespace postern
