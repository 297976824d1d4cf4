// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/child_process.hpp"

#include "base/posix_error.hpp"
#include "daemon/channel.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace postern {

namespace {

/// Of the environment, only what a role has a use for: it is the caller's, and PAM modules believe much.
std::vector<std::string> role_environment()
{
    std::vector<std::string> environment{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
#ifdef POSTERN_SANITIZE
    static constexpr const char* kept[] = {"TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS"};
#else
    static constexpr const char* kept[] = {"TZ"};
#endif
    for (const char* name : kept)
        if (const char* value = std::getenv(name); value != nullptr)
            environment.push_back(std::string{name} + '=' + value);
    return environment;
}

std::vector<char*> as_vector_of_pointers(std::vector<std::string>& strings)
{
    std::vector<char*> pointers;
    for (std::string& string : strings)
        pointers.push_back(string.data());
    pointers.push_back(nullptr);
    return pointers;
}

/// Between fork and exec: system calls only. Every other descriptor closes itself on exec.
[[noreturn]] void become_role(int program, char* const* arguments, char* const* environment, int channel,
                              int null, bool keeps_stderr)
{
    for (int signal = 1; signal < NSIG; ++signal)
        ::signal(signal, SIG_DFL); // what the caller ignored would be ignored by every helper of a PAM module
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::dup2(null, STDIN_FILENO);
    ::dup2(null, STDOUT_FILENO);
    if (!keeps_stderr)
        ::dup2(null, STDERR_FILENO);
    if (channel == channel_fd)
        ::fcntl(channel, F_SETFD, 0);
    else
        ::dup2(channel, channel_fd);
    if (::syscall(SYS_close_range, channel_fd + 1, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) == 0)
        ::execveat(program, "", arguments, environment, AT_EMPTY_PATH);
    ::_exit(127);
}

} // namespace

UniqueFd open_own_program()
{
    UniqueFd program{check(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC), "/proc/self/exe")};

    struct stat status {};

    check(::fstat(program.get(), &status), "fstat");
    if (status.st_uid != 0 && status.st_uid != ::geteuid())
        throw std::runtime_error{"this program does not belong to root"};
    if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        throw std::runtime_error{"this program may be written by others than its owner"};
    return program;
}

ChildProcess start_role(int program, const std::vector<std::string>& arguments, int channel,
                        bool keeps_stderr)
{
    const UniqueFd null{check(::open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null")};
    // The program must not sit on descriptor 3, where the channel goes.
    const UniqueFd high_program{check(::fcntl(program, F_DUPFD_CLOEXEC, channel_fd + 1), "fcntl")};
    std::vector<std::string> strings = arguments;
    std::vector<std::string> environment = role_environment();
    const std::vector<char*> argument_pointers = as_vector_of_pointers(strings);
    const std::vector<char*> environment_pointers = as_vector_of_pointers(environment);
    ChildProcess child;
    child.pid = check(::fork(), "fork");
    if (child.pid == 0)
        become_role(high_program.get(), argument_pointers.data(), environment_pointers.data(), channel,
                    null.get(), keeps_stderr);
    child.pidfd = UniqueFd{static_cast<int>(::syscall(SYS_pidfd_open, child.pid, 0))};
    if (!child.pidfd.is_open()) { // what cannot be killed safely later is killed now
        const int problem = errno;
        ::kill(child.pid, SIGKILL);
        errno = problem;
        throw_errno("pidfd_open");
    }
    return child;
}

void kill_process(const ChildProcess& process) noexcept
{
    if (process.pidfd.is_open())
        ::syscall(SYS_pidfd_send_signal, process.pidfd.get(), SIGKILL, nullptr, 0);
}

std::string wait_status_text(int status)
{
    if (WIFSIGNALED(status))
        return "was killed by signal " + std::to_string(WTERMSIG(status)) +
               (WCOREDUMP(status) ? ", core dumped" : "");
    return "ended with status " + std::to_string(WEXITSTATUS(status));
}

} // namespace postern
