// SPDX-License-Identifier: BSD-2-Clause
#include "base/spelling.hpp"

#include <catch2/catch.hpp>
#include <vector>

namespace postern {

TEST_CASE("a word that was mistyped is recognised, and one of another meaning is not", "[spelling]")
{
    static const std::vector<std::string> names{"sasldb", "ldap_start_tls", "deadline", "pam"};
    const auto [given, found] = GENERATE(table<std::string, std::string>({
        {"sasldb2", "; did you mean sasldb?"},
        {"slasdb", "; did you mean sasldb?"},
        {"ldap_starttls", "; did you mean ldap_start_tls?"},
        {"deadlin", "; did you mean deadline?"},
        {"pan", "; did you mean pam?"},
        {"kerberos5", ""},
        {"cache", ""},
        {"", ""},
    }));
    CHECK(did_you_mean(given, names) == found);
}

TEST_CASE("nothing is meant where there is nothing to mean", "[spelling]")
{
    CHECK(did_you_mean("pam", {}).empty());
    CHECK(did_you_mean(std::string(1'000'000, 'x'), std::vector<std::string>{"pam"}).empty());
}

} // namespace postern
