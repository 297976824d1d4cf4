// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/reply_server.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace postern {

/// A server in a process of its own that speaks in lines, as a test tells it to: a function is its side of
/// each connection. Blanks stand for the TABs of Dovecot's protocol.
class LineServer {
public:
    class Peer {
    public:
        explicit Peer(int fd) : fd_{fd} {}

        /// False when the peer is gone.
        bool say(std::string text) const
        {
            std::ranges::replace(text, ' ', '\t');
            return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) >= 0;
        }

        /// The next line, without its LF. Throws when the peer ends instead.
        std::string line() const
        {
            std::string text;
            for (char byte = 0; ::recv(fd_, &byte, 1, 0) == 1; text += byte)
                if (byte == '\n') {
                    std::ranges::replace(text, '\t', ' ');
                    return text;
                }
            throw std::runtime_error{"the peer has ended"};
        }

    private:
        int fd_;
    };

    LineServer(const std::string& path, const std::function<void(const Peer&)>& speak)
        : socket_{listen_at(path)}, pid_{::fork()}
    {
        check(pid_, "fork");
        if (pid_ == 0)
            serve(speak);
    }

    LineServer(LineServer&&) = delete;

    ~LineServer()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    [[noreturn]] void serve(const std::function<void(const Peer&)>& speak) const
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (true) {
            const UniqueFd connection{::accept(socket_.get(), nullptr, nullptr)};
            try {
                speak(Peer{connection.get()});
            } catch (const std::runtime_error&) {
                continue;
            }
        }
    }

    UniqueFd socket_;
    pid_t pid_;
};

} // namespace postern
