// SPDX-License-Identifier: BSD-2-Clause
#include "base/secret.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <concepts>
#include <cstdint>
#include <fstream>
#include <new>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace postern {

namespace {

template <typename Value>
concept Printable = requires(std::ostream& stream, const Value& value)
{
    stream << value;
};

static_assert(Printable<std::string>, "the concept finds what is printable");
static_assert(!Printable<Secret>, "a secret cannot be printed");
static_assert(!std::equality_comparable<Secret>, "== stops at the first byte that differs");
static_assert(!std::is_copy_constructible_v<Secret> && !std::is_copy_assignable_v<Secret>,
              "one place, wiped once");
static_assert(!std::is_convertible_v<Secret, std::string> && !std::is_constructible_v<std::string, Secret>);
static_assert(!std::is_convertible_v<Secret, std::string_view> &&
              !std::is_constructible_v<std::string_view, Secret>);
static_assert(std::is_nothrow_move_constructible_v<Secret> && std::is_nothrow_move_assignable_v<Secret>);

constexpr std::size_t slot_bytes = 64;

/// What the next secret would find in the slot that it is given.
std::string bytes_of_next_slot(SecretArena& arena)
{
    Secret next{arena, ""};
    return {next.buffer().begin(), next.buffer().end()};
}

const std::string wiped(slot_bytes, '\0');

/// The kernel's flags of the mapping that holds `address`: two letters each, see proc(5).
std::string mapping_flags(const void* address)
{
    std::ifstream smaps{"/proc/self/smaps"};
    bool is_here = false;
    for (std::string line; std::getline(smaps, line);) {
        if (line.starts_with("VmFlags:") && is_here)
            return line.substr(8) + ' ';
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            is_here = begin <= reinterpret_cast<std::uintptr_t>(address) &&
                      reinterpret_cast<std::uintptr_t>(address) < end;
    }
    return "";
}

} // namespace

TEST_CASE("a secret holds exactly the bytes it was given", "[secret]")
{
    using namespace std::string_view_literals;
    SecretArena arena{slot_bytes, 1};
    const auto text = GENERATE("s3cret"sv, ""sv, "with\0zero\xff"sv);
    const Secret secret{arena, text};
    CHECK(secret.view() == text);
    CHECK(secret.size() == text.size());
    CHECK(secret.empty() == text.empty());
}

TEST_CASE("a secret is wiped when it ends", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    {
        const Secret secret{arena, "s3cret"};
    }
    CHECK(bytes_of_next_slot(arena) == wiped);
}

TEST_CASE("a cleared secret is empty, wiped and without a slot", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    Secret secret{arena, "s3cret"};

    secret.clear();
    secret.clear();

    CHECK(secret.empty());
    CHECK(secret.buffer().empty());
    CHECK(arena.slots_free() == 1);
    CHECK(bytes_of_next_slot(arena) == wiped);
}

TEST_CASE("the whole slot is wiped, not only the part that counted", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    {
        Secret buffer{arena, ""};
        std::ranges::fill(buffer.buffer(), 'x');
        buffer.resize(3);
        CHECK(buffer.view() == "xxx");
    }
    CHECK(bytes_of_next_slot(arena) == wiped);
}

TEST_CASE("of a slot as much is lent as is asked for, and never more than there is", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    Secret secret{arena, "s3cret"};
    CHECK(secret.room(3).size() == 3);
    CHECK(secret.room(3).data() == secret.view().data());
    CHECK(secret.room(slot_bytes + 1).size() == slot_bytes);
    CHECK(secret.buffer().size() == slot_bytes);
    CHECK(secret.view() == "s3cret");
    CHECK(Secret{}.room(1).empty());
}

TEST_CASE("whatever was lent is wiped, however little of it counts, and wherever it has moved", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    const auto lent = GENERATE(as<std::size_t>{}, 1, 17, slot_bytes - 1, slot_bytes);
    CAPTURE(lent);
    {
        Secret buffer{arena, ""};
        std::ranges::fill(buffer.room(lent), 'x');
        static_cast<void>(buffer.room(0));
        buffer.resize(1);
        buffer.resize(0);
        Secret moved{std::move(buffer)};
        Secret assigned;
        assigned = std::move(moved);
    }
    CHECK(bytes_of_next_slot(arena) == wiped);
}

TEST_CASE("a secret that moves takes its only copy with it", "[secret]")
{
    SecretArena arena{slot_bytes, 2};
    Secret origin{arena, "s3cret"};
    const char* const place = origin.view().data();

    const Secret moved{std::move(origin)};

    CHECK(moved.view() == "s3cret");
    CHECK(moved.view().data() == place);
    CHECK(origin.empty());
    CHECK(arena.slots_free() == 1);
}

TEST_CASE("a secret that is replaced is wiped", "[secret]")
{
    SecretArena arena{slot_bytes, 2};
    Secret secret{arena, "old password"};

    secret = Secret{arena, "new"};

    CHECK(secret.view() == "new");
    CHECK(arena.slots_free() == 1);
    CHECK(bytes_of_next_slot(arena) == wiped);
}

TEST_CASE("a secret that is assigned to itself keeps its bytes", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    Secret secret{arena, "s3cret"};
    Secret& itself = secret;
    secret = std::move(itself);
    CHECK(secret.view() == "s3cret");
}

TEST_CASE("a secret fills its slot and not a byte more", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    const auto [length, fits] = GENERATE(table<std::size_t, bool>({
        {slot_bytes - 1, true},
        {slot_bytes, true},
        {slot_bytes + 1, false},
    }));
    CAPTURE(length);
    const std::string text(length, 'x');
    if (fits)
        CHECK(Secret{arena, text}.view() == text);
    else
        CHECK_THROWS_AS((Secret{arena, text}), std::length_error);
    CHECK(arena.slots_free() == 1);
}

TEST_CASE("a secret cannot be resized over the end of its slot", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    Secret secret{arena, "s3cret"};
    CHECK_THROWS_AS(secret.resize(slot_bytes + 1), std::length_error);
    CHECK(secret.view() == "s3cret");
    secret.resize(slot_bytes);
    CHECK(secret.size() == slot_bytes);
    CHECK_THROWS_AS(Secret{}.resize(1), std::length_error);
}

TEST_CASE("an arena gives out its slots and then no more until one comes back", "[secret]")
{
    SecretArena arena{slot_bytes, 2};
    CHECK(arena.slots_free() == 2);
    Secret first{arena, "first"};
    const Secret second{arena, "second"};
    CHECK(arena.slots_free() == 0);
    CHECK_THROWS_AS((Secret{arena, "third"}), std::bad_alloc);

    first.clear();

    CHECK(Secret{arena, "third"}.view() == "third");
    CHECK(second.view() == "second");
}

TEST_CASE("secrets are equal when their bytes are", "[secret]")
{
    using namespace std::string_view_literals;
    const auto [left, right, are_equal] = GENERATE(table<std::string_view, std::string_view, bool>({
        {"s3cret"sv, "s3cret"sv, true},
        {""sv, ""sv, true},
        {"s3cret"sv, "S3cret"sv, false},
        {"s3cret"sv, "s3creT"sv, false},
        {"s3cret"sv, "s3cre"sv, false},
        {"s3cret"sv, "s3cret\0"sv, false},
        {"s3cret"sv, ""sv, false},
        {"\0"sv, ""sv, false},
    }));
    CAPTURE(left, right);
    SecretArena arena{slot_bytes, 2};
    const Secret one{arena, left};
    const Secret other{arena, right};
    CHECK(one.equals(other) == are_equal);
    CHECK(other.equals(one) == are_equal);
}

TEST_CASE("a secret without a slot equals an empty one", "[secret]")
{
    SecretArena arena{slot_bytes, 1};
    CHECK(Secret{}.equals(Secret{arena, ""}));
    CHECK(Secret{}.equals(Secret{}));
}

TEST_CASE("secrets are left out of core files, out of swap and out of children", "[secret]")
{
    SecretArena arena{slot_bytes, 1000};
    const Secret secret{arena, "s3cret"};
    const std::string flags = mapping_flags(secret.view().data());
    CAPTURE(flags);
    CHECK(flags.find(" dd ") != std::string::npos); // do not dump
    CHECK(flags.find(" wf ") != std::string::npos); // wipe on fork
    CHECK((flags.find(" lo ") != std::string::npos) == arena.is_locked());
}

TEST_CASE("every slot in use is kept out of swap, the last like the first", "[secret]")
{
    constexpr std::size_t count = 16;
    SecretArena arena{65536, count};
    std::vector<Secret> secrets;
    for (std::size_t i = 0; i < count; ++i)
        secrets.emplace_back(arena, "s3cret");
    for (const Secret& secret : secrets)
        CHECK((mapping_flags(secret.view().data()).find(" lo ") != std::string::npos) == arena.is_locked());
}

TEST_CASE("slots that were never used cost no memory", "[secret]")
{
    CHECK_NOTHROW(SecretArena{65536, 100'000});
}

} // namespace postern
