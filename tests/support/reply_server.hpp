// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace postern {

constexpr int listen_backlog = 8;

/// A UNIX stream socket at that path, listening.
inline UniqueFd listen_at(const std::string& path)
{
    UniqueFd socket{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path.c_str());
    check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    check(::listen(socket.get(), listen_backlog), "listen");
    return socket;
}

/// A server in a process of its own that answers any request with bytes that were fixed before. A connection
/// that ends without one is not answered, and does not count.
class ReplyServer {
public:
    using Reply = std::optional<std::string>; ///< nothing: never answers

    /// The first connection gets the first reply, and so on; after the last comes the first. Behind one by
    /// which a client finds out what is spoken here, nobody is accepted before so many wait; more than
    /// `queue_max` cannot.
    ReplyServer(const std::string& path, const std::vector<Reply>& replies, std::size_t waits_for = 0)
        : socket_{listen_at(path)}, pid_{::fork()}
    {
        check(pid_, "fork");
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (waits_for > 0)
                wait_for_queue(path, waits_for);
            serve(replies);
        }
    }

    static constexpr std::size_t queue_max = listen_backlog + 1; ///< as Linux counts

    ReplyServer(ReplyServer&&) = delete;

    ~ReplyServer()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    /// Each that waits stands in the kernel's list with the path, as the listening socket does.
    void wait_for_queue(const std::string& path, std::size_t waits_for) const
    {
        static_cast<void>(answers(UniqueFd{::accept(socket_.get(), nullptr, nullptr)}, std::nullopt));
        for (std::size_t sockets = 0; sockets < waits_for + 1;) {
            sockets = 0;
            std::ifstream list{"/proc/net/unix"};
            for (std::string line; std::getline(list, line);)
                sockets += line.ends_with(' ' + path) ? 1 : 0;
        }
    }

    [[noreturn]] void serve(const std::vector<Reply>& replies) const
    {
        for (std::size_t i = 0;;)
            if (answers(UniqueFd{::accept(socket_.get(), nullptr, nullptr)}, replies[i]))
                i = (i + 1) % replies.size();
    }

    static bool answers(UniqueFd connection, const Reply& reply)
    {
        std::array<char, 32768> request{};
        if (::recv(connection.get(), request.data(), request.size(), 0) <= 0)
            return false;
        if (!reply)
            static_cast<void>(connection.release()); // and keep it
        else
            static_cast<void>(::send(connection.get(), reply->data(), reply->size(), MSG_NOSIGNAL));
        return true;
    }

    UniqueFd socket_;
    pid_t pid_;
};

} // namespace postern
