// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/challenge_key_file.hpp"
#include "tests/support/recording_log.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <string>

namespace postern {

namespace {

struct State {
    TemporaryDirectory parent;
    std::string directory = parent.path().string() + "/state";
    std::string file = directory + "/challenge.key";
    RecordingLog log;

    ChallengeKey key() { return read_or_make_challenge_key(directory, log); }
};

} // namespace

TEST_CASE("the key of challenges is made once and kept, and nobody else may read it", "[challenge_key]")
{
    State state;
    const ChallengeKey made = state.key();
    CHECK(made != ChallengeKey{});
    CHECK(state.key() == made);
    CHECK(state.log.lines.empty());
    struct stat status {};
    REQUIRE(::stat(state.file.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777U) == 0600);
    CHECK(std::distance(std::filesystem::directory_iterator{state.directory}, {}) == 1);
}

TEST_CASE("two hosts have two keys", "[challenge_key]")
{
    State one, other;
    CHECK(one.key() != other.key());
}

TEST_CASE("a key that cannot be trusted is not used, and not replaced", "[challenge_key]")
{
    State state;
    const ChallengeKey kept = state.key();
    SECTION("others may read it")
    {
        REQUIRE(::chmod(state.file.c_str(), 0640) == 0);
    }
    SECTION("it is cut")
    {
        std::filesystem::resize_file(state.file, 31);
    }
    SECTION("it is a link")
    {
        std::filesystem::rename(state.file, state.file + ".moved");
        std::filesystem::create_symlink(state.file + ".moved", state.file);
    }
    const ChallengeKey instead = state.key();
    CHECK(instead != kept);
    CHECK(instead != ChallengeKey{});
    REQUIRE(state.log.lines.size() == 1);
    CHECK(state.log.lines.front().find(state.file) != std::string::npos);
    CHECK(state.key() != instead); // it is for one run
}

TEST_CASE("without a place to keep it there is a key for this run", "[challenge_key]")
{
    State state;
    state.directory = state.parent.path().string() + "/no/such/directory";
    CHECK(state.key() != state.key());
    CHECK(state.log.lines.size() == 2);
}

TEST_CASE("a key that cannot be kept is the same for all generations of a daemon, and is told of once",
          "[challenge_key]")
{
    State state;
    HeldChallengeKey held{state.log};
    CHECK(state.log.lines.empty()); // nobody has needed one
    const std::string nowhere = state.parent.path().string() + "/no/such/directory";
    const ChallengeKey made = held.get(nowhere);
    CHECK(made != ChallengeKey{});
    CHECK(held.get(nowhere) == made);
    CHECK(state.log.lines.size() == 1);
}

TEST_CASE("a key that a daemon holds is the one that it keeps", "[challenge_key]")
{
    State state;
    HeldChallengeKey held{state.log};
    const ChallengeKey kept = held.get(state.directory);
    CHECK(state.key() == kept);
}

} // namespace postern
