// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>

namespace postern {

/// One of ldap_servers.
struct LdapServer {
    enum class Scheme : std::uint8_t { ldap, ldaps, ldapi };
    std::string uri; ///< as the admin wrote it
    Scheme scheme;
    std::string host; ///< of ldapi: the path of the socket
    std::string port;
};

/// Throws BackendError when it is none that we can connect to.
[[nodiscard]] LdapServer parse_ldap_uri(const std::string& uri);

} // namespace postern
