// SPDX-License-Identifier: BSD-2-Clause
#include "base/task_queue.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace postern;

namespace {

/// Both sides of a queue.
struct Pair {
    explicit Pair(TaskQueue::Ends ends = TaskQueue::make())
        : queue{std::move(ends.giver), ends.page.get()}
        , taker{std::in_place, std::move(ends.taker), ends.page.get()}
        , page{std::move(ends.page)}
    {
    }

    std::string take() { return std::string{taker->take(buffer).bytes}; }

    TaskQueue queue;
    std::optional<TaskTaker> taker;
    UniqueFd page;
    std::array<char, 64> buffer{};
};

} // namespace

TEST_CASE("tasks are taken in their order, and the last ones that were not can be taken back", "[task_queue]")
{
    Pair pair;
    for (const std::string task : {"one", "two", "three", "four"})
        REQUIRE(pair.queue.put(task));
    CHECK(pair.take() == "one");
    CHECK(pair.queue.take_back(2) == 2);
    CHECK(pair.queue.take_back(2) == 1);
    CHECK(pair.queue.take_back(2) == 0);
    REQUIRE(pair.queue.put("five"));
    CHECK(pair.take() == "five");
}

TEST_CASE("nothing of a task that was taken back stays in the taker's buffer", "[task_queue]")
{
    Pair pair;
    REQUIRE(pair.queue.put("a password of some length"));
    REQUIRE(pair.queue.take_back(1) == 1);
    REQUIRE(pair.queue.put("next"));
    REQUIRE(pair.take() == "next");
    CHECK(std::string(pair.buffer.data() + 4, 60) == std::string(60, '\0'));
}

TEST_CASE("each task is had by one side, and it is the last ones that are taken back", "[task_queue]")
{
    constexpr int count = 20'000;
    Pair pair;
    std::vector<int> taken;
    std::thread taker{[&pair, &taken] {
        for (std::string task = pair.take(); task != "end"; task = pair.take())
            taken.push_back(std::stoi(task));
    }};
    std::vector<int> given; // and not taken back
    for (int i = 0; i < count; ++i) {
        while (!pair.queue.put(std::to_string(i)))
            std::this_thread::yield();
        given.push_back(i);
        if (i % 3 == 2)
            given.resize(given.size() - pair.queue.take_back(3));
    }
    while (!pair.queue.put("end"))
        std::this_thread::yield();
    taker.join();
    CHECK(taken == given);
}

TEST_CASE("a queue whose taker is slow is full, until he has passed over what was taken back", "[task_queue]")
{
    Pair pair;
    for (std::size_t i = 0; i < TaskPage::places; ++i)
        REQUIRE(pair.queue.put("task"));
    CHECK_FALSE(pair.queue.put("task"));
    CHECK(pair.take() == "task");
    CHECK(pair.queue.take_back(TaskPage::places) == TaskPage::places - 1);
    REQUIRE(pair.queue.put("next"));
    CHECK_FALSE(pair.queue.put("one more"));
    CHECK(pair.take() == "next");
    CHECK(pair.queue.put("one more"));
}

TEST_CASE("a taker that is gone is known at once, and what he has left can be taken back", "[task_queue]")
{
    Pair pair;
    REQUIRE(pair.queue.put("one"));
    pair.taker.reset();
    CHECK_FALSE(pair.queue.put("two"));
    CHECK(pair.queue.take_back(2) == 1);
}

TEST_CASE("a queue that is closed takes nothing, and its taker hears of it", "[task_queue]")
{
    Pair pair;
    REQUIRE(pair.queue.put("one"));
    pair.queue.close();
    CHECK_FALSE(pair.queue.put("two"));
    CHECK(pair.queue.take_back(1) == 0);
    CHECK(pair.take() == "one");
    CHECK(pair.taker->take(pair.buffer).state == MessageSocket::Received::end);
}

TEST_CASE("a taker cannot answer by the queue, nor change the size of its page", "[task_queue]")
{
    auto ends = TaskQueue::make();
    CHECK_FALSE(ends.taker.send("hello"));
    CHECK(::ftruncate(ends.page.get(), 0) != 0);
    CHECK(::ftruncate(ends.page.get(), 1 << 20) != 0);
    CHECK(::fcntl(ends.page.get(), F_ADD_SEALS, F_SEAL_WRITE) != 0);
}

TEST_CASE("what a taker writes into the page makes nobody wait, and no number too large", "[task_queue]")
{
    Pair pair;
    const auto value = GENERATE(0U, 1U, 2U, 3U, 4U, 0xffffffffU);
    REQUIRE(pair.queue.put("one"));
    const std::vector<std::uint32_t> lies(TaskPage::places, value);
    REQUIRE(::pwrite(pair.page.get(), lies.data(), lies.size() * sizeof value, 0) > 0);
    if (value == 0xffffffffU)
        REQUIRE(::fallocate(pair.page.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0);
    CHECK(pair.queue.take_back(3) <= 3);
    static_cast<void>(pair.queue.put("two"));
    CHECK(pair.queue.take_back(100) <= TaskPage::places);
}
