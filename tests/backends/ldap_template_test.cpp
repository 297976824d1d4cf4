// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_template.hpp"

#include <ldap.h>

#include <catch2/catch.hpp>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace postern {

namespace {

using namespace std::string_literals;

std::string filter(const std::string& pattern, const LdapNames& names)
{
    return LdapTemplate{LdapSyntax::filter, pattern}.expand(names);
}

std::string dn(const std::string& pattern, const LdapNames& names)
{
    return LdapTemplate{LdapSyntax::dn, pattern}.expand(names);
}

/// The values of a DN's attributes, as libldap reads them; nothing when it is no DN.
std::vector<std::string> values_in_dn(const std::string& text)
{
    LDAPDN parsed = nullptr;
    const berval bytes{text.size(), const_cast<char*>(text.data())};
    if (::ldap_bv2dn(const_cast<berval*>(&bytes), &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
        return {};
    const std::unique_ptr<LDAPRDN, decltype(&::ldap_dnfree)> owned{parsed, ::ldap_dnfree};
    std::vector<std::string> values;
    for (LDAPRDN* rdn = parsed; rdn != nullptr && *rdn != nullptr; ++rdn)
        for (LDAPAVA** ava = *rdn; *ava != nullptr; ++ava)
            values.emplace_back((*ava)->la_value.bv_val, (*ava)->la_value.bv_len);
    return values;
}

/// What RFC 4515 reads in a value: `\` and two hexadecimal digits for a byte, and none of ( ) * otherwise.
std::string value_in_filter(const std::string& text)
{
    std::string value;
    for (std::size_t i = 0; i < text.size(); ++i) {
        CHECK("()*\0"s.find(text[i]) == std::string::npos);
        if (text[i] == '\\') {
            value += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
            i += 2;
        } else {
            value += text[i];
        }
    }
    return value;
}

std::vector<std::string> hostile_values()
{
    std::vector<std::string> values{"*)(uid=*", "\\",        "\\00",   "a,b",      "a+b=c",
                                    "\"<>;#",   " lead",     "trail ", " ",        "#",
                                    "%u%d%%",   "x\nuid: y", "a\0b"s,  "\xc3\xa9", "alice,dc=org"};
    for (int byte = 0; byte < 256; ++byte)
        values.emplace_back(1, static_cast<char>(byte));
    std::mt19937 random{7};
    for (int i = 0; i < 500; ++i) {
        std::string value(1 + random() % 12, '\0');
        for (char& c : value)
            c = static_cast<char>(random());
        values.push_back(value);
    }
    return values;
}

const LdapNames alice{"alice@mail.example.org", "realm.net", "smtp", "cn=alice,dc=org"};

} // namespace

TEST_CASE("each token has its meaning", "[ldap]")
{
    const auto [pattern, expected] = GENERATE(table<std::string, std::string>({
        {"uid=%u", "uid=alice@mail.example.org"},
        {"%U", "alice"},
        {"%d", "mail.example.org"},
        {"%1 %2 %3", "org example mail"},
        {"[%4%9]", "[]"},
        {"%s", "smtp"},
        {"%r", "realm.net"},
        {"%R", "@realm.net"},
        {"%D", "cn=alice,dc=org"},
        {"100%%", "100%"},
        {"%%u", "%u"},
        {"a%xb%0c", "abc"},
        {"end%", "end%"},
        {"%", "%"},
        {"", ""},
    }));
    CAPTURE(pattern);
    CHECK(filter(pattern, alice) == expected);
}

TEST_CASE("a user without a domain has that of the realm", "[ldap]")
{
    for (const std::string user : {"alice", "alice@"}) {
        const LdapNames names{user, "mail.example.org", "", ""};
        CHECK(filter("%d", names) == "mail.example.org");
        CHECK(filter("%1.%2.%3", names) == "org.example.mail");
        CHECK(filter("%U", names) == "alice");
    }
    CHECK(filter("%d%1%r%R%s%D", {"alice", "", ""}).empty());
    CHECK(filter("%d|%1", {"a@b@c.d", "", ""}) == "b@c.d|d");
}

TEST_CASE("what a user typed is never expanded again", "[ldap]")
{
    CHECK(filter("%u", {"%d%s%%", "realm", "smtp"}) == "%d%s%%");
    CHECK(filter("%u%", {"%", "d", "s"}) == "%%");
    CHECK(dn("uid=%u", {"%d", "realm", ""}) == "uid=%d");
}

TEST_CASE("a value in a filter is that value and nothing else", "[ldap]")
{
    for (const std::string& value : hostile_values())
        CHECK(value_in_filter(escape_for_filter(value)) == value);
    CHECK(filter("(uid=%u)", {"*)(uid=*", "", ""}) == "(uid=\\2a\\29\\28uid=\\2a)");
}

TEST_CASE("a value in a DN is that value and nothing else", "[ldap]")
{
    for (const std::string& value : hostile_values()) {
        CAPTURE(value);
        CHECK(values_in_dn("uid=" + escape_for_dn(value) + ",dc=example,dc=org") ==
              std::vector<std::string>{value, "example", "org"});
        CHECK(values_in_dn(dn("uid=%u,dc=org", {value, "", ""})) == std::vector<std::string>{value, "org"});
    }
}

TEST_CASE("values beside each other in one RDN are one value", "[ldap]")
{
    for (const std::string& value : hostile_values()) {
        CAPTURE(value);
        CHECK(values_in_dn(dn("uid=%u-%s%r,dc=org", {value, value, value})) ==
              std::vector<std::string>{value + '-' + value + value, "org"});
    }
}

TEST_CASE("the DN of a user is a DN in a DN, and a value in a filter", "[ldap]")
{
    const LdapNames names{"x", "", "", "cn=a\\2cb (c),dc=org"};
    CHECK(dn("cn=group,%D", names) == "cn=group,cn=a\\2cb (c),dc=org");
    CHECK(filter("(member=%D)", names) == "(member=cn=a\\5c2cb \\28c\\29,dc=org)");
}

TEST_CASE("a template knows whether it depends on who logs in", "[ldap]")
{
    for (const std::string pattern : {"dc=%d", "%u", "%%%U", "a%9"})
        CHECK(LdapTemplate{LdapSyntax::dn, pattern}.has_tokens());
    for (const std::string pattern : {"", "dc=org", "100%%", "%%u", "%x", "%"})
        CHECK_FALSE(LdapTemplate{LdapSyntax::dn, pattern}.has_tokens());
}

} // namespace postern
