// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/back_off.hpp"
#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "daemon/service_environment.hpp"
#include "daemon/unix_address.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace postern {

/// The service manager that has started the daemon, systemd for example, as a listener: it hears how we are,
/// and keeps descriptors for our next start. Without one, nothing here does anything.
///
/// The messages are those of sd_notify(3): datagrams of lines NAME=VALUE. It never answers. Nothing waits for
/// it: a message that does not fit is sent later, and one that cannot be sent is told of in the log, and
/// lost. What counts of those that were lost is said again, after pauses that grow, until it was heard.
class ServiceManager {
public:
    /// The log hears what makes no sense in `environment`.
    ServiceManager(EventLoop& loop, Log& log, const ServiceEnvironment& environment);
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    /// The daemon serves; also the end of a reload. `status` is for the admin: its first line is shown.
    void report_ready(std::string_view status);
    void report_reloading();
    void report_stopping(std::string_view status);
    /// Somebody has made sure that the daemon lives.
    void feed_watchdog();

    /// A duplicate stays there and is passed to the next start, under that name. Whether it was taken nobody
    /// says: systemd ignores this unless the unit has FileDescriptorStoreMax=. One that is there already
    /// stays as it is, whatever the new name (sd_notify(3)); another one is added, whatever has its name.
    void store(int descriptor, const std::string& name);
    /// All that were stored under that name go.
    void remove_stored(const std::string& name);

    /// Called when something was lost, and it may be that it listens again: whatever is to be stored there is
    /// to be stored anew. What was to go goes before that.
    void on_lost(std::function<void()> store_anew) { store_anew_ = std::move(store_anew); }

    /// Says what was lost again, if anything was, without waiting for the end of a pause.
    void say_lost_again();

    /// There is one, and all that it was to hear was said, or is waiting to be.
    [[nodiscard]] bool listens() const noexcept { return address_ && !has_lost_; }

    /// As far as can be known, it has all that was to be stored.
    [[nodiscard]] bool keeps_descriptors() const noexcept;

private:
    struct Message {
        std::string text;
        UniqueFd descriptor; ///< a duplicate: the message may leave when the original is closed
    };
    enum class Sent : std::uint8_t { yes, later, never };

    void find(const std::string& notify_socket);
    void report(std::string text);
    void send(std::string text, UniqueFd descriptor = {});
    void send_waiting();
    void note_told();
    [[nodiscard]] Sent try_send(const Message& message) const noexcept;
    void lose(const Message& message, const std::string& problem);
    void lose(const std::string& problem);

    EventLoop& loop_;
    Log& log_;
    std::string name_;
    std::optional<UnixAddress> address_;
    bool has_watchdog_;
    UniqueFd socket_;
    std::deque<Message> waiting_;
    Timer retry_timer_;
    std::string report_;                  ///< the last one: how the daemon is
    std::set<std::string> lost_removals_; ///< and no more than may wait
    std::function<void()> store_anew_ = [] {};
    BackOff back_off_;
    Timer again_timer_;
    bool has_lost_ = false; ///< and has not said it again
    bool is_told_of_ = false;
    bool is_heard_ = false; ///< something was, since the last that was lost
    bool is_repeating_ = false;
};

} // namespace postern
