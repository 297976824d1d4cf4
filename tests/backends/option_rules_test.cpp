// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"

#include <catch2/catch.hpp>

using namespace postern;

namespace {

/// What the rule of a type says of its defaults with these in place of some.
OptionFinding finding(const char* type_name, const BackendOptions& said)
{
    const BackendType& type = *find_backend_type(type_name);
    BackendOptions options = said;
    for (const BackendOption& option : type.options)
        options.emplace(option.key, option.default_value);
    return type.rule(options);
}

} // namespace

TEST_CASE("the defaults of every type break no rule", "[options]")
{
    for (const BackendType& type : backend_types()) {
        CAPTURE(type.name);
        if (type.rule != nullptr)
            CHECK(finding(type.name.data(), {}).problem.empty());
    }
}

TEST_CASE("options of ldap that make no sense together are a problem", "[options]")
{
    const auto [said, problem] = GENERATE(table<BackendOptions, std::string>({
        {{{"ldap_auth_method", "fastbind"}},
         "ldap_filter is a filter, and fastbind needs a DN there, such as "
         "uid=%u,ou=people,dc=example,dc=org"},
        {{{"ldap_auth_method", "fastbind"}, {"ldap_filter", "uid=%u,dc=x"}}, ""},
        {{{"ldap_auth_method", "fastbind"}, {"ldap_use_sasl", "yes"}}, ""},
        {{{"ldap_group_match_method", "filter"}}, ""},
        {{{"ldap_group_match_method", "filter"}, {"ldap_group_dn", "cn=x"}},
         "ldap_group_match_method is filter, and ldap_group_filter is empty"},
        {{{"ldap_group_match_method", "filter"}, {"ldap_group_filter", "(cn=x)"}}, ""},
        {{{"ldap_group_filter", "(cn=x)"}}, "ldap_group_match_method is attr, and ldap_group_dn is empty"},
        {{{"ldap_group_filter", "(cn=x)"}, {"ldap_group_dn", "cn=x"}}, ""},
    }));
    CAPTURE(said);
    CHECK(finding("ldap", said).problem == problem);
}

TEST_CASE("TLS that was meant and not asked for is a problem of rimap", "[options]")
{
    const std::string clear = "rimap_ca_file is set, and rimap_tls is none: passwords would travel in clear; "
                              "rimap_tls = starttls or implicit was expected";
    CHECK(finding("rimap", {{"rimap_ca_file", "/ca.pem"}}).problem == clear);
    for (const char* const tls : {"starttls", "implicit"})
        CHECK(finding("rimap", {{"rimap_ca_file", "/ca.pem"}, {"rimap_tls", tls}}).problem.empty());
}

TEST_CASE("the port of IMAP with TLS and no TLS is worth a note", "[options]")
{
    const std::string note =
        "rimap_tls is none, and the port is that of IMAP with TLS; implicit was expected";
    const auto [said, expected] = GENERATE_COPY(table<BackendOptions, std::string>({
        {{{"rimap_host", "a/993"}}, note},
        {{{"rimap_host", "a b/imaps,c"}}, note},
        {{{"rimap_host", "a"}, {"rimap_port", "993"}}, note},
        {{{"rimap_port", "imaps"}}, note},
        {{{"rimap_host", "a/1993"}}, ""},
        {{{"rimap_host", "a/143"}, {"rimap_port", "143"}}, ""},
        {{{"rimap_host", "a/993"}, {"rimap_tls", "implicit"}}, ""},
    }));
    CAPTURE(said);
    CHECK(finding("rimap", said).note == expected);
}

TEST_CASE("a time of nothing for each answer of a server is a problem of rimap", "[options]")
{
    const auto* const key = GENERATE("rimap_timeout", "rimap_connect_timeout");
    const auto [time, is_problem] =
        GENERATE(table<std::string, bool>({{"0", true}, {"0ms", true}, {"00m", true}, {"10ms", false}}));
    CAPTURE(key, time);
    CHECK(finding("rimap", {{key, time}}).problem.empty() != is_problem);
}
