// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/account_files.hpp"
#include "tests/support/backend_contract.hpp"

#include <catch2/catch.hpp>
#include <filesystem>

namespace postern {

namespace {

class GetpwentSource final : public ContractSource {
public:
    GetpwentSource()
    {
        for (const Login& login : {known(), eight_bit(), maximal()})
            files.add_passwd(login.user, cheap_hash(login.password));
    }

    [[nodiscard]] std::string type() const override { return "getpwent"; }

    [[nodiscard]] BackendOptions options() const override { return {}; }

    [[nodiscard]] Login known() const override { return {"alice", "s3cret pass"}; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass"}; }

    [[nodiscard]] Login eight_bit() const override { return {"al\xefs\xff", "\xc3\xa9\x80\xff\x01"}; }

    [[nodiscard]] Login maximal() const override
    {
        return {std::string(field_bytes_max, 'u'), std::string(511, 'p')}; // libcrypt takes no more
    }

    [[nodiscard]] Login break_down() override
    {
        std::filesystem::remove(files.passwd());
        return known();
    }

    AccountFiles files;
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
    CAPTURE(field);
    source.files.add_passwd("bob", field);
    for (const std::string& password : {std::string{"bobs"}, field, std::string{"x"}, std::string{"*0"}}) {
        const Decision decision = backend.check({"bob", password});
        CHECK(decision.verdict == Verdict::rejected);
        CHECK(decision.reason == "Incorrect password");
    }
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
