// SPDX-License-Identifier: BSD-2-Clause
#include "base/message_channel.hpp"

#include <fcntl.h>

#include <utility>

namespace postern {

MessageChannel::MessageChannel(EventLoop& loop, MessageSocket socket, std::function<void()> on_readable)
    : socket_{std::move(socket)}
    , on_readable_{std::move(on_readable)}
    , watch_{loop, socket_.fd(), EPOLLIN, [this](std::uint32_t events) {
                 if ((events & EPOLLOUT) != 0)
                     flush();
                 if ((events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0)
                     on_readable_(); // this may be destroyed now
             }}
{
    socket_.set_non_blocking();
}

bool MessageChannel::send(std::string_view bytes, int descriptor)
{
    if (waiting_.empty() && send_now(bytes, descriptor))
        return true;
    if ((waiting_.empty() && errno != EAGAIN && errno != ENOBUFS) || waiting_.size() == waiting_max)
        return false;
    UniqueFd kept;
    if (descriptor >= 0) {
        kept = UniqueFd{::fcntl(descriptor, F_DUPFD_CLOEXEC, 0)};
        if (!kept.is_open() || ++waiting_descriptors_ > waiting_descriptors_max)
            return false;
    }
    waiting_.push_back({std::string{bytes}, std::move(kept)});
    watch_.watch_for(EPOLLIN | EPOLLOUT);
    return true;
}

bool MessageChannel::send_now(std::string_view bytes, int descriptor) noexcept
{
    return socket_.send(bytes, {&descriptor, descriptor >= 0 ? 1U : 0U});
}

/// If the other side is gone, whoever reads will find out.
void MessageChannel::flush()
{
    while (!waiting_.empty() && send_now(waiting_.front().bytes, waiting_.front().descriptor.get())) {
        waiting_descriptors_ -= waiting_.front().descriptor.is_open() ? 1 : 0;
        waiting_.pop_front();
    }
    if (waiting_.empty())
        watch_.watch_for(EPOLLIN);
}

} // namespace postern
