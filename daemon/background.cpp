// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/background.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace postern {

namespace {

/// The daemon either reports, or ends with the status that the caller shall see.
[[noreturn]] void wait_for_report(int report, pid_t daemon)
{
    char ready = 0;
    if (::read(report, &ready, 1) == 1)
        ::_exit(EXIT_SUCCESS);
    int status = 0;
    ::waitpid(daemon, &status, 0);
    ::_exit(WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status) : EXIT_FAILURE);
}

} // namespace

void tidy_descriptors(std::span<const PassedDescriptor> passed)
{
    int fd = -1;
    do
        fd = check(::open("/dev/null", O_RDWR), "/dev/null");
    while (fd <= STDERR_FILENO);
    unsigned first = STDERR_FILENO + 1;
    for (const PassedDescriptor& kept : passed) { // in the order of their numbers
        const auto descriptor = static_cast<unsigned>(kept.descriptor.get());
        if (descriptor > first)
            check(::syscall(SYS_close_range, first, descriptor - 1, 0U), "close_range");
        first = descriptor + 1;
    }
    check(::syscall(SYS_close_range, first, ~0U, 0U), "close_range");
}

Background::Background(bool stays_in_foreground)
{
    if (stays_in_foreground)
        return;
    std::array<int, 2> ends{};
    check(::pipe2(ends.data(), O_CLOEXEC), "pipe");
    UniqueFd read_end{ends[0]};
    report_ = UniqueFd{ends[1]};
    const pid_t pid = check(::fork(), "fork");
    if (pid != 0) {
        report_.reset();
        wait_for_report(read_end.get(), pid);
    }
    check(::setsid(), "setsid");
}

void Background::report_ready()
{
    if (!report_.is_open())
        return;
    const UniqueFd null{check(::open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null")};
    for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        check(::dup2(null.get(), stream), "dup2");
    const char ready = 1;
    [[maybe_unused]] const auto written = ::write(report_.get(), &ready, 1); // the caller may have left
    report_.reset();
}

} // namespace postern
