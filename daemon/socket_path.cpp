// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/socket_path.hpp"

#include <system_error>

namespace postern {

std::filesystem::path canonical_socket(const std::filesystem::path& socket)
{
    std::error_code error;
    const std::filesystem::path directory = std::filesystem::weakly_canonical(socket.parent_path(), error);
    return error ? socket.lexically_normal() : directory / socket.filename();
}

} // namespace postern
