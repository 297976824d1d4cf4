// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/servers.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "base/randomness.hpp"
#include "daemon/config.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// Which servers of one backend can be asked, known to all of its workers together.
///
/// A server that fails anybody is down at once, and left alone by everybody. It is probed after a pause that
/// grows while it stays down, and only a probe that goes well brings it back. One that nobody could do
/// without, or that may not have been the one to fail, is in doubt: its probe is due at once, and decides.
/// Says when to probe, and asks nobody itself (WorkerPool does).
class ServerHealth {
public:
    struct Server {
        std::string name; ///< for the log and the status
        bool is_down = false;
        bool is_in_doubt = false;   ///< up, and about to be probed
        std::uint64_t failures = 0; ///< since the start
        std::string problem;        ///< the last one
        TimePoint down_since{};
        TimePoint back_since = TimePoint::min();
        TimePoint doubted_at = TimePoint::min(); ///< as the log has it
        TimePoint well_at = TimePoint::min();    ///< when its last good probe ended
        TimePoint probe_at{};                    ///< while it is down or in doubt
        Duration pause{};                        ///< the last one between probes, without its jitter
    };

    /// `backend` is its name, for the log; `names` are those of its servers, of which there may be none.
    ServerHealth(const Clock& clock, Log& log, Randomness randomness, std::string backend,
                 const std::vector<std::string>& names);

    /// Somebody could not ask it. What he began before its last good probe ended is old news, and counted
    /// only.
    void failed(std::size_t server, std::string_view problem, TimePoint began = TimePoint::max());
    /// The same of somebody who may be mistaken.
    void doubt(std::size_t server, std::string_view problem, TimePoint began = TimePoint::max());

    /// The server to probe now. One at a time, unless all are down: nobody can be asked then, and whoever is
    /// well must not wait for those that are not.
    [[nodiscard]] std::optional<std::size_t> probe_due() const;
    void on_probe_started(std::size_t server) noexcept { probed_.add(server); }
    /// `problem` says why it still cannot be asked; nothing: it can.
    void on_probe_ended(std::size_t server, const std::optional<std::string>& problem);

    /// When the next probe is due, unless it has to wait for the end of another one.
    [[nodiscard]] TimePoint next_event() const;

    /// Those that are down; and those in doubt, while another one is beyond it.
    [[nodiscard]] ServerSet left_alone() const;
    [[nodiscard]] ServerSet all_but(std::size_t server) const;
    /// The first that is not in `set`; and how many are not.
    [[nodiscard]] std::optional<std::size_t> first_outside(ServerSet set) const;
    [[nodiscard]] std::size_t count_outside(ServerSet set) const;

    /// Whether there are servers, and every one is down.
    [[nodiscard]] bool are_all_down() const;
    /// Why nobody can be asked then: for the log.
    [[nodiscard]] std::string outage() const;

    [[nodiscard]] const std::vector<Server>& servers() const noexcept { return servers_; }
    [[nodiscard]] bool is_probed(std::size_t server) const noexcept { return probed_.has(server); }

private:
    [[nodiscard]] bool is_reliable(std::size_t server) const;
    [[nodiscard]] bool has_reliable_besides(std::size_t server) const;
    void put_in_doubt(Server& server);
    [[nodiscard]] bool awaits_probe(std::size_t server) const;
    void take_down(Server& server);
    void bring_back(Server& server);
    void schedule_probe(Server& server);
    void hasten_probes();
    [[nodiscard]] TimePoint after(Duration pause) const;
    void note(std::size_t server, std::string_view problem);

    const Clock& clock_;
    Log& log_;
    Randomness randomness_;
    std::string backend_;
    std::vector<Server> servers_;
    ServerSet probed_; ///< now
    std::size_t last_failed_ = 0;
};

/// What log and status call the servers of a backend: as the admin wrote them, but for what may be a secret
/// in a URI. Empty for a type that has none.
[[nodiscard]] std::vector<std::string> server_names(const BackendConfig& backend);

} // namespace postern
