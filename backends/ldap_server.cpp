// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_server.hpp"

#include "backends/backend.hpp"

#include <ldap.h>

#include <memory>

namespace postern {

namespace {

constexpr const char* ldapi_path = "/var/run/slapd/ldapi"; ///< Debian's libldap has no other

} // namespace

LdapServer parse_ldap_uri(const std::string& uri)
{
    LDAPURLDesc* parsed = nullptr;
    if (::ldap_url_parse(uri.c_str(), &parsed) != LDAP_URL_SUCCESS)
        throw BackendError{"ldap_servers: " + uri + " is no URI such as ldap://localhost/"};
    const std::unique_ptr<LDAPURLDesc, decltype(&::ldap_free_urldesc)> url{parsed, ::ldap_free_urldesc};
    const std::string scheme = url->lud_scheme;
    const std::string host = url->lud_host == nullptr ? "" : url->lud_host;
    const std::string port = std::to_string(url->lud_port);
    if (scheme == "ldapi")
        return {uri, LdapServer::Scheme::ldapi, host.empty() ? ldapi_path : host, ""};
    if (scheme != "ldap" && scheme != "ldaps")
        throw BackendError{"ldap_servers: " + uri + ": ldap, ldaps or ldapi was expected"};
    const bool is_ldaps = scheme == "ldaps";
    return {uri, is_ldaps ? LdapServer::Scheme::ldaps : LdapServer::Scheme::ldap,
            host.empty() ? "localhost" : host,
            url->lud_port != 0 ? port
            : is_ldaps         ? "636"
                               : "389"};
}

} // namespace postern
