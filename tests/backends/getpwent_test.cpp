// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/account_source.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

namespace postern {

namespace {

class GetpwentSource final : public AccountSource {
public:
    GetpwentSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            files.add_passwd(login.user, cheap_hash(login.password));
    }

    [[nodiscard]] std::string type() const override { return "getpwent"; }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::remove(files.passwd());
        return known();
    }
};

} // namespace

TEST_CASE("getpwent keeps the backend contract", "[getpwent]")
{
    GetpwentSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("a passwd field that is no hash lets nobody in", "[getpwent]")
{
    GetpwentSource source;
    LoadedBackend backend{"getpwent", {}};
    const std::string field = GENERATE("", "*", "*0", "!", "x", "ab", "$99$salt$hash", "bobs");
    source.files.add_passwd("bob", field);
    lets_nobody_in(backend, field);
}

TEST_CASE("the words of getpwent are saslauthd's", "[getpwent]")
{
    GetpwentSource source;
    LoadedBackend backend{"getpwent", {}};
    CHECK(backend.check({"nobody", "x"}).reason == "Invalid username");
    CHECK(backend.check(source.known()).verdict == Verdict::accepted);
    CHECK(backend.check(with_password(source.known(), "x")).reason == "Incorrect password");
    CHECK(outage_of(backend, source.break_down()) == "Username lookup failure: No such file or directory");
    CHECK(backend.log_lines() ==
          std::vector<std::string>{
              "7 DEBUG: auth_getpwent: getpwnam(nobody): invalid username",
              "7 DEBUG: auth_getpwent: OK: alice",
              "7 DEBUG: auth_getpwent: alice: invalid password",
              "7 DEBUG: auth_getpwent: getpwnam(alice) failure: No such file or directory",
          });
}

} // namespace postern
