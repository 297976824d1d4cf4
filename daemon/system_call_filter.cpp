// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/system_call_filter.hpp"

#include "base/posix_error.hpp"
#include "daemon/channel.hpp"
#include "protocol/supervisor_messages.hpp"

#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

namespace postern {

namespace {

#ifdef POSTERN_SANITIZE
constexpr bool is_wanted = false;
#else
constexpr bool is_wanted = true;
#endif

// Serving descriptors, telling the time, and what libc needs for memory, abort() and exit().
constexpr std::array allowed_calls{
    SCMP_SYS(accept4),
    SCMP_SYS(brk),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(close),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(futex),
    SCMP_SYS(getpid),
    SCMP_SYS(getrandom),
    SCMP_SYS(gettid),
    SCMP_SYS(madvise),
    SCMP_SYS(mlock2),
    SCMP_SYS(mremap),
    SCMP_SYS(munlock),
    SCMP_SYS(munmap),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
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

/// A call that is allowed with these arguments only.
struct AllowedCall {
    int call;
    std::vector<scmp_arg_cmp> arguments;
};

scmp_arg_cmp argument(unsigned index, scmp_datum_t value)
{
    return {index, SCMP_CMP_EQ, value, 0};
}

std::vector<AllowedCall> calls_allowed_in_part()
{
    const scmp_arg_cmp no_code{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0};
    return {
        {SCMP_SYS(mmap), {no_code}},
        {SCMP_SYS(mprotect), {no_code}},
        {SCMP_SYS(tgkill), {argument(0, static_cast<scmp_datum_t>(::getpid()))}}, // abort()
        {SCMP_SYS(fcntl), {argument(1, F_SETFL)}},                                // non-blocking
        {SCMP_SYS(fcntl), {argument(1, F_DUPFD_CLOEXEC)}},
        {SCMP_SYS(getsockopt), {argument(1, SOL_SOCKET), argument(2, SO_PEERCRED)}}, // who asks, for the log
    };
}

/// Only what is safe in a signal handler: the message is made by hand and written.
void report_refused_call(int, siginfo_t* info, void*)
{
    std::array<char, front_message_bytes_max> buffer{};
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
    for (const auto& [call, arguments] : calls_allowed_in_part())
        must(seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call,
                                    static_cast<unsigned>(arguments.size()), arguments.data()));
    must(seccomp_load(filter.get()));
}

std::string system_call_name(std::uint32_t number)
{
    const std::unique_ptr<char, decltype(&std::free)> name{
        seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, static_cast<int>(number)), std::free};
    return name ? name.get() : std::to_string(number);
}

} // namespace postern
