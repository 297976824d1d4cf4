// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "daemon/unix_address.hpp"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

namespace postern {

/// What a service manager has under NOTIFY_SOCKET: hears what daemons say, with the descriptors that come
/// along.
class NotifyListener {
public:
    struct Heard {
        std::string text;
        std::vector<UniqueFd> descriptors;
    };

    /// `name` is a path, or an abstract name with `@` in front.
    explicit NotifyListener(const std::string& name)
        : socket_{check(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")}
    {
        const UnixAddress address = UnixAddress::of_path_or_abstract(name);
        check(::bind(socket_.get(), address.get(), address.size()), "bind");
    }

    /// The next message; an empty one when there is none.
    Heard hear()
    {
        Heard heard;
        std::array<char, 4096> text{};
        alignas(cmsghdr) std::array<char, 256> control{};
        iovec data{text.data(), text.size()};
        msghdr header{};
        header.msg_iov = &data;
        header.msg_iovlen = 1;
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        const ssize_t got = ::recvmsg(socket_.get(), &header, MSG_CMSG_CLOEXEC);
        if (got < 0)
            return heard;
        heard.text.assign(text.data(), static_cast<std::size_t>(got));
        const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
        for (std::size_t i = 0; rights != nullptr && CMSG_LEN((i + 1) * sizeof(int)) <= rights->cmsg_len;
             ++i) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(rights) + i * sizeof descriptor, sizeof descriptor);
            heard.descriptors.emplace_back(descriptor);
        }
        return heard;
    }

private:
    UniqueFd socket_;
};

} // namespace postern
