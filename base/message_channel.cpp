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

bool MessageChannel::send(std::string_view bytes, std::span<const int> descriptors)
{
    if (waiting_.empty() && socket_.send(bytes, descriptors))
        return true;
    if ((waiting_.empty() && errno != EAGAIN && errno != ENOBUFS) || waiting_.size() == waiting_max ||
        waiting_descriptors_ + descriptors.size() > waiting_descriptors_max)
        return false;
    std::vector<UniqueFd> kept;
    for (const int descriptor : descriptors) {
        kept.emplace_back(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
        if (!kept.back().is_open())
            return false;
    }
    waiting_descriptors_ += kept.size();
    waiting_.push_back({std::string{bytes}, std::move(kept)});
    watch_.watch_for(EPOLLIN | EPOLLOUT);
    return true;
}

/// If the other side is gone, whoever reads will find out.
void MessageChannel::flush()
{
    while (!waiting_.empty()) {
        const Waiting& next = waiting_.front();
        std::vector<int> descriptors;
        for (const UniqueFd& descriptor : next.descriptors)
            descriptors.push_back(descriptor.get());
        if (!socket_.send(next.bytes, descriptors))
            return;
        waiting_descriptors_ -= descriptors.size();
        waiting_.pop_front();
    }
    watch_.watch_for(EPOLLIN);
}

} // namespace postern
