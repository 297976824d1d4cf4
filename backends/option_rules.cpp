// SPDX-License-Identifier: BSD-2-Clause
#include "backends/option_rules.hpp"

#include <algorithm>
#include <string_view>

namespace postern {

namespace {

std::string_view value(const BackendOptions& options, std::string_view key)
{
    const auto found = options.find(key);
    return found == options.end() ? std::string_view{} : std::string_view{found->second};
}

/// A well-formed time of nothing, in whatever unit.
bool is_zero(std::string_view time)
{
    return !time.empty() && time.find_first_of("123456789") == std::string_view::npos;
}

/// Whether it is the port of IMAP with TLS from the first byte on.
bool is_imaps(std::string_view port)
{
    return port == "993" || port == "imaps";
}

/// A name in the list has it behind a slash.
bool has_imaps_port(std::string_view hosts)
{
    for (std::size_t slash = 0; (slash = hosts.find('/', slash)) != std::string_view::npos;) {
        const std::size_t end = std::min(hosts.find_first_of(" \t,", ++slash), hosts.size());
        if (is_imaps(hosts.substr(slash, end - slash)))
            return true;
    }
    return false;
}

std::string problem_of_groups(const BackendOptions& options)
{
    const bool has_dn = !value(options, "ldap_group_dn").empty();
    const bool has_filter = !value(options, "ldap_group_filter").empty();
    const bool is_search = value(options, "ldap_group_match_method") == "filter";
    if (is_search && has_dn && !has_filter)
        return "ldap_group_match_method is filter, and ldap_group_filter is empty";
    if (!is_search && has_filter && !has_dn)
        return "ldap_group_match_method is attr, and ldap_group_dn is empty";
    return "";
}

} // namespace

OptionFinding ldap_option_rule(const BackendOptions& options)
{
    const bool is_fastbind =
        value(options, "ldap_auth_method") == "fastbind" && value(options, "ldap_use_sasl") != "yes";
    if (is_fastbind && value(options, "ldap_filter").starts_with('('))
        return {"ldap_filter is a filter, and fastbind needs a DN there, such as "
                "uid=%u,ou=people,dc=example,dc=org",
                ""};
    return {problem_of_groups(options), ""};
}

OptionFinding rimap_option_rule(const BackendOptions& options)
{
    for (const char* const key : {"rimap_connect_timeout", "rimap_timeout"})
        if (is_zero(value(options, key)))
            return {std::string{key} + " is 0, and nobody could log in; a time was expected", ""};
    if (value(options, "rimap_tls") != "none")
        return {};
    if (!value(options, "rimap_ca_file").empty())
        return {"rimap_ca_file is set, and rimap_tls is none: passwords would travel in clear; "
                "rimap_tls = starttls or implicit was expected",
                ""};
    if (is_imaps(value(options, "rimap_port")) || has_imaps_port(value(options, "rimap_host")))
        return {"", "rimap_tls is none, and the port is that of IMAP with TLS; implicit was expected"};
    return {};
}

} // namespace postern
