// SPDX-License-Identifier: BSD-2-Clause
#include "tools/password_prompt.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

namespace postern {

namespace {

/// A terminal that does not show what is typed.
class EchoOff {
public:
    explicit EchoOff(int terminal) : terminal_{terminal}
    {
        check(::tcgetattr(terminal_, &before_), "terminal");
        termios silent = before_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK);
        silent.c_lflag |= ECHONL | ICANON | ISIG;
        check(::tcsetattr(terminal_, TCSAFLUSH, &silent), "terminal");
    }

    EchoOff(EchoOff&&) = delete;

    ~EchoOff() { ::tcsetattr(terminal_, TCSAFLUSH, &before_); }

private:
    int terminal_;
    termios before_{};
};

/// The signals that end a program arrive here instead; one that stops it waits.
class HeldSignals {
public:
    HeldSignals()
    {
        sigset_t ending{};
        ::sigemptyset(&ending);
        for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM})
            ::sigaddset(&ending, signal);
        events_ = UniqueFd{check(::signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK), "signalfd")};
        ::sigaddset(&ending, SIGTSTP);
        ::pthread_sigmask(SIG_BLOCK, &ending, &before_);
    }

    HeldSignals(HeldSignals&&) = delete;

    ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    /// Waits for something to read. The number of the signal that came first, else 0.
    [[nodiscard]] int wait_for(int fd) const
    {
        std::array<pollfd, 2> waiting{pollfd{events_.get(), POLLIN, 0}, pollfd{fd, POLLIN, 0}};
        while (::poll(waiting.data(), waiting.size(), -1) < 0)
            if (errno != EINTR)
                throw_errno("poll");
        signalfd_siginfo event{};
        const bool has_signal = ::read(events_.get(), &event, sizeof event) == sizeof event;
        return has_signal ? static_cast<int>(event.ssi_signo) : 0;
    }

private:
    UniqueFd events_;
    sigset_t before_{};
};

Secret read_unless_interrupted(int terminal, SecretArena& secrets, std::string_view prompt, int& signal)
{
    const HeldSignals signals;
    const EchoOff echo_off{terminal};
    check(::write(terminal, prompt.data(), prompt.size()), "terminal");
    signal = signals.wait_for(terminal);
    return signal == 0 ? read_line(terminal, secrets) : Secret{};
}

std::size_t read_some(int fd, std::span<char> memory)
{
    ssize_t got = -1;
    do
        got = ::read(fd, memory.data(), memory.size());
    while (got < 0 && errno == EINTR);
    return static_cast<std::size_t>(check(got, "the password cannot be read"));
}

UniqueFd open_terminal()
{
    UniqueFd terminal{::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)};
    return terminal.is_open() ? std::move(terminal)
                              : UniqueFd{check(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3), "standard input")};
}

} // namespace

Secret read_password(SecretArena& secrets, std::string_view prompt)
{
    if (::isatty(STDIN_FILENO) == 0)
        return read_line(STDIN_FILENO, secrets);
    return ask_on_terminal(open_terminal().get(), secrets, prompt);
}

Secret read_new_password(SecretArena& secrets, std::string_view prompt)
{
    Secret password = read_password(secrets, prompt);
    if (::isatty(STDIN_FILENO) != 0 && !password.equals(read_password(secrets, "Once more: ")))
        throw std::runtime_error{"the two passwords differ; nothing was changed"};
    return password;
}

Secret ask_on_terminal(int terminal, SecretArena& secrets, std::string_view prompt)
{
    int signal = 0;
    Secret password = read_unless_interrupted(terminal, secrets, prompt, signal);
    if (signal == 0)
        return password;
    ::raise(signal); // as if it came now, when the terminal is as it was
    throw std::runtime_error{"interrupted"};
}

Secret read_line(int fd, SecretArena& secrets)
{
    Secret line{secrets, {}};
    const std::span<char> buffer = line.buffer().first(password_line_bytes_max + 1); // and a newline
    std::size_t size = 0;
    while (size < buffer.size()) {
        const std::size_t got = read_some(fd, buffer.subspan(size));
        size += got;
        if (size == 0)
            throw std::runtime_error{"no password was given"};
        const std::size_t line_end = std::string_view{buffer.data(), size}.find('\n');
        if (got == 0 || line_end != std::string_view::npos) {
            line.resize(std::min(line_end, size));
            return line;
        }
    }
    throw std::runtime_error{"the password is longer than " + std::to_string(password_line_bytes_max) +
                             " bytes"};
}

} // namespace postern
