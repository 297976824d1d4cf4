// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "daemon/service_environment.hpp"
#include "daemon/unix_address.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// The service manager that has started the daemon, systemd for example, as a listener: it hears how we are,
/// and keeps descriptors for our next start. Without one, nothing here does anything.
///
/// The messages are those of sd_notify(3): datagrams of lines NAME=VALUE. It never answers. Nothing waits for
/// it: a message that does not fit is sent later, and one that cannot be sent is told of in the log, and
/// lost.
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
    /// says: systemd ignores this unless the unit has FileDescriptorStoreMax=.
    void store(int descriptor, const std::string& name);
    /// All that were stored under that name go.
    void remove_stored(const std::string& name);

    /// There is one, and nothing that it was to hear has been lost so far.
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
    void send(std::string text, UniqueFd descriptor = {});
    void send_waiting();
    [[nodiscard]] Sent try_send(const Message& message) const noexcept;
    void lose(const std::string& problem);

    EventLoop& loop_;
    Log& log_;
    std::string name_;
    std::optional<UnixAddress> address_;
    bool has_watchdog_;
    UniqueFd socket_;
    std::deque<Message> waiting_;
    Timer retry_timer_;
    bool has_lost_ = false;
};

} // namespace postern
