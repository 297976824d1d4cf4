// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend.hpp"
#include "backends/ldap_template.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postern {

/// How a password is checked.
enum class LdapMethod : std::uint8_t {
    bind,     ///< find the user, bind as it
    custom,   ///< find the user, compare what the directory keeps
    fastbind, ///< bind as the user without looking for it
};

enum class LdapScope : std::uint8_t { base, one, sub };
enum class LdapDeref : std::uint8_t { never, searching, finding, always };

/// Where and what to search.
struct LdapSearch {
    LdapTemplate base;
    LdapTemplate filter;
    LdapScope scope;
};

/// Who may log in besides.
enum class LdapGroupCheck : std::uint8_t { none, attribute, search };

/// How TLS is begun, and with what. Texts are empty when libldap's own default holds.
struct LdapTls {
    bool starts_on_plain = false;
    std::optional<bool> checks_peer;
    std::string ca_file;
    std::string ca_directory;
    std::string certificate;
    std::string key;
    std::string ciphers;
};

/// How binds by SASL are done. Texts are empty when libldap's own default holds.
struct LdapSasl {
    bool is_used = false;
    std::string mechanism;
    std::string realm;
    std::string id; ///< who searches
    std::string authorization_id;
    std::string security;
};

/// The options of type ldap, as its code wants them. The password of the service identity is not here: it is
/// a secret.
struct LdapSettings {
    std::vector<std::string> servers;
    LdapMethod method;
    std::string service_dn; ///< empty: nobody in particular searches
    LdapSearch user;
    LdapTemplate user_dn; ///< fastbind's
    std::string password_attribute;
    std::string default_realm;
    LdapGroupCheck group_check;
    LdapTemplate group_dn;
    std::string group_attribute;
    LdapSearch group;
    LdapTls tls;
    LdapSasl sasl;
    std::chrono::milliseconds timeout; ///< of one question; never zero
    int time_limit_s;
    int size_limit;
    LdapDeref deref;
    bool follows_referrals;
    bool restarts;
    int version;
    std::uint32_t debug_level;
};

/// Throws BackendError when options do not fit together.
[[nodiscard]] LdapSettings read_ldap_settings(const BackendOptions& options);

} // namespace postern
