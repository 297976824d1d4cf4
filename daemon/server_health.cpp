// SPDX-License-Identifier: BSD-2-Clause
//
// One failure is enough: whoever asks a server that does not answer loses time that his peer does not have,
// and asking it once more, a moment later and for nobody, costs next to nothing. So a server goes down at
// once, and comes back as quickly if it was a hiccup.
//
// Where there is no other server it goes on being asked until a probe has failed as well: one slow answer
// would be an outage for everybody. And while all are down nobody has anything to lose by probing, so pauses
// are short.
//
// One probe at a time would have a server that is well again wait for as many hanging probes as there are
// servers before it. So while all are down each is probed by itself.
//
// A server that passes its probes and fails those who log in would go up and down four times a second. It is
// probed as if it had been down all the time, until it has stayed up for as long as the longest pause.
#include "daemon/server_health.hpp"

#include <algorithm>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds first_pause = 250ms;
constexpr std::chrono::milliseconds longest_pause = 15s;
constexpr std::chrono::milliseconds longest_pause_of_outage = 1s;

constexpr std::size_t problem_bytes_max = 256;

std::string duration_text(Duration time)
{
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(time);
    if (milliseconds < 1s)
        return std::to_string(milliseconds.count()) + " ms";
    return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + " s";
}

/// Without the user and the password that a URI may have, and without what stands behind a question mark,
/// where LDAP has a place for more.
std::string without_secrets(std::string_view server)
{
    server = server.substr(0, server.find('?'));
    const std::size_t colon = server.find("://");
    const std::string_view scheme = server.substr(0, colon == std::string_view::npos ? 0 : colon + 3);
    std::string_view rest = server.substr(scheme.size());
    if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos)
        rest.remove_prefix(at + 1);
    return (std::string{scheme} += rest).substr(0, server_name_bytes_max);
}

} // namespace

ServerHealth::ServerHealth(const Clock& clock, Log& log, Randomness randomness, std::string backend,
                           const std::vector<std::string>& names)
    : clock_{clock}, log_{log}, randomness_{std::move(randomness)}, backend_{std::move(backend)}
{
    for (const std::string& name : names)
        servers_.emplace_back().name = name;
}

void ServerHealth::failed(std::size_t number, std::string_view problem, TimePoint began)
{
    if (!has_reliable_besides(number))
        return doubt(number, problem, began);
    note(number, problem);
    if (Server& server = servers_.at(number); !server.is_down && began >= server.well_at)
        take_down(server);
}

void ServerHealth::doubt(std::size_t number, std::string_view problem, TimePoint began)
{
    note(number, problem);
    if (Server& server = servers_.at(number);
        !server.is_down && !server.is_in_doubt && began >= server.well_at)
        put_in_doubt(server);
}

/// At once; but who doubts it again and again does not have it probed, or the log filled, without end.
void ServerHealth::put_in_doubt(Server& server)
{
    const TimePoint now = clock_.now();
    server.is_in_doubt = true;
    server.probe_at = std::max(now, server.well_at + first_pause);
    if (server.doubted_at == TimePoint::min() || server.doubted_at + longest_pause <= now)
        log_.notice(backend_ + ": server " + escape_log_value(server.name) +
                    " is in doubt: " + escape_log_value(server.problem));
    server.doubted_at = now;
}

/// Up, and nobody says otherwise.
bool ServerHealth::is_reliable(std::size_t number) const
{
    const Server& server = servers_.at(number);
    return !server.is_down && !server.is_in_doubt;
}

bool ServerHealth::has_reliable_besides(std::size_t number) const
{
    for (std::size_t i = 0; i < servers_.size(); ++i)
        if (i != number && is_reliable(i))
            return true;
    return false;
}

void ServerHealth::note(std::size_t number, std::string_view problem)
{
    Server& server = servers_.at(number);
    ++server.failures;
    server.problem = problem.substr(0, problem_bytes_max);
    last_failed_ = number;
}

void ServerHealth::take_down(Server& server)
{
    const TimePoint now = clock_.now();
    server.is_down = true;
    server.is_in_doubt = false;
    server.down_since = now;
    if (server.back_since == TimePoint::min() || server.back_since + longest_pause <= now)
        server.pause = Duration::zero();
    schedule_probe(server);
    if (are_all_down())
        hasten_probes();
    log_.warning(backend_ + ": server " + escape_log_value(server.name) +
                 " is down: " + escape_log_value(server.problem));
}

void ServerHealth::bring_back(Server& server)
{
    server.is_down = false;
    server.back_since = clock_.now();
    log_.notice(backend_ + ": server " + escape_log_value(server.name) + " is back after " +
                duration_text(server.back_since - server.down_since));
}

void ServerHealth::schedule_probe(Server& server)
{
    const Duration longest = are_all_down() ? longest_pause_of_outage : longest_pause;
    server.pause =
        server.pause == Duration::zero() ? Duration{first_pause} : std::min(2 * server.pause, longest);
    server.probe_at = after(server.pause);
}

/// Those whose pauses grew while others were up.
void ServerHealth::hasten_probes()
{
    for (Server& server : servers_)
        if (server.pause > longest_pause_of_outage) {
            server.pause = longest_pause_of_outage;
            server.probe_at = std::min(server.probe_at, after(server.pause));
        }
}

/// Give or take a fifth, so that the servers of a site that went down together, and the hosts that ask them,
/// do not all come at once.
TimePoint ServerHealth::after(Duration pause) const
{
    const auto fifth = std::chrono::duration_cast<std::chrono::milliseconds>(pause) / 5;
    const auto jitter =
        std::chrono::milliseconds{randomness_(static_cast<std::uint32_t>(2 * fifth.count() + 1))} - fifth;
    return clock_.now() + pause + jitter;
}

std::optional<std::size_t> ServerHealth::probe_due() const
{
    const TimePoint next = next_event();
    if (next == TimePoint::max() || next > clock_.now())
        return std::nullopt;
    std::size_t due = 0;
    while (!awaits_probe(due) || servers_[due].probe_at != next)
        ++due;
    return due;
}

bool ServerHealth::awaits_probe(std::size_t number) const
{
    const Server& server = servers_.at(number);
    return (server.is_down || server.is_in_doubt) && !probed_.has(number);
}

void ServerHealth::on_probe_ended(std::size_t number, const std::optional<std::string>& problem)
{
    if (!probed_.has(number))
        return;
    probed_.remove(number);
    Server& server = servers_.at(number);
    server.is_in_doubt = false;
    if (problem) {
        note(number, *problem);
        return server.is_down ? schedule_probe(server) : take_down(server);
    }
    server.well_at = clock_.now();
    if (server.is_down)
        bring_back(server);
}

TimePoint ServerHealth::next_event() const
{
    TimePoint next = TimePoint::max();
    if (!probed_.is_empty() && !are_all_down())
        return next;
    for (std::size_t i = 0; i < servers_.size(); ++i)
        if (awaits_probe(i))
            next = std::min(next, servers_[i].probe_at);
    return next;
}

ServerSet ServerHealth::left_alone() const
{
    ServerSet set;
    for (std::size_t i = 0; i < servers_.size(); ++i)
        if (servers_[i].is_down || (servers_[i].is_in_doubt && has_reliable_besides(i)))
            set.add(i);
    return set;
}

ServerSet ServerHealth::all_but(std::size_t server) const
{
    ServerSet set;
    for (std::size_t i = 0; i < servers_.size(); ++i)
        if (i != server)
            set.add(i);
    return set;
}

std::optional<std::size_t> ServerHealth::first_outside(ServerSet set) const
{
    for (std::size_t i = 0; i < servers_.size(); ++i)
        if (!set.has(i))
            return i;
    return std::nullopt;
}

std::size_t ServerHealth::count_outside(ServerSet set) const
{
    std::size_t count = 0;
    for (std::size_t i = 0; i < servers_.size(); ++i)
        count += set.has(i) ? 0 : 1;
    return count;
}

bool ServerHealth::are_all_down() const
{
    return !servers_.empty() && std::ranges::all_of(servers_, &Server::is_down);
}

std::string ServerHealth::outage() const
{
    const Server& last = servers_.at(last_failed_);
    return "none of its servers can be asked; " + last.name + ": " + last.problem;
}

std::vector<std::string> server_names(const BackendConfig& backend)
{
    std::vector<std::string> names;
    for (const BackendOption& option : backend.type->options)
        if (option.kind == OptionKind::servers)
            for (const std::string& server : split_servers(backend.options.find(option.key)->second))
                names.push_back(without_secrets(server));
    return names;
}

} // namespace postern
