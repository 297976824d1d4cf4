// SPDX-License-Identifier: BSD-2-Clause
#include "backends/server_round.hpp"

#include "backends/backend.hpp"

#include <algorithm>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t outage_bytes_max = 512;

} // namespace

ServerRound::ServerRound(Servers& servers, std::span<const std::string> names)
    : servers_{servers}, names_{names}, left_alone_{servers.left_alone()}
{
}

std::optional<std::size_t> ServerRound::next() const noexcept
{
    for (std::size_t server = 0; server < names_.size(); ++server)
        if (!left_alone_.has(server))
            return server;
    return std::nullopt;
}

std::chrono::milliseconds ServerRound::share() const noexcept
{
    const auto left = servers_.time_left();
    const auto usable = left - std::min<std::chrono::milliseconds>(left / 10, 500ms);
    return share_of_time(usable, count_left() - 1, usable);
}

std::size_t ServerRound::count_left() const noexcept
{
    std::size_t count = 0;
    for (std::size_t server = 0; server < names_.size(); ++server)
        count += left_alone_.has(server) ? 0 : 1;
    return count;
}

void ServerRound::give_up(std::size_t server, const Unasked& problem, std::chrono::milliseconds time)
{
    left_alone_.add(server);
    if (time >= fair_time)
        problem.tell(servers_, server);
    problems_ += (problems_.empty() ? "" : "; ") + names_[server] + ": " + problem.what();
}

void ServerRound::throw_outage() const
{
    const std::string outage =
        problems_.empty() ? "every server has failed lately" : "no server could be asked: " + problems_;
    throw BackendError{outage.substr(0, outage_bytes_max)};
}

} // namespace postern
