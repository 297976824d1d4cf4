// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_connections.hpp"

#include <algorithm>

namespace postern {

namespace {

/// With a DN and no password nobody is bound, whatever the server says: so nobody is named.
std::string service_dn(const LdapSettings& settings, const Secret& password)
{
    return password.empty() ? "" : settings.service_dn;
}

} // namespace

LdapConnections::ServicePassword::ServicePassword(const std::string& text)
    : arena_{std::max<std::size_t>(text.size(), 1), 1}
    , secret_{text.empty() ? Secret{} : Secret{arena_, text}}
{
}

LdapConnections::LdapConnections(const LdapSettings& settings, const std::string& service_password, Log& log)
    : settings_{settings}
    , service_password_{service_password}
    , service_dn_{service_dn(settings, service_password_.get())}
    , service_{settings, LdapConnection::Referrals::as_set}
    , user_{settings, LdapConnection::Referrals::never}
{
    for (const std::string& uri : settings_.servers)
        addresses_.push_back(parse_ldap_uri(uri));
    if (service_dn_ != settings_.service_dn)
        log.warning("ldap_bind_dn has no ldap_password: users are searched as nobody");
}

void LdapConnections::use(std::size_t server, std::chrono::milliseconds time)
{
    if (server_ != server)
        close();
    server_ = server;
    const TimePoint end = std::chrono::steady_clock::now() + time;
    service_.set_end(end);
    user_.set_end(end);
}

void LdapConnections::close() noexcept
{
    service_.close();
    user_.close();
}

LdapConnection& LdapConnections::service()
{
    if (service_.is_open())
        return service_;
    service_.open(addresses_[server_]);
    try {
        if (const LdapAnswer answer = bind_as_service(); answer.result != LdapResult::success)
            throw ServerProblem{"the service bind was refused: " + answer_text(answer)};
    } catch (...) {
        service_.close();
        throw;
    }
    return service_;
}

LdapAnswer LdapConnections::bind_as_service()
{
    const LdapSasl& sasl = settings_.sasl;
    if (!sasl.is_used)
        return service_.bind(service_dn_, service_password_.get());
    return service_.bind_by_sasl(
        {service_.sasl_mechanisms(), sasl.realm, sasl.id, sasl.authorization_id, service_password_.get()},
        false);
}

LdapConnection& LdapConnections::user()
{
    if (!user_.is_open())
        user_.open(addresses_[server_]);
    return user_;
}

LdapAnswer LdapConnections::bind_as_nobody()
{
    return on_kept(user_, [&] { return user().bind("", Secret{}); });
}

} // namespace postern
