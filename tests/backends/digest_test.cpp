// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/digest.hpp"

#include <pthread.h>
#include <sodium.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstddef>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

namespace {

std::string in_hexadecimal(const Digest& digest)
{
    std::string text(2 * digest.size() + 1, '\0');
    sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(digest.view().data()),
                   digest.size());
    text.pop_back(); // its NUL
    return text;
}

using Work = std::function<void()>;

void* do_work(void* work)
{
    (*static_cast<const Work*>(work))();
    return nullptr;
}

/// The stack of a thread, when it has done that work and is over.
std::string stack_after(Work work)
{
    std::string stack(std::size_t{256} * 1024, '\0');
    pthread_attr_t attributes;
    pthread_t thread{};
    REQUIRE(pthread_attr_init(&attributes) == 0);
    REQUIRE(pthread_attr_setstack(&attributes, stack.data(), stack.size()) == 0);
    REQUIRE(pthread_create(&thread, &attributes, do_work, &work) == 0);
    REQUIRE(pthread_join(thread, nullptr) == 0);
    pthread_attr_destroy(&attributes);
    return stack;
}

/// As HMAC has a key in its blocks.
std::string padded(std::string text, char pad)
{
    for (char& byte : text)
        byte = static_cast<char>(byte ^ pad);
    return text;
}

struct Example {
    Hash hash;
    std::string digest; ///< of "password" and "salt"
    std::string hmac;   ///< the second example of RFC 2202 and RFC 4231
    std::string pbkdf2; ///< of "password" and "salt", twice: with SHA-1 the second example of RFC 6070
};

} // namespace

TEST_CASE("a digest is what Python's hashlib makes of the same bytes, and RFCs where they have it",
          "[digest]")
{
    const Example example = GENERATE(values<Example>({
        {Hash::md5, "b305cadbb3bce54f3aa59c64fec00dea", "750c783e6ab0b503eaa86e310a5db738",
         "042407b552be345ad6eee2cf2f7ed01d"},
        {Hash::sha1, "c88e9c67041a74e0357befdff93f87dde0904214", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
         "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"},
        {Hash::sha256, "7a37b85c8918eac19a9089c0fa5a2ab4dce3f90528dcdeec108b23ddf3607b99",
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
         "ae4d0c95af6b46d32d0adff928f06dd02a303f8ef3c251dfd6e2d85a95474c43"},
        {Hash::sha384,
         "26105df2d689ee2cbb735deb530a9d0340626252be99b62dbe660a814507fc79"
         "f396ef7e6014f161df7bde927982f8cf",
         "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
         "8e2240ca5e69e2c78b3239ecfab21649",
         "54f775c6d790f21930459162fc535dbf04a939185127016a04176a0730c6f1f4"
         "fb48832ad1261baadd2cedd50814b1c8"},
        {Hash::sha512,
         "fa6a2185b3e0a9a85ef41ffb67ef3c1fb6f74980f8ebf970e4e72e353ed9537d"
         "593083c201dfd6e43e1c8a7aac2bc8dbb119c7dfb7d4b8f131111395bd70e97f",
         "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
         "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
         "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c"
         "f76cab2868a39b9f7840edce4fef5a82be67335c77a6068e04112754f27ccf4e"},
    }));
    CAPTURE(example.digest);
    CHECK(in_hexadecimal(digest(example.hash, "password", "salt")) == example.digest);
    CHECK(in_hexadecimal(digest(example.hash, "passwordsalt")) == example.digest);
    CHECK(in_hexadecimal(hmac(example.hash, "Jefe", "what do ya want for nothing?")) == example.hmac);
    CHECK(in_hexadecimal(pbkdf2(example.hash, "password", "salt", 2)) == example.pbkdf2);
    CHECK(digest_bytes(example.hash) == example.digest.size() / 2);
}

TEST_CASE("a key may be longer than the block of its hash, and anything may be empty", "[digest]")
{
    const std::string long_key(131, '\xaa');
    const std::string text = "Test Using Larger Than Block-Size Key - Hash Key First";
    CHECK(in_hexadecimal(hmac(Hash::sha256, long_key, text)) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");          // RFC 4231, 4.7
    CHECK(in_hexadecimal(digest(Hash::md5, {})) == "d41d8cd98f00b204e9800998ecf8427e"); // RFC 1321, A.5
    CHECK(in_hexadecimal(hmac(Hash::md5, {}, {})) == "74e6f7298a9c2d168935f58c001bad88");
    CHECK(in_hexadecimal(pbkdf2(Hash::sha1, {}, {}, 1)) == "1e437a1c79d75be61e91141dae20affc4892cc99");
}

TEST_CASE("a digest is its own bytes, all of them, and no others", "[digest]")
{
    const Digest made = digest(Hash::sha1, "password");
    std::string bytes{made.view()};
    CHECK(made.is(bytes));
    CHECK_FALSE(made.is(bytes.substr(0, 19)));
    CHECK_FALSE(made.is(bytes + '\0'));
    CHECK_FALSE(made.is(""));
    for (char& byte : bytes) {
        byte = static_cast<char>(byte ^ 1);
        CHECK_FALSE(made.is(bytes));
        byte = static_cast<char>(byte ^ 1);
    }
}

TEST_CASE("what was put upon a digest is taken off in the same way", "[digest]")
{
    const Digest one = digest(Hash::sha256, "one");
    const Digest other = digest(Hash::sha256, "other");
    const Digest both = one.exclusive_or(other.view());
    CHECK_FALSE(both.is(one.view()));
    CHECK(both.exclusive_or(other.view()).is(one.view()));
    CHECK(both.exclusive_or(one.view()).is(other.view()));
}

TEST_CASE("a digest leaves nothing behind where it was", "[digest]")
{
    alignas(Digest) std::array<unsigned char, sizeof(Digest)> place{};
    Digest* const made = new (place.data()) Digest{digest(Hash::sha512, "password")};
    const std::string bytes{made->view()};
    made->~Digest();
    CHECK(std::string_view{reinterpret_cast<const char*>(place.data()), place.size()}.find(
              bytes.substr(0, 4)) == std::string_view::npos);
}

TEST_CASE("of what a digest was made of nothing is left on the stack", "[digest]")
{
    const Hash hash = GENERATE(Hash::md5, Hash::sha1, Hash::sha256, Hash::sha384, Hash::sha512);
    static const std::string password = "correct horse battery staple";
    const auto left = [hash](const Work& work) {
        const std::string stack = stack_after(work);
        const std::vector<std::string> needles{password,
                                               padded(password, 0x36),
                                               padded(password, 0x5c),
                                               std::string{digest(hash, password).view()},
                                               std::string{hmac(hash, password, "challenge").view()},
                                               std::string{pbkdf2(hash, password, "salt", 2).view()}};
        std::vector<std::size_t> found;
        for (std::size_t i = 0; i < needles.size(); ++i)
            if (stack.find(needles[i].substr(0, 16)) != std::string::npos)
                found.push_back(i);
        return found;
    };
    CAPTURE(hash);
    CHECK(left([hash] { static_cast<void>(digest(hash, password)); }).empty());
    CHECK(left([hash] { static_cast<void>(hmac(hash, password, "challenge")); }).empty());
    CHECK(left([hash] { static_cast<void>(pbkdf2(hash, password, "salt", 2)); }).empty());
}

} // namespace postern
