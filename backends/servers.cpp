// SPDX-License-Identifier: BSD-2-Clause
#include "backends/servers.hpp"

#include <algorithm>

namespace postern {

std::vector<std::string> split_servers(std::string_view list)
{
    constexpr std::string_view separators = " \t,";
    std::vector<std::string> servers;
    for (std::size_t begin = 0;
         (begin = list.find_first_not_of(separators, begin)) != std::string_view::npos;) {
        const std::size_t end = std::min(list.find_first_of(separators, begin), list.size());
        servers.emplace_back(list.substr(begin, end - begin));
        begin = end;
    }
    return servers;
}

std::chrono::milliseconds share_of_time(std::chrono::milliseconds time_left, std::size_t others,
                                        std::chrono::milliseconds at_most) noexcept
{
    return std::min(at_most, time_left / static_cast<std::chrono::milliseconds::rep>(others + 1));
}

} // namespace postern
