// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/sandbox.hpp"

#include "base/posix_error.hpp"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace postern {

namespace {

constexpr rlim_t worker_descriptors_max = 1024;

void set_limit(int resource, rlim_t soft, rlim_t hard)
{
    const rlimit limit{soft, hard};
    check(::setrlimit(static_cast<__rlimit_resource>(resource), &limit), "setrlimit");
}

void raise_soft_limit(int resource)
{
    rlimit limit{};
    check(::getrlimit(static_cast<__rlimit_resource>(resource), &limit), "getrlimit");
    set_limit(resource, limit.rlim_max, limit.rlim_max);
}

/// Locked memory without a bound, for passwords; in a container that may not be to be had, and then as much
/// as there is. SecretArena reports when it was too little.
void raise_locked_memory_limit()
{
    const rlimit unbounded{RLIM_INFINITY, RLIM_INFINITY};
    if (::setrlimit(RLIMIT_MEMLOCK, &unbounded) < 0)
        raise_soft_limit(RLIMIT_MEMLOCK);
}

/// A root without anything in it, which nobody can put anything into: the directory has no name any more.
void enter_empty_root()
{
    std::string path = "/tmp/postern-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
        throw_errno("an empty directory in /tmp");
    const int entered = ::chdir(path.c_str());
    const int removed = ::rmdir(path.c_str());
    check(entered, "chdir");
    check(removed, "rmdir");
    check(::chroot("."), "chroot");
}

void become(const Account& account)
{
    check(::setgroups(0, nullptr), "setgroups");
    check(::setresgid(account.gid, account.gid, account.gid), "setresgid");
    check(::setresuid(account.uid, account.uid, account.uid), "setresuid");
}

void drop_capabilities()
{
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
        ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); // fails where we never had the right to
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/// 0, or -1 and errno.
int set_capabilities(std::uint32_t capabilities)
{
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const std::array<__user_cap_data_struct, 2> sets{{{capabilities, capabilities, 0}, {}}};
    return static_cast<int>(::syscall(SYS_capset, &header, sets.data()));
}

void clear_capabilities()
{
    check(set_capabilities(0), "capset");
}

/// Of a file that is not there, nobody can say that it could not be read.
bool may_not_read(const std::string& file)
{
    return ::access(file.c_str(), R_OK) != 0 && errno == EACCES;
}

/// Whether the right to read any file was kept. In a container there may be none to keep.
bool keep_right_to_read(std::span<const std::string> files)
{
    if (std::ranges::any_of(files, may_not_read) && set_capabilities(1U << CAP_DAC_READ_SEARCH) == 0)
        return true;
    clear_capabilities();
    return false;
}

void forbid_new_privileges()
{
    check(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
}

/// Memory with passwords in it is for nobody's disk and nobody's debugger.
void close_memory()
{
    set_limit(RLIMIT_CORE, 0, 0);
    check(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "not dumpable");
}

/// The supervisor alone decides when a role ends, by closing its channel: a signal to the whole group, as a
/// terminal or systemd sends it, must not cut off the requests in flight.
void ignore_signals()
{
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE})
        ::signal(signal, SIG_IGN);
}

} // namespace

void enter_front_sandbox(const Account& account, bool drops_privileges)
{
    ignore_signals();
    check(::prctl(PR_SET_NAME, "postern-front", 0, 0, 0), "process name");
    raise_soft_limit(RLIMIT_NOFILE);
    raise_locked_memory_limit();
    if (drops_privileges) {
        enter_empty_root();
        drop_capabilities();
        become(account);
        clear_capabilities();
    }
    forbid_new_privileges();
    close_memory();
}

bool enter_worker_sandbox(const Account& account, bool drops_privileges, std::span<const std::string> files)
{
    bool reads_any_file = false;
    ignore_signals();
    check(::prctl(PR_SET_NAME, "postern-worker", 0, 0, 0), "process name");
    rlimit descriptors{};
    check(::getrlimit(RLIMIT_NOFILE, &descriptors), "getrlimit");
    const rlim_t allowed = std::min(descriptors.rlim_max, worker_descriptors_max);
    set_limit(RLIMIT_NOFILE, allowed, allowed);
    raise_locked_memory_limit();
    if (drops_privileges) {
        const bool becomes_other = account.uid != 0;
        if (becomes_other) {
            drop_capabilities();
            check(::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keep capabilities");
        }
        become(account);
        if (becomes_other)
            reads_any_file = keep_right_to_read(files);
        forbid_new_privileges();
    }
    close_memory();
    return reads_any_file;
}

void let_go_of_stderr()
{
    check(::dup2(STDIN_FILENO, STDERR_FILENO), "standard error");
}

} // namespace postern
