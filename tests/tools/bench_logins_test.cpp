// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_logins.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

std::vector<std::string> first_users(const BenchLogins& logins, std::uint64_t count)
{
    std::vector<std::string> users;
    for (std::uint64_t number = 0; number < count; ++number)
        users.push_back(logins.at(number).user);
    return users;
}

std::uint64_t wrong_ones(const BenchLogins& logins, std::uint64_t count, std::uint64_t step = 1)
{
    std::uint64_t wrong = 0;
    for (std::uint64_t number = 0; number < count; ++number)
        wrong += logins.at(number * step).is_right ? 0 : 1;
    return wrong;
}

} // namespace

TEST_CASE("a range is two numbers, the second not below the first", "[bench]")
{
    CHECK(number_range("1-1000") == NumberRange{1, 1000});
    CHECK(number_range("7-7") == NumberRange{7, 7});
    CHECK(number_range("0-4611686018427387903") == NumberRange{0, 4611686018427387903});
    for (const auto* const text : {"", "-", "1", "1-", "-1", "2-1", "1-2-3", " 1-2", "1-2 ", "a-b", "1 - 2",
                                   "0-4611686018427387904", "0-18446744073709551616"}) {
        CAPTURE(text);
        CHECK_FALSE(number_range(text));
    }
}

TEST_CASE("the users of a pattern come in turn", "[bench]")
{
    CHECK(first_users({"user%d@x", NumberRange{9, 11}, 0}, 5) ==
          std::vector<std::string>{"user9@x", "user10@x", "user11@x", "user9@x", "user10@x"});
    CHECK(first_users({"%d", NumberRange{3, 4}, 0}, 2) == std::vector<std::string>{"3", "4"});
    CHECK(first_users({"%d%d", NumberRange{3, 4}, 0}, 1) == std::vector<std::string>{"3%d"});
}

TEST_CASE("a pattern without a place is one user", "[bench]")
{
    CHECK(first_users({"alice", NumberRange{1, 9}, 0}, 3) ==
          std::vector<std::string>{"alice", "alice", "alice"});
    CHECK(first_users({"50%", {}, 0}, 1) == std::vector<std::string>{"50%"});
    CHECK(first_users({"a%d", {}, 0}, 2) == std::vector<std::string>{"a%d", "a%d"}); // without a range
}

TEST_CASE("as many passwords are wrong as was asked for, and for every user", "[bench]")
{
    const unsigned percent = GENERATE(0U, 1U, 33U, 50U, 99U, 100U);
    const BenchLogins logins{"alice", {}, percent};
    CAPTURE(percent);
    constexpr std::uint64_t count = 10'000;
    for (const std::uint64_t users : {1, 2, 3, 10, 64}) {
        CAPTURE(users);
        CHECK(static_cast<double>(wrong_ones(logins, count, users)) ==
              Approx(percent * count / 100.0).margin(20));
    }
}

} // namespace postern
