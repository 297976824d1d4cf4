// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"

#include <cstdint>
#include <string>

namespace postern {

struct BackendConfig;

/// The numbers behind an account.
struct Account {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
};

/// The accounts that roles run as, looked up once by the supervisor: a role in its sandbox cannot.
///
/// Without root there is one account, the caller's, and the log says what is lost.
class Accounts {
public:
    /// `user` names the unprivileged account; where it does not exist, nobody takes its place and the log
    /// says so. Throws ConfigError when that would be root.
    Accounts(const std::string& user, Log& log);

    [[nodiscard]] bool drops_privileges() const noexcept { return is_root_; }

    [[nodiscard]] Account front() const noexcept { return unprivileged_; }

    [[nodiscard]] Account worker(const BackendConfig& backend) const;

private:
    bool is_root_;
    Account unprivileged_;
};

} // namespace postern
