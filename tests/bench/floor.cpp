// SPDX-License-Identifier: BSD-2-Clause
//
// floor SOCKET: answers OK to everybody on a socket of saslauthd's protocol, without looking at what is
// asked.
//
// What a login costs when nothing is done but what the protocol makes necessary: accept, read, write, close.
// No server that looks can be faster, and the benchmark measures how close one comes. It serves until it is
// killed, and believes that a request arrives in one piece, as those of the benchmark do.
#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <span>
#include <string_view>
#include <utility>

namespace postern {

namespace {

UniqueFd listen_at(std::string_view path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd listener{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
    check(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind");
    check(::listen(listener.get(), SOMAXCONN), "listen");
    return listener;
}

class Floor {
public:
    explicit Floor(std::string_view path)
        : listener_{listen_at(path)}, epoll_{check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")}
    {
        watch(listener_.get());
    }

    [[noreturn]] void run()
    {
        std::array<epoll_event, 256> events{};
        while (true) {
            const int count =
                check(::epoll_wait(epoll_.get(), events.data(), events.size(), -1), "epoll_wait");
            for (const epoll_event& event : std::span{events}.first(static_cast<std::size_t>(count)))
                if (event.data.fd == listener_.get())
                    accept_all();
                else
                    answer(UniqueFd{event.data.fd});
        }
    }

private:
    void watch(int fd)
    {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        check(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    }

    void accept_all()
    {
        while (true) {
            UniqueFd peer{::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
            if (!peer.is_open())
                return;
            answer(std::move(peer));
        }
    }

    void answer(UniqueFd peer)
    {
        constexpr std::string_view ok{"\0\2OK", 4};
        const ssize_t got = ::recv(peer.get(), request_.data(), request_.size(), 0);
        if (got > 0)
            static_cast<void>(::send(peer.get(), ok.data(), ok.size(), MSG_NOSIGNAL));
        else if (got < 0 && errno == EAGAIN)
            watch(peer.release()); // and it is somebody's again when it has asked
    }

    UniqueFd listener_;
    UniqueFd epoll_;
    std::array<char, 16384> request_{};
};

} // namespace

} // namespace postern

int main(int argc, char** argv)
try {
    if (argc != 2) {
        std::cerr << "usage: floor SOCKET\n";
        return EXIT_FAILURE;
    }
    postern::Floor{argv[1]}.run();
} catch (const std::exception& error) {
    std::cerr << "floor: " << error.what() << '\n';
    return EXIT_FAILURE;
}
