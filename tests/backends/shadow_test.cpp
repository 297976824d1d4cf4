// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/account_source.hpp"

#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace postern {

namespace {

class ShadowSource final : public AccountSource {
public:
    ShadowSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            add(login.user, cheap_hash(login.password) + ":19000:0:99999:7:::");
    }

    void add(const std::string& user, const std::string& fields) const
    {
        files.add_passwd(user, "x");
        files.add_shadow(user, fields);
    }

    [[nodiscard]] std::string type() const override { return "shadow"; }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::remove(files.shadow());
        return known();
    }
};

/// A day as a shadow entry has it.
std::string day(int from_today)
{
    return std::to_string(std::time(nullptr) / 86'400 + from_today);
}

} // namespace

TEST_CASE("shadow keeps the backend contract", "[shadow]")
{
    ShadowSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("dates of a shadow entry bar who has the right password, and nobody learns of them otherwise",
          "[shadow]")
{
    ShadowSource source;
    LoadedBackend backend{"shadow", {}};
    const auto [changed, days_max, expires, reason] =
        GENERATE(table<std::string, std::string, std::string, std::string>({
            {day(-5), "99999", "", ""},
            {day(-5), "", "", ""},
            {day(-5), "5", "", ""}, // its last day
            {day(-6), "5", "", "Password expired"},
            {day(0), "0", "", ""},
            {day(-1), "0", "", "Password expired"},
            {"", "5", "", ""}, // nobody knows since when
            {"0", "5", "", "Password expired"},
            {day(-5), "99999", day(1), ""},
            {day(-5), "99999", day(0), ""}, // its last day
            {day(-5), "99999", day(-1), "Account expired"},
            {day(-5), "99999", "1", "Account expired"},
            {day(-5), "99999", "0", ""}, // as if empty: saslauthd calls it expired
            {day(-6), "5", day(-1), "Account expired"},
        }));
    CAPTURE(changed, days_max, expires);
    source.add("bob", cheap_hash("bobs") + ":" + changed + ":0:" + days_max + ":7::" + expires + ":");

    const Decision right = backend.check({"bob", "bobs"});
    CHECK(right.verdict == (reason.empty() ? Verdict::accepted : Verdict::barred));
    CHECK(right.reason == reason);
    CHECK(right.password_was_right == !reason.empty());
    const Decision wrong = backend.check({"bob", "alices"});
    CHECK(wrong.verdict == Verdict::rejected);
    CHECK(wrong.reason == "Incorrect password");
}

TEST_CASE("a field that is no hash lets nobody in", "[shadow]")
{
    ShadowSource source;
    LoadedBackend backend{"shadow", {}};
    const std::string field = GENERATE(as<std::string>{}, "", "*", "*0", "*1", "!", "!!", "x", "ab", "$",
                                       "$6$", "$99$salt$hash", "bobs", "!" + cheap_hash("bobs"),
                                       cheap_hash("bobs") + "x", cheap_hash("bobs").substr(0, 40));
    source.add("bob", field + ":19000:0:99999:7:::");
    lets_nobody_in(backend, field);
}

TEST_CASE("the reasons are saslauthd's", "[shadow]")
{
    ShadowSource source;
    source.files.add_passwd("half", cheap_hash("x"));
    source.add("hidden", "*NP*:19000:0:99999:7:::");
    LoadedBackend backend{"shadow", {}};
    CHECK(backend.check({"nobody", "x"}).reason == "Invalid username");
    CHECK(backend.check({"half", "x"}).reason == "Invalid shadow username");
    CHECK(backend.check({"half", "x"}).verdict == Verdict::unknown_user);
    CHECK(outage_of(backend, {"hidden", "secret of hers"}) ==
          "Insufficient permission to access NIS authentication database (saslauthd)");
    std::filesystem::remove(source.files.shadow());
    CHECK(outage_of(backend, source.known()) == "Username shadow lookup failure: No such file or directory");
    std::filesystem::remove(source.files.passwd());
    CHECK(outage_of(backend, source.known()) == "Username lookup failure: No such file or directory");
    CHECK(backend.log_lines() ==
          std::vector<std::string>{
              "7 DEBUG: auth_shadow: getpwnam(nobody): invalid username",
              "7 DEBUG: auth_shadow: getspnam(half): invalid shadow username",
              "7 DEBUG: auth_shadow: getspnam(half): invalid shadow username",
              "7 DEBUG: auth_shadow: sp->sp_pwdp == SHADOW_PW_EPERM",
              "7 DEBUG: auth_shadow: getspnam(alice) failure: No such file or directory",
              "7 DEBUG: auth_shadow: getpwnam(alice) failure: No such file or directory",
          });
}

TEST_CASE("an entry of any length is read, up to a bound", "[shadow]")
{
    ShadowSource source;
    LoadedBackend backend{"shadow", {}};
    source.add("long", std::string(100'000, 'x') + ":19000:0:99999:7:::");
    CHECK(backend.check({"long", "x"}).reason == "Incorrect password");
    source.add("endless", std::string(1'000'000, 'x') + ":19000:0:99999:7:::");
    CHECK_THAT(outage_of(backend, {"endless", "secret of hers"}),
               Catch::StartsWith("Username shadow lookup failure"));
}

} // namespace postern
