// SPDX-License-Identifier: BSD-2-Clause
#include "backends/realm_use.hpp"

#include <algorithm>
#include <string_view>

namespace postern {

namespace {

std::string_view value(const BackendOptions& options, std::string_view key)
{
    const auto found = options.find(key);
    return found == options.end() ? std::string_view{} : std::string_view{found->second};
}

/// What the token stands for: LdapTemplate. A label of the realm, %1 to %9, is not the realm: any other may
/// stand in front of it.
RealmUse use_by_token(char token)
{
    if (token == 'r' || token == 'R')
        return RealmUse::always;
    if (token == 'd')
        return RealmUse::beside_plain_user;
    return token == 'u' ? RealmUse::in_user : RealmUse::never;
}

/// Calls `take` with each token of a template.
template <typename Take>
void for_each_token(std::string_view pattern, Take take)
{
    for (std::size_t at = pattern.find('%'); at < pattern.size() && at + 1 < pattern.size();
         at = pattern.find('%', at + 2))
        take(pattern[at + 1]);
}

RealmUse use_by_template(std::string_view pattern)
{
    RealmUse use = RealmUse::never;
    for_each_token(pattern, [&use](char token) { use = std::max(use, use_by_token(token)); });
    return use;
}

bool names_user(std::string_view pattern)
{
    bool is_named = false;
    for_each_token(pattern, [&](char token) {
        is_named = is_named || std::string_view{"DuU"}.find(token) != std::string_view::npos;
    });
    return is_named;
}

/// A group that is found without the user, as by `(&(objectClass=domain)(dc=%r))`, says nothing of whose the
/// password is.
RealmUse ldap_group_use(const BackendOptions& options)
{
    if (value(options, "ldap_group_match_method") != "filter")
        return use_by_template(value(options, "ldap_group_dn"));
    const std::string_view filter = value(options, "ldap_group_filter");
    const std::string_view own_base = value(options, "ldap_group_search_base");
    const std::string_view base = own_base.empty() ? value(options, "ldap_search_base") : own_base;
    const bool is_users_own = names_user(filter) || names_user(base);
    return is_users_own ? std::max(use_by_template(base), use_by_template(filter)) : RealmUse::never;
}

/// Of who the user is.
RealmUse ldap_user_use(const BackendOptions& options)
{
    const std::string_view method = value(options, "ldap_auth_method");
    if (value(options, "ldap_use_sasl") == "yes" && method != "custom")
        return RealmUse::beside_plain_user; // Ldap::log_in_by_sasl
    const RealmUse by_filter = use_by_template(value(options, "ldap_filter"));
    return method == "fastbind" ? by_filter
                                : std::max(by_filter, use_by_template(value(options, "ldap_search_base")));
}

} // namespace

RealmUse uses_realm_always(const BackendOptions&) noexcept
{
    return RealmUse::always;
}

RealmUse ldap_realm_use(const BackendOptions& options)
{
    const bool has_group =
        !value(options, "ldap_group_dn").empty() || !value(options, "ldap_group_filter").empty();
    return std::max(ldap_user_use(options), has_group ? ldap_group_use(options) : RealmUse::never);
}

} // namespace postern
