// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/normalise.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

using namespace std::string_literals;

struct Row {
    NameRules rules;
    std::string login, realm;                     ///< as they came
    std::string user, realm_asked, account_named; ///< as backends and clients see them
};

const NameRules as_they_are{};
const NameRules split{.splits_realm = true};
const NameRules split_with_default{.splits_realm = true, .default_realm = "example.org"};
const NameRules folded{.splits_realm = true, .folds_case = true};
const NameRules joined{.joins_realm = true};
const NameRules split_and_joined{.splits_realm = true, .joins_realm = true};

} // namespace

TEST_CASE("names become what backends are asked about", "[normalise]")
{
    const Row row = GENERATE(values<Row>({
        // what libsasl2 has split is taken as it comes
        {as_they_are, "alice", "", "alice", "", "alice"},
        {as_they_are, "alice", "example.org", "alice", "example.org", "alice@example.org"},
        {as_they_are, "Alice@Example.org", "", "Alice@Example.org", "", "Alice@Example.org"},
        // -r
        {joined, "alice", "example.org", "alice@example.org", "example.org", "alice@example.org"},
        {joined, "alice", "", "alice", "", "alice"},
        // one name alone
        {split, "alice", "", "alice", "", "alice"},
        {split, "alice@example.org", "", "alice", "example.org", "alice@example.org"},
        {split, "a@b@example.org", "", "a@b", "example.org", "a@b@example.org"},
        {split, "alice@", "", "alice", "", "alice"},
        {split, "@example.org", "", "", "example.org", "@example.org"},
        {split_with_default, "alice", "", "alice", "example.org", "alice@example.org"},
        {split_with_default, "alice@", "", "alice", "example.org", "alice@example.org"},
        {split_with_default, "alice@example.com", "", "alice", "example.com", "alice@example.com"},
        {split_and_joined, "alice@example.org", "", "alice@example.org", "example.org", "alice@example.org"},
        // case
        {split, "Alice@Example.ORG", "", "Alice", "Example.ORG", "Alice@Example.ORG"},
        {split_with_default, "Alice@Example.ORG", "", "Alice", "example.org",
         "Alice@example.org"}, // one name
        {folded, "Alice@Example.ORG", "", "alice", "example.org", "alice@example.org"},
        {folded, "\u00c4lice ", "", "\u00c4lice ", "", "\u00c4lice "}, // A to Z alone, and blanks stay
    }));
    CAPTURE(row.login, row.realm);
    const NormalisedRequest normalised = normalise({row.login, {}, "", row.realm, ""}, row.rules);
    CHECK(normalised.request.user == row.user);
    CHECK(normalised.request.realm == row.realm_asked);
    CHECK(normalised.account == row.account_named);
    CHECK(normalised.received_user == row.login);
    CHECK(normalised.received_realm == row.realm);
    CHECK(normalised.has_user() == (!row.user.empty() && row.user.front() != '@'));
}

TEST_CASE("a realm is the default one in any case", "[normalise]")
{
    const NameRules rules{.default_realm = "Example.org"};
    CHECK(is_default_realm("Example.org", rules));
    CHECK(is_default_realm("example.ORG", rules));
    CHECK_FALSE(is_default_realm("example.com", rules));
    CHECK_FALSE(is_default_realm("", rules));
}

} // namespace postern
