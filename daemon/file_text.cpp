// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/file_text.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "daemon/config.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <unistd.h>

namespace postern {

FileText::FileText(const std::string& path) : bytes_(config_file_bytes_max + 1)
{
    const UniqueFd file{check(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), "open")};
    struct stat status {};

    check(::fstat(file.get(), &status), "fstat");
    if (!S_ISREG(status.st_mode))
        throw ConfigError{"a regular file was expected"};
    owner_ = status.st_uid;
    mode_ = status.st_mode;
    for (ssize_t got = 1; got > 0 && size_ < bytes_.size(); size_ += static_cast<std::size_t>(got))
        got = check(::read(file.get(), bytes_.data() + size_, bytes_.size() - size_), "read");
}

FileText::~FileText()
{
    sodium_memzero(bytes_.data(), bytes_.size());
}

} // namespace postern
