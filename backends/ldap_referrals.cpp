// SPDX-License-Identifier: BSD-2-Clause
//
// libldap calls us twice on its way to a server: when it has connected, before TLS and before it sends
// anything, and when it would bind there. To say no is possible at the first call only: after a no at the
// second libldap forgets all that it has asked, the search of ours too, which then never ends. Without that
// call it binds as nobody itself, and waits for the answer without end. So the second call says yes and binds
// nobody, which is the same; and that it came at all says that the server was reached.
#include "backends/ldap_referrals.hpp"

#include "backends/backend.hpp"
#include "backends/ldap_timed_reads.hpp"
#include "base/lower_case.hpp"

#include <ldap.h>

#include <algorithm>

namespace postern {

namespace {

constexpr std::size_t servers_reached_max = 64;

/// The same text for all URLs of one server; empty when it is none of LDAP's.
std::string server_of(const std::string& url)
{
    LDAPURLDesc* parsed = nullptr;
    if (::ldap_url_parse(url.c_str(), &parsed) != LDAP_URL_SUCCESS)
        return "";
    const std::unique_ptr<LDAPURLDesc, decltype(&::ldap_free_urldesc)> owned{parsed, ::ldap_free_urldesc};
    const std::string host = parsed->lud_host == nullptr ? "" : in_lower_case(parsed->lud_host);
    return std::string{parsed->lud_scheme} + "://" + host + ':' + std::to_string(parsed->lud_port);
}

} // namespace

struct LdapReferrals::Callbacks {
    static int on_connected(LDAP*, Sockbuf* buffer, LDAPURLDesc* server, sockaddr*,
                            ldap_conncb* self) noexcept
    {
        const auto& referrals = *static_cast<const LdapReferrals*>(self->lc_arg);
        if (referrals.servers_ == Servers::encrypted && std::string_view{server->lud_scheme} != "ldaps")
            return -1;
        limit_reads(buffer, referrals.end_);
        return 0;
    }

    static void on_closed(LDAP*, Sockbuf*, ldap_conncb*) noexcept {}

    static int on_bind(LDAP*, const char* url, ber_tag_t, ber_int_t, void* self) noexcept
    {
        std::set<std::string>& reached = static_cast<LdapReferrals*>(self)->reached_;
        if (url != nullptr && reached.size() < servers_reached_max)
            reached.insert(server_of(url));
        return LDAP_SUCCESS;
    }
};

LdapReferrals::LdapReferrals()
    : callbacks_{
          std::make_unique<ldap_conncb>(ldap_conncb{Callbacks::on_connected, Callbacks::on_closed, this})}
{
}

LdapReferrals::~LdapReferrals() = default;

void LdapReferrals::follow(LdapHandle& handle, const LdapServer& server, Servers servers)
{
    servers_ = servers;
    asked_ = server_of(server.uri);
    handle.set_option(LDAP_OPT_CONNECT_CB, callbacks_.get(), "ldap_referrals");
    if (::ldap_set_rebind_proc(handle.get(), Callbacks::on_bind, this) != LDAP_SUCCESS)
        throw BackendError{"libldap cannot be told how to follow referrals"};
}

void LdapReferrals::begin_search(TimePoint end)
{
    end_ = end;
    reached_ = {asked_};
}

bool LdapReferrals::has_reached(const std::vector<std::string>& urls) const
{
    return std::ranges::any_of(urls, [this](const std::string& url) {
        const std::string server = server_of(url);
        return !server.empty() && reached_.contains(server);
    });
}

} // namespace postern
