// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/backend_contract.hpp"
#include "tests/support/program.hpp"
#include "tests/support/scram_client.hpp"

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

/// How a worker ends that is asked this, in one of three ways.
int end_of(const std::string& user, Asked asked = Asked::password)
{
    return run_child("",
                     [&] {
                         LoadedBackend backend{"fault", {{"fault_password", "good"}}};
                         if (asked == Asked::password)
                             static_cast<void>(backend.check({user, "good"}));
                         if (asked == Asked::challenge)
                             static_cast<void>(backend.challenge({user, ""}, "SCRAM-SHA-256"));
                         if (asked == Asked::proof)
                             static_cast<void>(backend.prove({user, "proof"}, "SCRAM-SHA-256", "transcript"));
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
    for (const Asked asked : {Asked::challenge, Asked::proof}) {
        CHECK(end_of("crash", asked) == 128 + SIGSEGV);
        CHECK(end_of("exit", asked) == 0);
    }
}

TEST_CASE("fault takes the proof of its password, and does as ordered instead", "[fault]")
{
    LoadedBackend backend{"fault", {{"fault_password", "good"}}};
    const Decision challenge = backend.challenge({"alice", ""}, "SCRAM-SHA-256");
    CHECK(challenge.verdict == Verdict::accepted);
    const auto prove = [&](const std::string& user, const std::string& password) {
        const std::string proof = client_proof(true, password, challenge.reply, "transcript");
        return backend.prove({user, proof}, "SCRAM-SHA-256", "transcript");
    };
    CHECK(prove("alice", "good").verdict == Verdict::accepted);
    CHECK(from_base64(prove("alice", "good").reply).size() == 32);
    CHECK(prove("alice", "bad").verdict == Verdict::rejected);
    CHECK(prove("barred", "good").verdict == Verdict::barred);
    CHECK_THROWS_AS(prove("unavailable", "good"), BackendError);
    CHECK(backend.challenge({"unknown", ""}, "SCRAM-SHA-256").verdict == Verdict::unknown_user);
    CHECK(backend.secrets_held() == 0);
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
