// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/ldap_password.hpp"
#include "tests/support/program.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace postern {

namespace {

using namespace std::string_literals;

const std::string right = "s3cret";

/// Of that password: made by slappasswd, with its modules pw-sha2 and argon2; the last ones by Python's
/// hashlib in the notation of OpenLDAP's pw-pbkdf2.
const std::vector<std::string> values{
    right,
    "{CLEARTEXT}s3cret",
    "{CRYPT}BVM5obLF8sifc",
    "{UNIX}BVM5obLF8sifc",
    "{MD5}M+GyMqTm+gAopmcHU3SaFw==",
    "{SMD5}BRDu5o8sdJzIa+7sBZOI1i/pQME=",
    "{SHA}/vNB+F2HQ559kaLUZbmHHvZrXpg=",
    "{SSHA}mu/4E8Xn/ZBspZYbLnxGSsqV2DHO9Oab",
    "{SHA256}HsHCa1DV08WNlYMYGvgHZlX+AHVr9yhZQLo2cPmfy6A=",
    "{SSHA256}3cLh1GKuYGY5N0EXx54GYn1TKEkGIoez43LrZPtBCZbxP8/e9JMP0g==",
    "{SHA384}JgnjVC/I9LsHQQ4h7rPm3IfvUHQZdsDEVjvVO7PDbPDIz2/v5pjnVqHJi5UKb7OS",
    "{SSHA384}fVHKGRiZrqZTvJCHQldeUchQdu8L5TxsqD9h667ly06qLSg7PMRM4HKiqipMFiWSBXVWdaTJN8o=",
    "{SHA512}lcia3d5QY1fsXv0O5BrCQe/W+xAJp2gMFQHqgXA0K4y/Dy2Ti1YpVJDxnx/F+ijQmxWE6qCcmmsvd3YjKZzVIQ==",
    "{SSHA512}Pt3m1ZQ/"
    "5EpYLSGViltQdiwviC8LT8Q7TZ0RnEevvTKsuPo98utZdQnPofxfEuvfAUzj3TKoy9PZ9gxlUcGcVZ7ppSGTHZdF",
    "{ARGON2}$argon2i$v=19$m=4096,t=3,p=1$J5noRrq8xqt5EG/ZT7+uHw$MZ+nrqDjbI/wgqN4918bx5yxA1BIevx7cTywLqUQbXc",
    "{PBKDF2}10000$8PHy8/T19vf4.fr7/P3./w$WCoZlYyEMKE2wOELAVkaVtvwzgU",
    "{PBKDF2-SHA1}10000$8PHy8/T19vf4.fr7/P3./w$WCoZlYyEMKE2wOELAVkaVtvwzgU",
    "{PBKDF2-SHA256}10000$8PHy8/T19vf4.fr7/P3./w$8jBv0Pzo5RrLvO277aIUqrOqRFQkZgV2kMiClJmEQQE",
    "{PBKDF2-SHA512}10000$8PHy8/T19vf4.fr7/P3./w$"
    "QYCvW6U6ht3GMXzefRwh5gAdASpZ9Uq3IfCY9usP4FOZkbKFRaCzxgGqzfiAK5XXGKpALuKJEIeQHeEvX/y8xA",
};

bool matches(std::string_view stored, std::string_view password)
{
    static SecretArena arena{8192, 2};
    return ldap_password_matches(stored, Secret{arena, password});
}

std::string lower_scheme(std::string value)
{
    const auto end = value.begin() + static_cast<std::ptrdiff_t>(value.find('}') + 1);
    std::transform(value.begin(), end, value.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return value;
}

} // namespace

TEST_CASE("a value of every scheme is matched by its password alone", "[ldap-password]")
{
    for (const std::string& value : values) {
        CAPTURE(value);
        CHECK(matches(value, right));
        CHECK_FALSE(matches(value, "S3cret"));
        CHECK_FALSE(matches(value, "s3cret\0"s));
        CHECK_FALSE(matches(value, ""));
        if (value.starts_with('{')) {
            CHECK_FALSE(matches(value, value)); // nobody logs in with what a backup of the directory shows
            CHECK_FALSE(matches(value, value.substr(value.find('}') + 1) + "x"));
            CHECK(matches(lower_scheme(value), right));
        }
    }
}

TEST_CASE("a value that was cut, or has something behind it, is matched by nothing", "[ldap-password]")
{
    for (const std::string& value : values) {
        if (!value.starts_with('{'))
            continue;
        const std::size_t begin = value.find('}') + 1;
        for (std::size_t size = begin; size < value.size(); size += value.starts_with("{ARGON2}") ? 9 : 3) {
            CAPTURE(value, size);
            CHECK_FALSE(matches(value.substr(0, size), right));
        }
        CHECK_FALSE(matches(value + "x", right));
        CHECK_FALSE(matches(value + " ", right));
    }
}

TEST_CASE("what slappasswd makes now is matched", "[ldap-password]")
{
    for (const std::string scheme : {"MD5", "SMD5", "SHA", "SSHA", "CRYPT"}) {
        const ProgramRun made = run_program(
            "/usr/sbin/slappasswd", {"slappasswd", "-n", "-h", '{' + scheme + '}', "-s", "p\xc3\xb6ss"});
        REQUIRE(made.status == 0);
        CHECK(matches(made.output, "p\xc3\xb6ss"));
        CHECK_FALSE(matches(made.output, "poss"));
    }
}

TEST_CASE("a scheme that nobody knows is matched by nothing, itself least of all", "[ldap-password]")
{
    const std::string value = GENERATE(
        "{}"s, "{}x"s, "{NT}8846f7eaee8fb117"s, "{SASL}alice@example.org"s, "{SSHA3}abc"s, "{SSHA }x"s,
        "{PBKDF2-SHA384}1$YQ$YQ"s, "{CRYPT}"s, "{MD5}"s, "{SHA}"s, "{SSHA}"s, "{CLEARTEXT}"s, "{PBKDF2}"s,
        "{ARGON2}"s, "{CRYPT}*"s, "{CRYPT}!"s, "{CRYPT}*0"s, "{CRYPT}x"s, "{SSHA}!!!"s, ""s);
    CAPTURE(value);
    for (const std::string& password :
         {value, ""s, "x"s, "*"s, "*0"s, value.substr(std::min(value.size(), value.find('}') + 1))})
        CHECK_FALSE(matches(value, password));
}

TEST_CASE("a digest without salt is none with salt, and the other way round", "[ldap-password]")
{
    CHECK_FALSE(matches("{SSHA}/vNB+F2HQ559kaLUZbmHHvZrXpg=", right));
    CHECK_FALSE(matches("{SHA}mu/4E8Xn/ZBspZYbLnxGSsqV2DHO9Oab", right));
}

TEST_CASE("PBKDF2 with senseless or endless work is not begun", "[ldap-password]")
{
    const std::string rest = "$8PHy8/T19vf4.fr7/P3./w$WCoZlYyEMKE2wOELAVkaVtvwzgU";
    for (const std::string iterations :
         {"0", "-1", "", "10000001", "4294967295", "99999999999999999999", "1e3", " 1"})
        CHECK_FALSE(matches("{PBKDF2}" + iterations + rest, right));
    CHECK_FALSE(matches("{PBKDF2}10000$$WCoZlYyEMKE2wOELAVkaVtvwzgU", right));
    CHECK_FALSE(matches("{PBKDF2}10000$8PHy8/T19vf4.fr7/P3./w", right));
}

TEST_CASE("a password that begins with a brace is one as it is", "[ldap-password]")
{
    CHECK(matches("{no scheme", "{no scheme"));
    CHECK(matches("{CLEARTEXT}{SSHA}", "{SSHA}"));
    CHECK_FALSE(matches("{no scheme", "{no schem"));
}

} // namespace postern
