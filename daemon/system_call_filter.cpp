// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/system_call_filter.hpp"

#include "base/posix_error.hpp"
#include "daemon/channel.hpp"
#include "protocol/supervisor_messages.hpp"

#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <stdexcept>

namespace postern {

namespace {

#ifdef POSTERN_SANITIZE
constexpr bool is_wanted = false;
#else
constexpr bool is_wanted = true;
#endif

// Serving descriptors, telling the time, and what libc needs for memory, abort() and exit(). Three more are
// allowed below: mmap and mprotect without PROT_EXEC, and tgkill on this very process.
constexpr std::array allowed_calls{
    SCMP_SYS(accept4),
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(close),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(fcntl),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(getsockopt),
    SCMP_SYS(gettid),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock2),
    SCMP_SYS(mremap),
    SCMP_SYS(munmap),
    SCMP_SYS(read),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendto),
    SCMP_SYS(shutdown),
    SCMP_SYS(timerfd_settime),
    SCMP_SYS(write),
    SCMP_SYS(writev),
};

/// Only what is safe in a signal handler: the message is made by hand and written.
void report_refused_call(int, siginfo_t* info, void*)
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    const std::string_view message =
        write_front_message(buffer, RefusedCall{static_cast<std::uint32_t>(info->si_syscall)});
    [[maybe_unused]] const auto written = ::write(channel_fd, message.data(), message.size());
    ::_exit(EXIT_FAILURE);
}

void catch_refused_calls()
{
    struct sigaction action {};

    action.sa_sigaction = report_refused_call;
    action.sa_flags = SA_SIGINFO;
    check(::sigaction(SIGSYS, &action, nullptr), "sigaction");
}

void must(int result)
{
    if (result < 0)
        throw std::system_error{-result, std::system_category(), "system-call filter"};
}

} // namespace

void load_system_call_filter()
{
    if (!is_wanted)
        return;
    catch_refused_calls();
    const std::unique_ptr<void, decltype(&seccomp_release)> filter{seccomp_init(SCMP_ACT_TRAP),
                                                                   seccomp_release};
    if (!filter)
        throw std::runtime_error{"system-call filter: no memory"};
    for (const int call : allowed_calls)
        must(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0));
    for (const int call : {SCMP_SYS(mmap), SCMP_SYS(mprotect)})
        must(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 1,
                              SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)));
    const auto self = static_cast<scmp_datum_t>(::getpid());
    must(seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self)));
    must(seccomp_load(filter.get()));
}

std::string system_call_name(std::uint32_t number)
{
    const std::unique_ptr<char, decltype(&std::free)> name{
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), std::free};
    return name ? name.get() : std::to_string(number);
}

} // namespace postern
