// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_values.hpp"
#include "daemon/server_names.hpp"

#include <catch2/catch.hpp>

using namespace postern;

namespace {

/// What is said of a value of the type's servers.
std::string complaint(const char* type, const char* key, const std::string& value)
try {
    check_option(*find_option(*find_backend_type(type), key), value);
    return "none";

} catch (const ConfigError& error) {
    return error.what();
}

std::string repeated(const std::string& name, std::size_t times)
{
    std::string list;
    for (std::size_t i = 0; i < times; ++i)
        list += name + ' ';
    return list;
}

} // namespace

TEST_CASE("a host has a port behind a slash, or none", "[servers]")
{
    const auto [text, host, port] = GENERATE(table<std::string, std::string, std::string>({
        {"imap.example.org", "imap.example.org", ""},
        {"imap/143", "imap", "143"},
        {"imap/imaps", "imap", "imaps"},
        {"192.0.2.1/65535", "192.0.2.1", "65535"},
        {"[::1]/143", "::1", "143"},
        {"[::1]", "::1", ""},
        {"::1", "::1", ""},
        {"::1/143", "::1", "143"},
        {"fe80::1%eth0/143", "fe80::1%eth0", "143"},
    }));
    CAPTURE(text);
    const auto split = split_host(text);
    REQUIRE(split);
    CHECK(split->host == host);
    CHECK(split->port == port);
}

TEST_CASE("what cannot be a host and a port is none", "[servers]")
{
    const auto text = GENERATE(
        as<std::string>{}, "", "/", "/143", "imap/", "imap/0", "imap/65536", "imap/14/3", "[]", "[::1", "a b",
        "a\nb", "user@imap", "imap/i map", "imap\xff", "99999999999999999999999/99999999999999999999999",
        std::string(256, 'x'), "imap.example.org:143", "[imap:143]", "imap:143/143", ":");
    CAPTURE(text);
    CHECK_FALSE(split_host(text));
}

TEST_CASE("a directory's servers are URIs", "[servers]")
{
    const auto value =
        GENERATE(as<std::string>{}, "ldap://a", "ldap:///", "ldap://", "LDAPS://a:636/dc=x", "ldaps://a/dc=x",
                 "ldapi://", "ldapi://%2frun%2fldapi", "ldap://[::1]:390/", "ldap://[::1]",
                 "ldap://192.0.2.1:389", "ldap://[192.0.2.1]", "ldap://[a]:389", "ldap://%61%2Eb%2eorg:389/",
                 "ldap://[fe80::1%25eth0]/", "ldap://a,ldap://b ldap://c", repeated("ldap://a", 32));
    CAPTURE(value);
    CHECK(complaint("ldap", "ldap_servers", value) == "none");
}

TEST_CASE("what cannot be a server is refused, and no password in it is shown", "[servers]")
{
    const auto [value, said] = GENERATE(table<std::string, std::string>({
        {"", "an empty value; from 1 to 32 were expected"},
        {" , ", "an empty value; from 1 to 32 were expected"},
        {repeated("ldap://a", 33), "33 servers; from 1 to 32 were expected"},
        {"a", "a: ldap://..., ldaps://... or ldapi://... was expected"},
        {"ldap:/a", "ldap:/a: ldap://..., ldaps://... or ldapi://... was expected"},
        {"http://a", "http://a: ldap://..., ldaps://... or ldapi://... was expected"},
        {"ldap://a:b/", "ldap://a:b/: a port from 1 to 65535 was expected behind the host"},
        {"ldap://a:0", "ldap://a:0: a port from 1 to 65535 was expected behind the host"},
        {"ldap://a:", "ldap://a:: a port from 1 to 65535 was expected behind the host"},
        {"ldap://x:hunter2@a", "an @; servers without a user and a password in front of them were expected"},
        {"ldap://x:hunter2,b@a",
         "an @; servers without a user and a password in front of them were expected"},
        {"ldap://h/????x-bindpw=hunter2", "a ?; servers without parameters behind them were expected"},
        {"h?hunter2", "a ?; servers without parameters behind them were expected"},
        {"ldap://" + std::string(249, 'x'), "a server's name of 256 bytes; at most 255 were expected"},
    }));
    CHECK(complaint("ldap", "ldap_servers", value) == said);
}

TEST_CASE("a URI that libldap would take for localhost, or for nothing, is refused", "[servers]")
{
    const auto uri = GENERATE(as<std::string>{}, "ldap://ho%zz", "ldap://%/", "ldap://a%6", "ldap://a%-1",
                              "ldap://a%00", "ldap://a%2fb", "ldap://a%3a389", "ldap://%5b::1%5d",
                              "ldap://a#x", "ldap://#", "ldap://[::1", "ldap://[::1]x:389", "ldap://[]",
                              "ldap://a]", "ldap://fe80::1%eth0/", "ldap://a\\b", "ldap://a\xff");
    CAPTURE(uri);
    CHECK(complaint("ldap", "ldap_servers", uri) != "none");
}

TEST_CASE("the servers of rimap are hosts", "[servers]")
{
    CHECK(complaint("rimap", "rimap_host", "a b/143 [::1]/imap") == "none");
    CHECK(complaint("rimap", "rimap_host", "a b/") == "b/: HOST or HOST/PORT was expected");
    CHECK(complaint("rimap", "rimap_host", "imap://a") == "imap://a: HOST or HOST/PORT was expected");
    CHECK(complaint("rimap", "rimap_host", "a:143") == "a:143: HOST or HOST/PORT was expected");
}

TEST_CASE("the port of rimap is a number or the name of a service", "[servers]")
{
    const auto good = GENERATE(as<std::string>{}, "", "1", "65535", "imaps", "imap-x");
    CHECK(complaint("rimap", "rimap_port", good) == "none");
    const auto bad = GENERATE(as<std::string>{}, "0", "65536", "a b", "143/x", std::string(256, 'x'));
    CHECK(complaint("rimap", "rimap_port", bad) ==
          bad + ": a port from 1 to 65535 or the name of a service was expected");
}
