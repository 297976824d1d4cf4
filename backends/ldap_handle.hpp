// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_server.hpp"
#include "base/unique_fd.hpp"

#include <sys/time.h>

#include <chrono>
#include <memory>
#include <string>

struct ldap;    // libldap's handle
struct sockbuf; // what it reads from and writes to

namespace postern {

/// Memory that libldap allocated.
struct FreeLdapMemory {
    void operator()(char* memory) const noexcept;
};
using LdapText = std::unique_ptr<char, FreeLdapMemory>;

[[nodiscard]] timeval timeval_of(std::chrono::milliseconds time);

/// libldap's handle of a connection to a server: its options, and the last words that came over it. Asks
/// nothing; that is LdapConnection's.
class LdapHandle {
public:
    /// Throws ServerProblem; the connection is closed then.
    LdapHandle(UniqueFd connection, const LdapServer& server);

    [[nodiscard]] ldap* get() const noexcept { return handle_.get(); }
    [[nodiscard]] int descriptor() const noexcept;
    [[nodiscard]] sockbuf* buffer() const noexcept; ///< null when libldap shows none

    /// `name` is what the admin calls it. Throws BackendError when libldap does not take the value.
    void set_option(int option, const void* value, const char* name);
    [[nodiscard]] std::string text_option(int option) const; ///< empty when there is none
    void set_time(int option, std::chrono::milliseconds time);

    /// What the server said with its last answer, or libldap of its last trouble. May hold what was sent.
    [[nodiscard]] std::string diagnostic() const;

private:
    struct Unbind {
        void operator()(ldap* handle) const noexcept;
    };

    std::unique_ptr<ldap, Unbind> handle_;
};

} // namespace postern
