// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/accounts.hpp"

#include "daemon/config.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

namespace postern {

Accounts::Accounts(const std::string& user, Log& log)
    : is_root_{::geteuid() == 0}, unprivileged_{::geteuid(), ::getegid()}
{
    if (!is_root_) {
        log.warning("not started as root: every process runs as the caller, and without a root of its own");
        return;
    }
    const passwd* entry = ::getpwnam(user.c_str());
    if (entry == nullptr) {
        log.warning("there is no user " + user + ": its processes run as nobody");
        entry = ::getpwnam("nobody");
    }
    if (entry == nullptr || entry->pw_uid == 0 || entry->pw_gid == 0)
        throw ConfigError{"user " + user + ": an unprivileged account was expected"};
    unprivileged_ = {entry->pw_uid, entry->pw_gid};
}

Account Accounts::worker(const BackendType& type) const
{
    if (!is_root_)
        return unprivileged_;
    Account account = type.user == WorkerUser::root ? Account{} : unprivileged_;
    const std::string group_name{type.group};
    const group* const entry = group_name.empty() ? nullptr : ::getgrnam(group_name.c_str());
    if (entry != nullptr)
        account.gid = entry->gr_gid;
    return account;
}

} // namespace postern
