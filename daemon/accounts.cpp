// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/accounts.hpp"

#include "daemon/config.hpp"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

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

namespace {

bool needs_root(const BackendConfig& backend)
{
    const auto is_there = [&](const OptionPiece& wanted) {
        const auto option = backend.options.find(wanted.key);
        return option != backend.options.end() &&
               ::strcasestr(option->second.c_str(), std::string{wanted.piece}.c_str()) != nullptr;
    };
    const auto when = backend.type->root_when;
    return backend.type->user == WorkerUser::root || (!when.empty() && std::ranges::all_of(when, is_there));
}

} // namespace

Account Accounts::worker(const BackendConfig& backend) const
{
    if (!is_root_)
        return unprivileged_;
    Account account = needs_root(backend) ? Account{} : unprivileged_;
    const std::string group_name{backend.type->group};
    const group* const entry = group_name.empty() ? nullptr : ::getgrnam(group_name.c_str());
    if (entry != nullptr)
        account.gid = entry->gr_gid;
    return account;
}

} // namespace postern
