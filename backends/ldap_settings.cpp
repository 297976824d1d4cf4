// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_settings.hpp"

#include "backends/option_values.hpp"

#include <algorithm>
#include <limits>

namespace postern {

namespace {

LdapMethod read_method(const BackendOptions& options)
{
    const std::string& word = option_text(options, "ldap_auth_method");
    if (word == "custom")
        return LdapMethod::custom;
    if (word == "fastbind" || option_is_yes(options, "ldap_use_sasl"))
        return LdapMethod::fastbind; // a user whom SASL knows has no DN to look for
    return LdapMethod::bind;
}

LdapScope read_scope(const BackendOptions& options, std::string_view key)
{
    const std::string& word = option_text(options, key);
    return word == "base" ? LdapScope::base : word == "one" ? LdapScope::one : LdapScope::sub;
}

LdapDeref read_deref(const BackendOptions& options)
{
    const std::string& word = option_text(options, "ldap_deref");
    if (word == "search")
        return LdapDeref::searching;
    if (word == "find")
        return LdapDeref::finding;
    return word == "always" ? LdapDeref::always : LdapDeref::never;
}

/// One of two options switches the check on, and the method says which of them it needs.
LdapGroupCheck read_group_check(const BackendOptions& options)
{
    const bool has_dn = !option_text(options, "ldap_group_dn").empty();
    const bool has_filter = !option_text(options, "ldap_group_filter").empty();
    if (!has_dn && !has_filter)
        return LdapGroupCheck::none;
    if (option_text(options, "ldap_group_match_method") == "filter") {
        if (!has_filter)
            throw BackendError{"ldap_group_match_method is filter, and ldap_group_filter is empty"};
        return LdapGroupCheck::search;
    }
    if (!has_dn)
        throw BackendError{"ldap_group_match_method is attr, and ldap_group_dn is empty"};
    return LdapGroupCheck::attribute;
}

LdapTls read_tls(const BackendOptions& options)
{
    LdapTls tls;
    tls.starts_on_plain = option_is_yes(options, "ldap_start_tls");
    if (!option_text(options, "ldap_tls_check_peer").empty())
        tls.checks_peer = option_is_yes(options, "ldap_tls_check_peer");
    tls.ca_file = option_text(options, "ldap_tls_cacert_file");
    tls.ca_directory = option_text(options, "ldap_tls_cacert_dir");
    tls.certificate = option_text(options, "ldap_tls_cert");
    tls.key = option_text(options, "ldap_tls_key");
    tls.ciphers = option_text(options, "ldap_tls_ciphers");
    return tls;
}

LdapSasl read_sasl(const BackendOptions& options)
{
    return {option_is_yes(options, "ldap_use_sasl"), option_text(options, "ldap_mech"),
            option_text(options, "ldap_realm"),      option_text(options, "ldap_id"),
            option_text(options, "ldap_authz_id"),   option_text(options, "ldap_sasl_secprops")};
}

/// Zero is for as long as there is time at all.
std::chrono::milliseconds read_timeout(const BackendOptions& options)
{
    const auto timeout = option_duration(options, "ldap_timeout");
    return timeout.count() == 0 ? std::chrono::hours{1} : timeout;
}

int read_limit(const BackendOptions& options, std::string_view key)
{
    constexpr std::uint32_t most = std::numeric_limits<int>::max();
    return static_cast<int>(std::min(option_number(options, key), most));
}

LdapTemplate read_template(const BackendOptions& options, LdapSyntax syntax, std::string_view key)
{
    return {syntax, option_text(options, key)};
}

LdapTemplate read_group_base(const BackendOptions& options)
{
    const bool has_own = !option_text(options, "ldap_group_search_base").empty();
    return read_template(options, LdapSyntax::dn, has_own ? "ldap_group_search_base" : "ldap_search_base");
}

/// Version 2 has neither.
int read_version(const BackendOptions& options)
{
    const bool needs_3 = option_is_yes(options, "ldap_start_tls") || option_is_yes(options, "ldap_use_sasl");
    return needs_3 ? 3 : static_cast<int>(option_number(options, "ldap_version"));
}

} // namespace

LdapSettings read_ldap_settings(const BackendOptions& options)
{
    LdapSettings settings{
        .servers = split_servers(option_text(options, "ldap_servers")),
        .method = read_method(options),
        .service_dn = option_text(options, "ldap_bind_dn"),
        .user = {read_template(options, LdapSyntax::dn, "ldap_search_base"),
                 read_template(options, LdapSyntax::filter, "ldap_filter"),
                 read_scope(options, "ldap_scope")},
        .user_dn = read_template(options, LdapSyntax::dn, "ldap_filter"),
        .password_attribute = option_text(options, "ldap_password_attr"),
        .default_realm = option_text(options, "ldap_default_realm"),
        .group_check = read_group_check(options),
        .group_dn = read_template(options, LdapSyntax::dn, "ldap_group_dn"),
        .group_attribute = option_text(options, "ldap_group_attr"),
        .group = {read_group_base(options), read_template(options, LdapSyntax::filter, "ldap_group_filter"),
                  read_scope(options, "ldap_group_scope")},
        .tls = read_tls(options),
        .sasl = read_sasl(options),
        .timeout = read_timeout(options),
        .time_limit_s = read_limit(options, "ldap_time_limit"),
        .size_limit = read_limit(options, "ldap_size_limit"),
        .deref = read_deref(options),
        .follows_referrals = option_is_yes(options, "ldap_referrals"),
        .restarts = option_is_yes(options, "ldap_restart"),
        .version = read_version(options),
        .debug_level = option_number(options, "ldap_debug"),
    };
    if (settings.servers.empty() || settings.servers.size() > servers_max)
        throw BackendError{"ldap_servers: from 1 to 32 servers were expected"};
    if (settings.method == LdapMethod::fastbind && !settings.sasl.is_used &&
        option_text(options, "ldap_filter").starts_with('('))
        throw BackendError{"ldap_filter is a filter, and fastbind needs a DN there, such as "
                           "uid=%u,ou=people,dc=example,dc=org"};
    return settings;
}

} // namespace postern
