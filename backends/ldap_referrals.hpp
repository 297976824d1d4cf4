// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_handle.hpp"
#include "base/clock.hpp"

#include <memory>
#include <set>
#include <string>
#include <vector>

struct ldap_conncb; // libldap's: what it calls when it connects

namespace postern {

/// The servers that a server names, which libldap asks on its own: here is said which of them it may ask and
/// how long that may take, and remembered which were reached. They are asked as nobody: none gets a password.
class LdapReferrals {
public:
    enum class Servers : std::uint8_t {
        all,
        encrypted, ///< an entry that came in clear could be anybody's
    };

    LdapReferrals();
    LdapReferrals(const LdapReferrals&) = delete;
    LdapReferrals& operator=(const LdapReferrals&) = delete;
    ~LdapReferrals();

    /// Has the handle, which is connected to `server`, follow them. It must end before this object. Throws
    /// BackendError.
    void follow(LdapHandle& handle, const LdapServer& server, Servers servers);

    /// A search begins, all of which is over by then.
    void begin_search(TimePoint end);

    /// Whether one of the servers in a reference, by their URLs, was reached for this search.
    [[nodiscard]] bool has_reached(const std::vector<std::string>& urls) const;

private:
    struct Callbacks;

    std::unique_ptr<ldap_conncb> callbacks_;
    Servers servers_ = Servers::all;
    TimePoint end_{};
    std::string asked_; ///< whose handle it is
    std::set<std::string> reached_;
};

} // namespace postern
