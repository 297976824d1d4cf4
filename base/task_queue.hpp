// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/message_socket.hpp"
#include "base/unique_fd.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace postern {

/// A page that the giver and the taker of tasks have in memory both, sealed against growing and shrinking.
/// Says of each task on its way whose it is. Either side may write what it likes there, or punch a hole into
/// it, and nobody waits for it or is led astray: no more hangs on it than which of the taker's tasks are
/// taken.
class TaskPage {
public:
    /// More than can be on their way. The places are used in turn.
    static constexpr std::size_t places = 8;

    TaskPage() noexcept = default;
    /// Throws std::system_error.
    explicit TaskPage(int page);

    /// The place of the task with that number may be used for it. False while an earlier one is there that
    /// has not arrived.
    [[nodiscard]] bool offer(std::uint64_t task) noexcept;
    /// It could not be sent.
    void clear(std::uint64_t task) noexcept;
    /// By the taker, when it has arrived. False when it was taken back.
    [[nodiscard]] bool take(std::uint64_t task) noexcept;
    /// By the giver. False when it is the taker's.
    [[nodiscard]] bool revoke(std::uint64_t task) noexcept;
    [[nodiscard]] bool is_revoked(std::uint64_t task) const noexcept;

    [[nodiscard]] bool is_open() const noexcept { return states_ != nullptr; }

    void close() noexcept { states_.reset(); }

private:
    enum class State : std::uint32_t { free, offered, taken, revoked };
    using States = std::array<std::atomic<State>, places>;
    static_assert(std::atomic<State>::is_always_lock_free, "two processes use it");

    struct Unmap {
        void operator()(States* states) const noexcept;
    };

    [[nodiscard]] std::atomic<State>& at(std::uint64_t task) const noexcept
    {
        return (*states_)[task % places];
    }

    std::unique_ptr<States, Unmap> states_;
};

/// Tasks on their way to another process, which takes them in their order. What it has not taken can be taken
/// back: each is had by one side alone, and neither ever waits for the other.
class TaskQueue {
public:
    /// What leads to the two sides of one queue.
    struct Ends {
        MessageSocket giver;
        MessageSocket taker; ///< says nothing by it
        UniqueFd page;
    };

    /// Throws std::system_error.
    [[nodiscard]] static Ends make();

    TaskQueue() noexcept = default;
    /// The giver's side. Throws std::system_error.
    TaskQueue(MessageSocket giver, int page);

    /// False when the taker is gone, or has too many before it.
    [[nodiscard]] bool put(std::string_view task) noexcept;

    /// The last ones that the taker does not have, `most` at most. How many those are.
    [[nodiscard]] std::size_t take_back(std::size_t most) noexcept;

    void close() noexcept;

private:
    MessageSocket socket_;
    TaskPage page_;
    std::uint64_t next_ = 0;
};

/// The taker's side.
class TaskTaker {
public:
    /// Throws std::system_error.
    TaskTaker(MessageSocket taker, int page);

    /// To wait for.
    [[nodiscard]] int fd() const noexcept { return socket_.fd(); }

    /// The next task, which is the taker's now; what was taken back is wiped, and passed over.
    [[nodiscard]] MessageSocket::Incoming take(std::span<char> buffer);

private:
    MessageSocket socket_;
    TaskPage page_;
    std::uint64_t next_ = 0;
};

} // namespace postern
