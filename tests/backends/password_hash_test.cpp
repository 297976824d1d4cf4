// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/password_hash.hpp"
#include "base/posix_error.hpp"
#include "tests/support/program.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <ctime>
#include <fstream>
#include <new>
#include <set>

namespace postern {

namespace {

using namespace std::string_literals;

const std::string right = "s3cret p\xf6ss";

/// Of that password, made by other programs: openssl passwd, and perl's crypt.
const std::vector<std::string> hashes{
    "abTk71qDTQKMY",
    "_J9..rasm2dsa.cndH8.",
    "$1$saltsalt$tmYDZ66/sCVBV9RZtOxKN0",
    "$5$saltsalt$W/ro1vU4tTg0E14ZlOcaw6UY8pvyFZ2FkiUR066U5U8",
    "$6$saltsalt$CBMzYimVoJHp2zAUdrqeM/mbK/mmvfhbpuuKRobGSFAsYq4W4IjbxYR96evnEWtXCVw5BXRPhDVkU.qttNcCv1",
    "$6$rounds=1000$saltstring$"
    "KOsmSSlrDhhmBIqqVqU40HL7avtoJD4b9seCxnnbPzlb.Yx./ZuJajbekDjqJwa1t.XOGjGjOUmUviZAYBV0./",
    "$2b$04$abcdefghijklmnopqrstuu4RREY5QU6Qy7ZmWUkVMUxfHxxLAn7sa",
    "$7$20..../....saltsalt$VudWXR4KTpjXqBres2HLQQ7XeLTYC9seSE7VZzksgE9",
    "$y$j75$saltsalt$uRH4FYmLPaojwjgpxJVSkfT36iBV/BblpL2HiI4twuA",
    "$gy$j75$saltsalt$mcDZJD3jC2ox5jyl..yMBwCTVdk/ghanlxbr1bPazkA",
};

SecretArena& arena()
{
    static SecretArena secrets{2048, 4};
    return secrets;
}

Secret secret(std::string_view bytes)
{
    return Secret{arena(), bytes};
}

bool crypt_matches(std::string_view stored, std::string_view password)
{
    return postern::crypt_matches(stored, secret(password));
}

bool argon2id_matches(std::string_view stored, std::string_view password)
{
    return postern::argon2id_matches(stored, secret(password));
}

/// The processor's time, of the cheapest of a few rounds.
template <typename Work>
std::chrono::nanoseconds cost_of(Work work)
{
    auto cheapest = std::chrono::nanoseconds::max();
    for (int round = 0; round < 5; ++round) {
        timespec before{};
        timespec after{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        work();
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        cheapest = std::min(cheapest, std::chrono::seconds{after.tv_sec - before.tv_sec} +
                                          std::chrono::nanoseconds{after.tv_nsec - before.tv_nsec});
    }
    return cheapest;
}

/// The process gets a few MiB more than it has, and then no more.
void limit_memory()
{
    rlim_t pages = 0;
    std::ifstream{"/proc/self/statm"} >> pages;
    const rlim_t allowed = pages * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE)) + 4 * 1024 * 1024;
    const rlimit limit{allowed, allowed};
    check(::setrlimit(RLIMIT_AS, &limit), "setrlimit");
}

/// Whether `work` in a process without memory ends in std::bad_alloc. It is lent the right password, made
/// there: a secret does not survive a fork.
template <typename Work>
bool lacks_memory(Work work)
{
    const ProgramRun run = run_child("", [&] {
        const Secret password = secret(right);
        limit_memory();
        try {
            work(password);
        } catch (const std::bad_alloc&) {
            return 17;
        }
        return 0;
    });
    CHECK((run.status == 17 || run.status == 0));
    return run.status == 17;
}

} // namespace

TEST_CASE("the hash of every method that the host knows is matched by its password alone", "[password-hash]")
{
    for (const std::string& hash : hashes) {
        CAPTURE(hash);
        CHECK(crypt_matches(hash, right));
        CHECK_FALSE(crypt_matches(hash, "S3cret p\xf6ss"));
        CHECK_FALSE(crypt_matches(hash, ""));
        CHECK_FALSE(crypt_matches(hash, hash));
    }
}

TEST_CASE("a field that locks an account, or is no hash, is matched by nothing", "[password-hash]")
{
    const std::string stored =
        GENERATE(""s, "*"s, "!"s, "!!"s, "x"s, "*NP*"s, "*LK*"s, "*0"s, "*1"s, "!*"s, "a"s, ":"s, "$"s, "$$"s,
                 "$zz$abc$def"s, "$y$"s, "$6"s, "{SSHA}abc"s, "\xff\xff"s, "s3cret p\xf6ss"s, "\0"s,
                 "ab\0cd"s, std::string(4096, '$'), std::string(4096, 'a'));
    CAPTURE(stored);
    for (const std::string& password : {right, stored.substr(0, 511), ""s, "*"s, "*0"s, "*1"s, "x"s})
        CHECK_FALSE(crypt_matches(stored, password));
}

TEST_CASE("a locked hash, or one with something behind it, is matched by nothing", "[password-hash]")
{
    for (const std::string& hash : hashes) {
        CAPTURE(hash);
        for (const std::string& stored : {"!" + hash, "*" + hash, "!!" + hash, " " + hash, hash + "x",
                                          hash + ":", hash + " ", hash + "\n", hash + '\0', hash + hash})
            CHECK_FALSE(crypt_matches(stored, right));
    }
}

TEST_CASE("a hash that was cut anywhere is matched by nothing", "[password-hash]")
{
    for (const std::string& hash : hashes)
        for (std::size_t size = 0; size < hash.size(); size += hash.size() < 40 ? 1 : 3) {
            CAPTURE(hash, size);
            CHECK_FALSE(crypt_matches(std::string_view{hash}.substr(0, size), right));
        }
}

TEST_CASE("a password with a NUL, or longer than libcrypt takes, matches nothing", "[password-hash]")
{
    const std::string hash_of_nothing = "$1$saltsalt$5Jhcit4zN9UlGiA0txPkO0"; // what a cut one would match
    CHECK(crypt_matches(hash_of_nothing, ""));
    CHECK_FALSE(crypt_matches(hash_of_nothing, "\0"s));
    CHECK_FALSE(crypt_matches(hashes.back(), right + '\0'));
    CHECK_FALSE(crypt_matches(hashes.back(), right + "\0x"s));
    const std::string longest(511, 'x');
    const std::string hash_of_longest = "$1$saltsalt$x9F2.6Bg2JHTiGLCk1ITS0";
    CHECK(crypt_matches(hash_of_longest, longest));
    CHECK_FALSE(crypt_matches(hash_of_longest, longest + 'x'));
    CHECK_FALSE(crypt_matches(hash_of_longest, std::string(2048, 'x')));
}

TEST_CASE("an unknown user and a locked one cost what a hash of this host costs", "[password-hash]")
{
    const Secret password = secret(right);
    const auto real = cost_of([&] {
        static_cast<void>(crypt_matches("$y$j9T$$35/RtcSpQnsp9pKBilplwTCR/Z6e.uNV.3aZKZzHYd6", right));
    });
    CHECK(cost_of([&] { spend_crypt(password); }) > real / 4);
    for (const std::string& locked : {""s, "*"s, "!!"s, "!" + hashes.back(), "x"s, "$zz$"s})
        CHECK(cost_of([&] { static_cast<void>(crypt_matches(locked, right)); }) > real / 4);
}

TEST_CASE("an Argon2id hash is matched by its password alone, and never made twice", "[password-hash]")
{
    std::set<std::string> made;
    for (const std::string& password : {right, right, "x"s, std::string(1024, 'p'), "\x01\xff"s}) {
        const std::string hash = make_argon2id(secret(password));
        CHECK(made.insert(hash).second);
        CHECK_THAT(hash, Catch::StartsWith("$argon2id$v=19$m=19456,t=2,p=1$"));
        CHECK(argon2id_matches(hash, password));
        CHECK_FALSE(argon2id_matches(hash, password + "x"));
        CHECK_FALSE(argon2id_matches(hash, password + '\0'));
        CHECK_FALSE(argon2id_matches(hash, ""));
        CHECK_FALSE(argon2id_matches(hash, hash));
    }
}

TEST_CASE("an Argon2id hash of other costs is one too", "[password-hash]")
{
    // test vectors of the reference implementation (P-H-C/phc-winner-argon2, src/test.c)
    const std::string hash =
        GENERATE("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"s,
                 "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"s,
                 "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"s);
    CAPTURE(hash);
    CHECK(argon2id_matches(hash, "password"));
    CHECK_FALSE(argon2id_matches(hash, "passwore"));
}

TEST_CASE("what is no Argon2id hash is matched by nothing", "[password-hash]")
{
    const std::string hash = make_argon2id(secret(right));
    const std::string stored =
        GENERATE_COPY(""s, "$argon2id$"s, "$argon2id$v=19$m=19456,t=2,p=1$"s, "*"s, right,
                      "$argon2id$v=19$m=0,t=0,p=0$c29tZXNhbHQ$aGFzaA"s,
                      "$argon2id$v=19$m=99999999999999999999,t=2,p=1$c29tZXNhbHQ$aGFzaA"s, "x" + hash,
                      hash + "x", hash + '\0', hash + std::string(4096, 'x'), "$argon2i" + hash.substr(9));
    CAPTURE(stored);
    CHECK_FALSE(argon2id_matches(stored, right));
    CHECK_FALSE(argon2id_matches(stored, stored.substr(0, 2048)));
}

TEST_CASE("an Argon2id hash that was cut anywhere is matched by nothing", "[password-hash]")
{
    const std::string hash = make_argon2id(secret(right));
    for (std::size_t size = 0; size < hash.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(argon2id_matches(std::string_view{hash}.substr(0, size), right));
    }
}

TEST_CASE("a hash that cannot be computed for want of memory is no wrong password", "[password-hash]")
{
    const std::string yescrypt = "$y$j9T$$35/RtcSpQnsp9pKBilplwTCR/Z6e.uNV.3aZKZzHYd6";
    const std::string argon2id = make_argon2id(secret(right));
    CHECK(lacks_memory([&](const Secret& given) { static_cast<void>(crypt_matches(yescrypt, given)); }));
    CHECK(lacks_memory([&](const Secret& given) { static_cast<void>(argon2id_matches(argon2id, given)); }));
    CHECK(lacks_memory([&](const Secret& given) { static_cast<void>(make_argon2id(given)); }));
    CHECK_FALSE(lacks_memory([&](const Secret& given) { spend_crypt(given); }));
    CHECK_FALSE(lacks_memory([&](const Secret& given) { spend_argon2id(given); }));
}

} // namespace postern
