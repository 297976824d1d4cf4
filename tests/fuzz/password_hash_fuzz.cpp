// SPDX-License-Identifier: BSD-2-Clause

// Whatever stands where a hash belongs: it is refused, or it is the whole hash of the one right password.
// What asks for more than some milliseconds of work is left out, because it would find nothing but time; so
// are most fields of no known method, each of which costs the hash that an unknown user does.
#include "backends/stores/password_hash.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <crypt.h>

#include <algorithm>
#include <string>

using namespace postern;

namespace {

constexpr std::string_view right = "s3cret p\xf6ss";
constexpr std::string_view wrong = "S3cret p\xf6ss";

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/// Rounds, passes and KiB are written as numbers; libcrypt reads on where ours would end.
bool has_long_number(std::string_view text, std::size_t digits_max)
{
    std::size_t digits = 0;
    return std::ranges::any_of(text, [&](char c) {
        digits = is_digit(c) ? digits + 1 : 0;
        return digits > digits_max;
    });
}

/// scrypt and yescrypt write theirs in letters, in the order of ASCII: memory first, then blocks.
bool has_low_letters(std::string_view parameters)
{
    constexpr std::string_view highest = "j9T"; // Debian's own choice, 16 MiB
    return parameters.size() <= highest.size() &&
           std::ranges::equal(parameters, highest.substr(0, parameters.size()),
                              [](char given, char most) { return given <= most; });
}

bool is_affordable(std::string_view stored)
{
    if (stored.starts_with("$y$") || stored.starts_with("$gy$")) {
        const std::size_t begin = stored.find('$', 1) + 1;
        return has_low_letters(stored.substr(begin, stored.find('$', begin) - begin));
    }
    if (stored.starts_with("$7$"))
        return stored.size() < 14 || stored.starts_with("$7$20..../....");
    if (stored.starts_with("$2"))
        return stored.size() < 6 || stored.substr(4, 2) <= "05";
    if (stored.starts_with("_"))
        return stored.size() < 5 || stored.substr(3, 2) == "..";
    const std::size_t digits_max = stored.starts_with("$argon2id$") ? 2 : 4;
    return !has_long_number(stored.substr(0, 40), digits_max);
}

/// One of eight stands for them all.
bool is_worth_its_time(const std::string& stored)
{
    return stored.size() % 8 == 0 || ::crypt_checksalt(stored.c_str()) != CRYPT_SALT_INVALID;
}

using Match = bool (*)(std::string_view stored, const Secret& password);

void check_field(std::string_view stored, Match matches)
{
    static SecretArena arena{64, 2};
    const Secret password{arena, right};
    if (!matches(stored, password))
        return;
    promise(!stored.empty() && stored.find_first_of("*!") != 0, "a locked account stays locked");
    promise(!matches(stored, Secret{arena, wrong}), "another password is refused");
    promise(!matches(stored.substr(0, stored.size() - 1), password), "a hash that was cut is refused");
    promise(!matches(std::string{stored} + 'x', password), "a hash with something behind it is refused");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view stored = FuzzInput{data, size}.rest();
    if (!is_affordable(stored))
        return 0;
    if (is_worth_its_time(std::string{stored}))
        check_field(stored, crypt_matches);
    check_field(stored, argon2id_matches);
    return 0;
}
