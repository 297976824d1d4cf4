// SPDX-License-Identifier: BSD-2-Clause
//
// The kernel would let a giver that holds the far end of the sockets, too, read what nobody has taken. But
// who reads waits there for anybody who reads the same end, and that one may make his reading last (a page of
// his own that he lets nobody have): a front would hang with a worker that somebody else has taken over.
#include "base/task_queue.hpp"

#include "base/posix_error.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <new>
#include <tuple>
#include <utility>

namespace postern {

TaskPage::TaskPage(int page)
{
    void* const memory =
        ::mmap(nullptr, sizeof(States), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, page, 0);
    if (memory == MAP_FAILED) // NOLINT(performance-no-int-to-ptr): the macro's
        throw_errno("mmap");
    states_.reset(std::launder(static_cast<States*>(memory))); // zeros, which are `free`
}

void TaskPage::Unmap::operator()(States* states) const noexcept
{
    ::munmap(states, sizeof(States));
}

bool TaskPage::offer(std::uint64_t task) noexcept
{
    const State before = at(task).load();
    if (before != State::free && before != State::taken)
        return false;
    at(task) = State::offered;
    return true;
}

void TaskPage::clear(std::uint64_t task) noexcept
{
    at(task) = State::free;
}

bool TaskPage::take(std::uint64_t task) noexcept
{
    State state = State::offered;
    if (at(task).compare_exchange_strong(state, State::taken))
        return true;
    clear(task);
    return false;
}

bool TaskPage::revoke(std::uint64_t task) noexcept
{
    State state = State::offered;
    return at(task).compare_exchange_strong(state, State::revoked);
}

bool TaskPage::is_revoked(std::uint64_t task) const noexcept
{
    return at(task) == State::revoked;
}

TaskQueue::Ends TaskQueue::make()
{
    Ends ends;
    std::tie(ends.giver, ends.taker) = make_message_sockets();
    check(::shutdown(ends.taker.fd(), SHUT_WR), "shutdown");
    ends.page = UniqueFd{check(::memfd_create("tasks", MFD_CLOEXEC | MFD_ALLOW_SEALING), "memfd_create")};
    check(::fallocate(ends.page.get(), 0, 0, ::sysconf(_SC_PAGESIZE)), "fallocate");
    check(::fcntl(ends.page.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), "F_ADD_SEALS");
    return ends;
}

TaskQueue::TaskQueue(MessageSocket giver, int page) : socket_{std::move(giver)}, page_{page}
{
    socket_.set_non_blocking();
}

bool TaskQueue::put(std::string_view task) noexcept
{
    if (!page_.is_open() || !page_.offer(next_))
        return false;
    if (!socket_.send(task)) {
        page_.clear(next_);
        return false;
    }
    ++next_;
    return true;
}

std::size_t TaskQueue::take_back(std::size_t most) noexcept
{
    std::size_t count = 0;
    for (std::uint64_t back = 1; page_.is_open() && back <= TaskPage::places && count < most; ++back) {
        if (page_.revoke(next_ - back))
            ++count;
        else if (!page_.is_revoked(next_ - back))
            break;
    }
    return count;
}

void TaskQueue::close() noexcept
{
    socket_.close();
    page_.close();
}

TaskTaker::TaskTaker(MessageSocket taker, int page) : socket_{std::move(taker)}, page_{page} {}

MessageSocket::Incoming TaskTaker::take(std::span<char> buffer)
{
    while (true) {
        MessageSocket::Incoming incoming = socket_.receive(buffer);
        if (incoming.state != MessageSocket::Received::message || page_.take(next_++))
            return incoming;
        sodium_memzero(buffer.data(), incoming.bytes.size());
    }
}

} // namespace postern
