// SPDX-License-Identifier: BSD-2-Clause
#include "base/secret.hpp"

#include "base/posix_error.hpp"

#include <sodium.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

namespace postern {

namespace {

std::size_t round_up(std::size_t size, std::size_t step)
{
    return (size + step - 1) / step * step;
}

using Digest = std::array<unsigned char, crypto_generichash_BYTES>;

Digest digest(std::string_view bytes) noexcept
{
    Digest result{};
    crypto_generichash(result.data(), result.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                       bytes.size(), nullptr, 0);
    return result;
}

} // namespace

Secret::Secret(SecretArena& arena, std::string_view bytes) : arena_{&arena}, slot_{arena.take()}
{
    if (bytes.size() > slot_.size()) {
        clear();
        throw std::length_error{"a secret is longer than its slot"};
    }
    if (!bytes.empty())
        std::memcpy(slot_.data(), bytes.data(), bytes.size());
    size_ = lent_ = bytes.size();
}

Secret::Secret(Secret&& other) noexcept
    : arena_{std::exchange(other.arena_, nullptr)}
    , slot_{std::exchange(other.slot_, {})}
    , size_{std::exchange(other.size_, 0)}
    , lent_{std::exchange(other.lent_, 0)}
{
}

Secret& Secret::operator=(Secret&& other) noexcept
{
    if (this != &other) {
        clear();
        arena_ = std::exchange(other.arena_, nullptr);
        slot_ = std::exchange(other.slot_, {});
        size_ = std::exchange(other.size_, 0);
        lent_ = std::exchange(other.lent_, 0);
    }
    return *this;
}

std::span<char> Secret::room(std::size_t bytes) noexcept
{
    const std::span<char> room = slot_.first(std::min(bytes, slot_.size()));
    lent_ = std::max(lent_, room.size());
    return room;
}

void Secret::resize(std::size_t size)
{
    if (size > slot_.size())
        throw std::length_error{"a secret is longer than its slot"};
    size_ = size;
    lent_ = std::max(lent_, size);
}

void Secret::clear() noexcept
{
    if (arena_ != nullptr)
        arena_->give_back(slot_, lent_);
    arena_ = nullptr;
    slot_ = {};
    size_ = 0;
    lent_ = 0;
}

bool Secret::equals(const Secret& other) const noexcept
{
    Digest ours = digest(view());
    Digest theirs = digest(other.view());
    const bool is_same = sodium_memcmp(ours.data(), theirs.data(), ours.size()) == 0;
    sodium_memzero(ours.data(), ours.size()); // guesses can be tried against a digest without a key
    sodium_memzero(theirs.data(), theirs.size());
    return is_same;
}

SecretArena::SecretArena(std::size_t slot_bytes, std::size_t slots_max)
    : slot_bytes_{round_up(slot_bytes, alignof(std::max_align_t))}, slots_max_{slots_max}
{
    if (sodium_init() < 0)
        throw std::runtime_error{"libsodium cannot be initialised"};
    free_.reserve(slots_max);
    const std::size_t size = slot_bytes_ * slots_max_;
    void* const memory =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        throw_errno("memory for passwords");
    memory_ = {static_cast<char*>(memory), size};
    ::madvise(memory, size, MADV_DONTDUMP);
    ::madvise(memory, size, MADV_WIPEONFORK); // a child that is about to exec has no business with passwords
}

SecretArena::~SecretArena()
{
    assert(slots_free() == slots_max_ && "a secret outlived its arena");
    ::munmap(memory_.data(), memory_.size());
}

std::span<char> SecretArena::take()
{
    if (!free_.empty()) {
        char* const slot = free_.back();
        free_.pop_back();
        return {slot, slot_bytes_};
    }
    if (touched_ == slots_max_)
        throw std::bad_alloc{};
    const std::size_t begin = slot_bytes_ * touched_++;
    lock_up_to(begin + slot_bytes_);
    return memory_.subspan(begin, slot_bytes_);
}

/// Piece by piece: the limit on locked memory counts what is asked for, and most of the memory is never used.
void SecretArena::lock_up_to(std::size_t bytes) noexcept
{
    constexpr std::size_t piece = 256 * 1024;
    while (locked_ < bytes) {
        const std::size_t size = std::min(piece, memory_.size() - locked_);
        if (::mlock2(memory_.data() + locked_, size, MLOCK_ONFAULT) < 0)
            is_locked_ = false;
        locked_ += size;
    }
}

void SecretArena::give_back(std::span<char> slot, std::size_t used) noexcept
{
    sodium_memzero(slot.data(), used);
    free_.push_back(slot.data()); // reserved in the constructor: cannot throw
}

} // namespace postern
