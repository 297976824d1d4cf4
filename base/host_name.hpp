// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"

#include <limits.h>
#include <unistd.h>

#include <array>
#include <string>

namespace postern {

/// The host's own name, as it is set now (gethostname(2)). Throws std::system_error.
[[nodiscard]] inline std::string host_name()
{
    std::array<char, HOST_NAME_MAX + 1> name{};
    check(::gethostname(name.data(), name.size()), "gethostname");
    return name.data();
}

} // namespace postern
