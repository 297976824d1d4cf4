// SPDX-License-Identifier: BSD-2-Clause
//
// delay PORT SERVER-PORT MILLISECONDS: the server on SERVER-PORT of 127.0.0.1, as if it were far away, on
// PORT.
//
// Every byte is on its way for so long, in either direction, however many are under way. connect(2) itself is
// answered by this host's kernel and cannot be held up; so what comes behind it is: TCP's three segments
// would take a round trip until the client may speak, and half of one more until the server hears of him.
// Kernels have this as tc-netem(8), but not every kernel. Serves until it is killed, those who speak little.
#include "base/event_loop.hpp"
#include "base/posix_error.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <list>
#include <optional>
#include <string>
#include <utility>

namespace postern {

namespace {

sockaddr_in at_port(const char* port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<in_port_t>(std::stoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

UniqueFd tcp_socket()
{
    UniqueFd socket{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    constexpr int yes = 1;
    check(::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), "SO_REUSEADDR");
    check(::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
    return socket;
}

/// From one side of a connection to the other.
class Way {
public:
    Way(EventLoop& loop, int from, int to, Duration delay, TimePoint opens)
        : loop_{loop}
        , from_{from}
        , to_{to}
        , delay_{delay}
        , opens_{opens}
        , watch_{std::in_place, loop, from, EPOLLIN, [this](std::uint32_t) { take(); }}
        , arrival_{loop, [this] { deliver(); }}
    {
    }

    [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }

private:
    struct Piece {
        TimePoint due;
        std::string bytes; ///< none: the end
    };

    void take()
    {
        std::array<char, 16384> memory{};
        const ssize_t got = ::recv(from_, memory.data(), memory.size(), MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        const auto size = static_cast<std::size_t>(std::max<ssize_t>(got, 0));
        pieces_.push_back({std::max(loop_.clock().now(), opens_) + delay_, std::string{memory.data(), size}});
        if (size == 0)
            watch_.reset();
        arrival_.schedule(pieces_.front().due);
    }

    void deliver()
    {
        while (!pieces_.empty() && pieces_.front().due <= loop_.clock().now()) {
            const std::string bytes = std::move(pieces_.front().bytes);
            pieces_.pop_front();
            if (!bytes.empty() &&
                ::send(to_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()))
                continue;
            ::shutdown(to_, SHUT_WR);
            has_ended_ = true;
            return;
        }
        if (!pieces_.empty())
            arrival_.schedule(pieces_.front().due);
    }

    EventLoop& loop_;
    int from_;
    int to_;
    Duration delay_;
    TimePoint opens_; ///< nothing sets out before
    std::optional<FdWatch> watch_;
    std::deque<Piece> pieces_;
    Timer arrival_;
    bool has_ended_ = false;
};

struct Connection {
    Connection(EventLoop& loop, UniqueFd accepted, UniqueFd connected, Duration delay)
        : client{std::move(accepted)}
        , server{std::move(connected)}
        , to_server{loop, client.get(), server.get(), delay, loop.clock().now() + 2 * delay}
        , to_client{loop, server.get(), client.get(), delay, loop.clock().now() + 3 * delay}
    {
    }

    [[nodiscard]] bool has_ended() const noexcept { return to_server.has_ended() && to_client.has_ended(); }

    UniqueFd client;
    UniqueFd server;
    Way to_server;
    Way to_client;
};

class FarServer {
public:
    FarServer(EventLoop& loop, sockaddr_in here, sockaddr_in server, Duration delay)
        : loop_{loop}, server_{server}, delay_{delay}
    {
        check(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), "bind");
        check(::listen(listener_.get(), SOMAXCONN), "listen");
        loop.at_turn_end(
            [this] { connections_.remove_if([](const Connection& c) { return c.has_ended(); }); });
    }

private:
    void accept()
    {
        constexpr int yes = 1;
        UniqueFd client{check(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "accept4")};
        check(::setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes), "TCP_NODELAY");
        UniqueFd server = tcp_socket();
        if (::connect(server.get(), reinterpret_cast<const sockaddr*>(&server_), sizeof server_) == 0)
            connections_.emplace_back(loop_, std::move(client), std::move(server), delay_);
    }

    EventLoop& loop_;
    sockaddr_in server_;
    Duration delay_;
    UniqueFd listener_ = tcp_socket();
    FdWatch watch_{loop_, listener_.get(), EPOLLIN, [this](std::uint32_t) { accept(); }};
    std::list<Connection> connections_;
};

} // namespace

} // namespace postern

int main(int argc, char** argv)
try {
    if (argc != 4) {
        std::cerr << "usage: delay PORT SERVER-PORT MILLISECONDS\n";
        return EXIT_FAILURE;
    }
    const postern::SystemClock clock;
    postern::EventLoop loop{clock};
    const postern::FarServer server{loop, postern::at_port(argv[1]), postern::at_port(argv[2]),
                                    std::chrono::milliseconds{std::stoi(argv[3])}};
    loop.run();
} catch (const std::exception& error) {
    std::cerr << "delay: " << error.what() << '\n';
    return EXIT_FAILURE;
}
