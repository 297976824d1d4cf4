// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_imap.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "tests/support/certificate.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace postern {

namespace {

using namespace std::chrono_literals;

sockaddr_in loopback(int port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// Users' mail is in one place: nobody reads it, but a login opens it.
constexpr auto configuration = R"(
protocols = imap
listen = 127.0.0.1, 127.0.0.2
base_dir = DIR/run
state_dir = DIR/state
log_path = DIR/log
ssl = yes
ssl_cert = <DIR/certificate
ssl_key = <DIR/key
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_chars =
auth_username_format =
auth_verbose = yes
mail_location = maildir:DIR/mail
mail_max_userip_connections = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u DIR/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=DIR/mail
}
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service imap-login {
  service_count = 0
  inet_listener imap {
    port = PLAIN_PORT
  }
  inet_listener imaps {
    port = TLS_PORT
    ssl = yes
  }
}
)";

std::string replaced(std::string text, const std::string& what, const std::string& by)
{
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}

bool greets(int port)
{
    const UniqueFd socket{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const sockaddr_in address = loopback(port);
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        return false;
    pollfd entry{socket.get(), POLLIN, 0};
    std::array<char, 4> greeting{};
    return ::poll(&entry, 1, 10'000) == 1 && ::recv(socket.get(), greeting.data(), greeting.size(), 0) == 4 &&
           std::string_view{greeting.data(), 4} == "* OK";
}

} // namespace

int free_port()
{
    const UniqueFd socket{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size), "bind");
    check(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    return ntohs(address.sin_port);
}

DovecotImap::DovecotImap(const Users& users, const std::string& more)
    : port_{free_port()}, tls_port_{free_port()}
{
    check(::chmod(directory_.path().c_str(), 0755), "chmod");
    check(::mkdir(directory_.file("mail").c_str(), 0777), "mkdir");
    check(::chmod(directory_.file("mail").c_str(), 0777), "chmod"); // whatever the umask
    make_certificate(ca_file(), directory_.file("key"));
    std::ofstream users_file{directory_.file("users")};
    for (const auto& [user, password] : users)
        users_file << user << ":{PLAIN}" << password << '\n';
    std::string text = replaced(configuration, "DIR", directory_.path().string());
    text =
        replaced(replaced(text, "PLAIN_PORT", std::to_string(port_)), "TLS_PORT", std::to_string(tls_port_));
    std::ofstream{directory_.file("dovecot.conf")} << text << more << '\n';
    users_file.close();
    start();
}

DovecotImap::~DovecotImap()
{
    stop();
}

void DovecotImap::start()
{
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) {
        ::setpgid(0, 0);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        const std::string file = directory_.file("dovecot.conf");
        ::execl("/usr/sbin/dovecot", "dovecot", "-F", "-c", file.c_str(), nullptr);
        ::_exit(127);
    }
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!greets(port_)) {
        if (::waitpid(pid_, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() > end) {
            std::ifstream log{directory_.file("log")};
            throw std::runtime_error{"Dovecot does not greet: " +
                                     std::string{std::istreambuf_iterator{log}, {}}};
        }
        std::this_thread::sleep_for(10ms);
    }
}

void DovecotImap::stop()
{
    if (pid_ >= 0)
        groups_.push_back(std::exchange(pid_, -1));
    for (const pid_t group : std::exchange(groups_, {})) { // SIGTERM would take it seconds
        ::kill(-group, SIGKILL);
        ::waitpid(group, nullptr, 0);
        while (::kill(-group, SIGKILL) == 0) // until the others were collected too, by whoever does that
            std::this_thread::sleep_for(5ms);
    }
}

void DovecotImap::restart()
{
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
    groups_.push_back(std::exchange(pid_, -1));
    start();
}

} // namespace postern
