// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/backend_contract.hpp"
#include "tests/support/program.hpp"

#include <signal.h>

#include <catch2/catch.hpp>

namespace postern {

namespace {

class FaultSource final : public ContractSource {
public:
    [[nodiscard]] std::string type() const override { return "fault"; }

    [[nodiscard]] BackendOptions options() const override { return {{"fault_password", "good"}}; }

    [[nodiscard]] Login known() const override { return {"alice", "good"}; }

    [[nodiscard]] Login unknown() const override { return {"unknown", "good"}; }

    [[nodiscard]] Login eight_bit() const override { return {"al\xefs\xff", "good", "\x80.example"}; }

    [[nodiscard]] Login maximal() const override { return {std::string(field_bytes_max, 'a'), "good"}; }

    [[nodiscard]] Login break_down() override { return {"unavailable", "good"}; }
};

/// How a worker ends that is asked this.
int end_of(const std::string& user)
{
    return run_child("",
                     [&] {
                         LoadedBackend backend{"fault", {{"fault_password", "good"}}};
                         static_cast<void>(backend.check({user, "good"}));
                         return 1;
                     })
        .status;
}

} // namespace

TEST_CASE("fault keeps the backend contract", "[fault]")
{
    FaultSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("fault dies as ordered", "[fault]")
{
    CHECK(end_of("crash") == 128 + SIGSEGV);
    CHECK(end_of("abort") == 128 + SIGABRT);
    CHECK(end_of("exit") == 0);
}

TEST_CASE("fault says what no backend says, as ordered", "[fault]")
{
    LoadedBackend backend{"fault", {{"fault_password", "good"}}};
    CHECK(backend.check({"barred", "good"}).verdict == Verdict::barred);
    CHECK_FALSE(verdict_from(static_cast<std::uint8_t>(backend.check({"lie", "good"}).verdict)));
    CHECK(backend.check({"slow", "good", "1"}).verdict == Verdict::accepted);
    CHECK_THROWS_AS(backend.check({"throw", "good"}), std::runtime_error);
}

} // namespace postern
