// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "daemon/unix_address.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace postern {

/// A socket of that type under that name, as a service manager makes it; it listens if it is asked to.
inline UniqueFd make_bound_socket(const std::string& path, int type = SOCK_STREAM, bool listens = true)
{
    const UnixAddress address = UnixAddress::of_path_or_abstract(path);
    UniqueFd socket{check(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0), "socket")};
    check(::bind(socket.get(), address.get(), address.size()), "bind");
    if (listens)
        check(::listen(socket.get(), SOMAXCONN), "listen");
    return socket;
}

/// Takes a connection that waits there; not open when none does.
inline UniqueFd take_connection(int socket)
{
    const int flags = ::fcntl(socket, F_GETFL);
    check(::fcntl(socket, F_SETFL, flags | O_NONBLOCK), "fcntl");
    return UniqueFd{::accept4(socket, nullptr, nullptr, SOCK_CLOEXEC)};
}

/// Somebody who is not us: a process of its own that listens there.
class Stranger {
public:
    explicit Stranger(const std::string& path) : socket_{listen_elsewhere(path, pid_)} {}
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;

    ~Stranger()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Whether somebody has connected to him.
    [[nodiscard]] bool has_peer() const { return take_connection(socket_.get()).is_open(); }

private:
    /// Who makes it listen counts, whoever has it besides.
    static UniqueFd listen_elsewhere(const std::string& path, pid_t& pid)
    {
        UniqueFd socket = make_bound_socket(path, SOCK_STREAM, false);
        pid = check(::fork(), "fork");
        if (pid == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::listen(socket.get(), SOMAXCONN);
            ::kill(::getpid(), SIGSTOP);
            ::_exit(0);
        }
        check(::waitpid(pid, nullptr, WUNTRACED), "waitpid");
        return socket;
    }

    pid_t pid_ = 0;
    UniqueFd socket_;
};

} // namespace postern
