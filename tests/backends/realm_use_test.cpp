// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"

#include <catch2/catch.hpp>

using namespace postern;

namespace {

/// What the type makes of realms with these options in place of some defaults.
RealmUse use_of(const std::string& type_name, const BackendOptions& said = {})
{
    const BackendType& type = *find_backend_type(type_name);
    BackendOptions options = said;
    for (const BackendOption& option : type.options)
        options.emplace(option.key, option.default_value);
    return realm_use(type, options);
}

} // namespace

TEST_CASE("who has accounts without realms looks at the user alone", "[realms]")
{
    for (const char* const type : {"pam", "shadow", "getpwent", "rimap"}) {
        CAPTURE(type);
        CHECK(use_of(type) == RealmUse::in_user);
    }
}

TEST_CASE("a sasldb and Kerberos look at the realm", "[realms]")
{
    CHECK(use_of("sasldb") == RealmUse::always);
    CHECK(use_of("kerberos5") == RealmUse::always);
}

TEST_CASE("what a directory makes of realms is said by the tokens that it is asked with", "[realms]")
{
    const auto [said, use] = GENERATE(table<BackendOptions, RealmUse>({
        {BackendOptions{}, RealmUse::in_user},
        {{{"ldap_filter", "(uid=%U)"}}, RealmUse::never},
        {{{"ldap_filter", "(uid=alice)"}}, RealmUse::never},
        {{{"ldap_filter", "(mail=%u@%r)"}}, RealmUse::always},
        {{{"ldap_filter", "(mail=%u%R)"}}, RealmUse::always},
        {{{"ldap_filter", "(&(uid=%U)(o=%d))"}}, RealmUse::beside_plain_user},
        {{{"ldap_filter", "(uid=%u)"}, {"ldap_search_base", "dc=%2,dc=%1"}}, RealmUse::in_user},
        {{{"ldap_filter", "(uid=%%r)"}}, RealmUse::never},
        {{{"ldap_filter", "(uid=%%%r)"}}, RealmUse::always},
        {{{"ldap_filter", "(uid=%U)%"}}, RealmUse::never},
        {{{"ldap_filter", "(uid=%s%D)"}}, RealmUse::never},
        // fastbind has no search
        {{{"ldap_auth_method", "fastbind"}, {"ldap_filter", "uid=%u,dc=x"}, {"ldap_search_base", "o=%r"}},
         RealmUse::in_user},
        {{{"ldap_auth_method", "fastbind"}, {"ldap_filter", "uid=%u,o=%r"}}, RealmUse::always},
        // SASL is told the whole name
        {{{"ldap_use_sasl", "yes"}}, RealmUse::beside_plain_user},
        {{{"ldap_use_sasl", "yes"}, {"ldap_auth_method", "custom"}}, RealmUse::in_user},
        // groups
        {{{"ldap_group_dn", "cn=mail,o=%r"}}, RealmUse::always},
        {{{"ldap_group_search_base", "o=%r"}}, RealmUse::in_user},
        {{{"ldap_group_filter", "(o=%r)"}, {"ldap_group_dn", "cn=mail"}}, RealmUse::in_user},
        {{{"ldap_group_filter", "(o=%r)"}, {"ldap_group_match_method", "filter"}}, RealmUse::in_user},
        {{{"ldap_group_filter", "(mail=yes)"},
          {"ldap_group_search_base", "uid=%U,o=%r"},
          {"ldap_group_match_method", "filter"}},
         RealmUse::always},
        {{{"ldap_group_filter", "(&(o=%r)(member=%D))"}, {"ldap_group_match_method", "filter"}},
         RealmUse::always},
        {{{"ldap_group_filter", "(&(o=%r)(memberUid=%U))"}, {"ldap_group_match_method", "filter"}},
         RealmUse::always},
    }));
    CAPTURE(said);
    CHECK(use_of("ldap", said) == use);
}
