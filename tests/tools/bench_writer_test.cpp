// SPDX-License-Identifier: BSD-2-Clause
#include "base/base64.hpp"
#include "tests/support/saslauthd_wire.hpp"
#include "tools/bench_writer.hpp"
#include "tools/login_outcome.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

namespace postern {

namespace {

using namespace std::string_literals;

struct Writing {
    SecretArena secrets{BenchWriter::memory_bytes, 4};
    Secret slot{secrets, {}};
    std::span<char> memory = slot.buffer();

    BenchWriter writer(const std::string& realm) { return {"smtp", realm, Secret{secrets, "hush"}, secrets}; }
};

std::string auth_line(const std::string& id, const std::string& plain_message)
{
    return "AUTH\t" + id + "\tPLAIN\tservice=smtp\tsecured\tresp=" + in_base64(plain_message) + "\n";
}

} // namespace

TEST_CASE("a load asks over saslauthd's protocol with the right password or a longer one", "[bench]")
{
    Writing writing;
    const BenchWriter writer = writing.writer("example.org");
    CHECK(writer.saslauthd_request(writing.memory, {"alice", true}) ==
          request_wire("alice", "hush", "smtp", "example.org"));
    CHECK(writer.saslauthd_request(writing.memory, {"b", false}) ==
          request_wire("b", "hushx", "smtp", "example.org"));
    CHECK(writer.saslauthd_request(writing.memory, {"alice", true}) ==
          request_wire("alice", "hush", "smtp", "example.org"));
}

TEST_CASE("a load asks over Dovecot's protocol by PLAIN, with the realm behind the name", "[bench]")
{
    Writing writing;
    CHECK(writing.writer("").dovecot_auth(writing.memory, 1, {"alice", true}) ==
          auth_line("1", "\0alice\0hush"s));
    CHECK(writing.writer("example.org").dovecot_auth(writing.memory, 77, {"bob", false}) ==
          auth_line("77", "\0bob@example.org\0hushx"s));
}

TEST_CASE("a login that no request can hold is an error, and leaves no secret behind", "[bench]")
{
    Writing writing;
    {
        const BenchWriter writer = writing.writer("");
        const std::string long_name(login_bytes_max, 'u');
        CHECK_THROWS_AS(writer.saslauthd_request(writing.memory, {long_name, true}), std::length_error);
        CHECK_THROWS_AS(writer.dovecot_auth(writing.memory, 1, {long_name, true}), std::length_error);
    }
    CHECK(writing.secrets.slots_free() == 3); // and one is the memory
}

} // namespace postern
