// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/service_manager.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto retry_interval = 100ms;
constexpr std::size_t waiting_max = 256; ///< two for each socket, and what is said of the daemon
constexpr std::size_t status_bytes_max = 512;
constexpr std::string_view removal = "FDSTOREREMOVE=1\nFDNAME=";
/// A front that hangs is replaced after six seconds: whoever looks more often ends the daemon for it.
constexpr auto watchdog_min = 10s;

/// One line, and what systemd does not take for text is escaped.
std::string status_line(std::string_view status)
{
    return "\nSTATUS=" + escape_log_line(status.substr(0, status.find('\n')), status_bytes_max);
}

} // namespace

ServiceManager::ServiceManager(EventLoop& loop, Log& log, const ServiceEnvironment& environment)
    : loop_{loop}
    , log_{log}
    , name_{escape_log_value(environment.notify_socket)}
    , has_watchdog_{environment.watchdog.has_value()}
    , retry_timer_{loop, [this] { send_waiting(); }}
    , again_timer_{loop, [this] { say_lost_again(); }}
{
    for (const std::string& problem : environment.problems)
        log_.warning(problem);
    if (!environment.notify_socket.empty())
        find(environment.notify_socket);
    if (environment.watchdog && *environment.watchdog < watchdog_min)
        log_.warning(
            "the watchdog of the service manager is shorter than 10 s: it ends the daemon where a front "
            "would be replaced");
}

/// Who is not found does not keep the daemon from serving.
void ServiceManager::find(const std::string& notify_socket)
try {
    if (!notify_socket.starts_with('/') && !notify_socket.starts_with('@'))
        throw std::runtime_error{"this is neither a path nor an abstract name"};
    socket_ = UniqueFd{check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    address_ = UnixAddress::of_path_or_abstract(notify_socket);
} catch (const std::runtime_error& error) {
    lose(escape_log_value(error.what()));
}

void ServiceManager::report_ready(std::string_view status)
{
    report("READY=1" + status_line(status));
}

/// The time lets systemd tell this reload from one before it.
void ServiceManager::report_reloading()
{
    const auto now =
        std::chrono::duration_cast<std::chrono::microseconds>(loop_.clock().now().time_since_epoch());
    report("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()) +
           status_line("reading the configuration"));
}

void ServiceManager::report_stopping(std::string_view status)
{
    report("STOPPING=1" + status_line(status));
}

void ServiceManager::report(std::string text)
{
    report_ = std::move(text);
    send(report_);
}

void ServiceManager::feed_watchdog()
{
    if (has_watchdog_ && waiting_.empty()) // one that waits would be followed by another each time
        send("WATCHDOG=1");
}

void ServiceManager::store(int descriptor, const std::string& name)
{
    if (!address_)
        return;
    UniqueFd duplicate{::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)};
    if (!duplicate.is_open())
        return lose(error_text(errno));
    send("FDSTORE=1\nFDNAME=" + name, std::move(duplicate));
}

void ServiceManager::remove_stored(const std::string& name)
{
    send(std::string{removal} + name);
}

bool ServiceManager::keeps_descriptors() const noexcept
{
    return listens() && std::ranges::none_of(
                            waiting_, [](const Message& message) { return message.descriptor.is_open(); });
}

void ServiceManager::send(std::string text, UniqueFd descriptor)
{
    if (!address_)
        return;
    Message message{std::move(text), std::move(descriptor)};
    if (waiting_.size() >= waiting_max)
        return lose(message, "it does not read");
    waiting_.push_back(std::move(message));
    send_waiting();
}

/// In their order: a socket is stored before we are ready.
void ServiceManager::send_waiting()
{
    while (!waiting_.empty()) {
        const Sent sent = try_send(waiting_.front());
        if (sent == Sent::later)
            return retry_timer_.schedule(loop_.clock().now() + retry_interval);
        if (sent == Sent::never)
            lose(waiting_.front(), error_text(errno));
        is_heard_ = is_heard_ || sent == Sent::yes;
        waiting_.pop_front();
    }
    if (!is_repeating_)
        note_told();
}

/// All that there was to say, and not nothing.
void ServiceManager::note_told()
{
    if (has_lost_ || !waiting_.empty() || !is_heard_ || !std::exchange(is_told_of_, false))
        return;
    back_off_.on_success();
    log_.notice("the service manager is told again at " + name_);
}

ServiceManager::Sent ServiceManager::try_send(const Message& message) const noexcept
{
    iovec data{const_cast<char*>(message.text.data()), message.text.size()};
    msghdr header{};
    header.msg_name = const_cast<sockaddr*>(address_->get());
    header.msg_namelen = address_->size();
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    if (message.descriptor.is_open()) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* const rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int));
        const int descriptor = message.descriptor.get();
        std::memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
    }
    if (::sendmsg(socket_.get(), &header, MSG_NOSIGNAL) >= 0)
        return Sent::yes;
    const bool is_full = errno == EAGAIN || errno == ENOBUFS || errno == EINTR || errno == ETOOMANYREFS;
    return is_full ? Sent::later : Sent::never;
}

void ServiceManager::lose(const Message& message, const std::string& problem)
{
    if (message.text.starts_with(removal) && lost_removals_.size() < waiting_max)
        lost_removals_.insert(message.text);
    lose(problem);
}

void ServiceManager::lose(const std::string& problem)
{
    has_lost_ = true;
    is_heard_ = false;
    if (!std::exchange(is_told_of_, true))
        log_.warning("the service manager is not told at " + name_ + ": " + problem);
    if (!address_ || again_timer_.is_scheduled())
        return;
    back_off_.on_failure(loop_.clock().now());
    again_timer_.schedule(back_off_.until());
}

/// Which report was lost does not matter, the last one replaces those before it; nor what was to be stored:
/// all that is can be stored again. What was to go stands nowhere else, and in its name may be stored anew.
void ServiceManager::say_lost_again()
{
    if (!address_ || !std::exchange(has_lost_, false))
        return;
    again_timer_.cancel();
    is_repeating_ = true; // the report alone is not all
    if (!report_.empty())
        send(report_);
    for (const std::string& text : std::exchange(lost_removals_, {}))
        send(text);
    store_anew_();
    is_repeating_ = false;
    note_told();
}

} // namespace postern
