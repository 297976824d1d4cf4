// SPDX-License-Identifier: BSD-2-Clause
#include "backends/server_connection.hpp"
#include "base/posix_error.hpp"
#include "tests/support/certificate.hpp"
#include "tests/support/temporary_directory.hpp"

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <memory>
#include <thread>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// So long a peer goes on: who has not given up by then sees its end, and that is not what is expected.
constexpr unsigned flood_seconds = 60;

TimePoint now() noexcept
{
    return SystemClock{}.now();
}

/// A server in a process of its own, for one connection.
class Peer {
public:
    using Service = void (*)(int connection, const std::string& certificate, const std::string& key);

    explicit Peer(Service service)
        : listener_{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")}
    {
        make_certificate(ca_file(), key());
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        check(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), size), "bind");
        check(::listen(listener_.get(), 1), "listen");
        check(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
        port_ = ntohs(address.sin_port);
        pid_ = check(::fork(), "fork");
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::alarm(flood_seconds);
            service(::accept(listener_.get(), nullptr, nullptr), ca_file(), key());
            ::_exit(0);
        }
    }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;
    ~Peer()
    {
        if (pid_ > 0)
            ::kill(pid_, SIGKILL);
        wait();
    }

    /// Until it has sent what it wanted to send.
    void wait()
    {
        if (pid_ > 0)
            ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

    [[nodiscard]] ServerConnection connect() const
    {
        return ServerConnection{"localhost", std::to_string(port_), now() + 60s};
    }

    [[nodiscard]] ServerConnection connect_with_tls() const
    {
        ServerConnection connection = connect();
        connection.begin_tls(trust(), "localhost", now() + 60s);
        return connection;
    }

    [[nodiscard]] TlsTrust trust() const { return TlsTrust{ca_file()}; }

private:
    [[nodiscard]] std::string ca_file() const { return directory_.file("certificate"); }
    [[nodiscard]] std::string key() const { return directory_.file("key"); }

    TemporaryDirectory directory_;
    UniqueFd listener_;
    int port_ = 0;
    pid_t pid_ = 0;
};

/// The server's side of TLS, in that version. Ends the process when it cannot be.
SSL* begin_tls(int connection, int version, const std::string& certificate, const std::string& key)
{
    SSL_CTX* const context = ::SSL_CTX_new(::TLS_server_method());
    ::SSL_CTX_set_min_proto_version(context, version);
    ::SSL_CTX_set_max_proto_version(context, version);
    if (::SSL_CTX_use_certificate_file(context, certificate.c_str(), SSL_FILETYPE_PEM) != 1 ||
        ::SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
        ::_exit(1);
    SSL* const session = ::SSL_new(context);
    ::SSL_set_fd(session, connection);
    if (::SSL_accept(session) != 1)
        ::_exit(1);
    return session;
}

bool send_ticket(SSL* session)
{
    return ::SSL_new_session_ticket(session) == 1 && ::SSL_do_handshake(session) == 1;
}

void flood_with_tickets(int connection, const std::string& certificate, const std::string& key)
{
    SSL* const session = begin_tls(connection, TLS1_3_VERSION, certificate, key);
    while (send_ticket(session)) {
    }
}

/// Each wants an answer, which is never read.
void flood_with_key_updates(int connection, const std::string& certificate, const std::string& key)
{
    SSL* const session = begin_tls(connection, TLS1_3_VERSION, certificate, key);
    while (::SSL_key_update(session, SSL_KEY_UPDATE_REQUESTED) == 1 && ::SSL_do_handshake(session) == 1) {
    }
}

/// Wishes to begin anew, each of which has a warning for an answer.
void flood_with_hello_requests(int connection, const std::string& certificate, const std::string& key)
{
    SSL* const session = begin_tls(connection, TLS1_2_VERSION, certificate, key);
    while (::SSL_renegotiate(session) == 1 && ::SSL_do_handshake(session) == 1) {
    }
}

/// All that it sends fits into the kernel.
void send_tickets_and_a_word(int connection, const std::string& certificate, const std::string& key)
{
    SSL* const session = begin_tls(connection, TLS1_3_VERSION, certificate, key);
    for (int tickets = 0; tickets < 400; ++tickets)
        if (!send_ticket(session))
            ::_exit(1);
    ::SSL_write(session, "at last", 7);
}

/// A record as long as there may be, in pieces that say nothing yet.
void begin_tls_byte_by_byte(int connection, const std::string&, const std::string&)
{
    constexpr std::array<unsigned char, 5> header{22, 3, 3, 0x3f, 0xff};
    ::send(connection, header.data(), header.size(), MSG_NOSIGNAL);
    while (::send(connection, "", 1, MSG_NOSIGNAL) == 1)
        std::this_thread::sleep_for(10ms);
}

} // namespace

TEST_CASE("records of TLS that say nothing end nobody's deadline", "[server_connection]")
{
    const Peer peer{GENERATE(Peer::Service{flood_with_tickets}, Peer::Service{flood_with_key_updates},
                             Peer::Service{flood_with_hello_requests})};
    ServerConnection connection = peer.connect_with_tls();
    std::array<char, 100> memory{};
    const TimePoint deadline = now() + 300ms;
    std::optional<std::size_t> bytes;
    try {
        bytes = connection.receive(memory, deadline);
    } catch (const ConnectionSilence&) { // the answers that TLS owes are not read
    }
    CHECK_FALSE(bytes.has_value());
    CHECK(now() >= deadline);
}

TEST_CASE("past the deadline nobody listens to what still comes", "[server_connection]")
{
    Peer peer{send_tickets_and_a_word};
    ServerConnection connection = peer.connect_with_tls();
    peer.wait();
    std::array<char, 100> memory{};
    CHECK_FALSE(connection.receive(memory, now()).has_value());
    const auto bytes = connection.receive(memory, now() + 60s); // the control: it was there
    CHECK(std::string_view{memory.data(), bytes.value()} == "at last");
}

TEST_CASE("a handshake that comes byte by byte ends at its deadline", "[server_connection]")
{
    const Peer peer{begin_tls_byte_by_byte};
    ServerConnection connection = peer.connect();
    const TlsTrust trust = peer.trust();
    const TimePoint deadline = now() + 300ms;
    CHECK_THROWS_AS(connection.begin_tls(trust, "localhost", deadline), ConnectionSilence);
    CHECK(now() >= deadline);
}

} // namespace postern
