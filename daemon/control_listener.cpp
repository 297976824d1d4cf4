// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/control_listener.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <iterator>
#include <utility>

namespace postern {

namespace {

constexpr std::chrono::milliseconds pause_without_descriptors{100};

} // namespace

ControlListener::ControlListener(EventLoop& loop, Log& log, ControlHost& host, UniqueFd socket)
    : loop_{loop}
    , services_{loop, log, host, [this](ControlSessionList::iterator session) { end_session(session); }}
    , socket_{std::move(socket)}
    , retry_timer_{loop, [this] { watch(); }}
{
}

void ControlListener::close()
{
    retry_timer_.cancel();
    watch_.reset();
    socket_.reset();
}

void ControlListener::watch()
{
    watch_.emplace(loop_, socket_.get(), EPOLLIN, [this](std::uint32_t) { accept(); });
}

/// One a turn: there is never a crowd.
void ControlListener::accept()
{
    UniqueFd socket{::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket.is_open()) {
        if (errno == EMFILE || errno == ENFILE) {
            watch_.reset();
            retry_timer_.schedule(loop_.clock().now() + pause_without_descriptors);
        }
        return;
    }
    sessions_.emplace_back(services_, std::move(socket));
    if (sessions_.size() == sessions_max)
        watch_.reset();
    sessions_.back().begin(std::prev(sessions_.end()));
}

void ControlListener::end_session(ControlSessionList::iterator session)
{
    sessions_.erase(session);
    if (!watch_ && socket_.is_open())
        watch();
}

} // namespace postern
