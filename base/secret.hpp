// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

namespace postern {

class SecretArena;

/// Bytes that nobody else may see: a password, or a buffer that holds one.
///
/// Lives in a slot of a SecretArena and is wiped when it ends. It cannot be copied, printed, compared with
/// `==` or turned into a std::string; whoever needs the bytes says view(), which is easy to find in a review.
class Secret {
public:
    /// An empty secret that holds no slot.
    Secret() noexcept = default;
    /// Throws std::length_error when `bytes` are more than a slot holds, std::bad_alloc when none is free.
    Secret(SecretArena& arena, std::string_view bytes);
    Secret(Secret&& other) noexcept;
    Secret& operator=(Secret&& other) noexcept;

    ~Secret() { clear(); }

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] std::string_view view() const noexcept { return {slot_.data(), size_}; }

    /// The whole slot, to be filled in place; resize() then says how much of it counts.
    /// Empty until the secret has a slot.
    [[nodiscard]] std::span<char> buffer() noexcept { return room(slot_.size()); }

    /// The first `bytes` of it, or all if there are fewer. What was lent is wiped at the end, and that costs.
    [[nodiscard]] std::span<char> room(std::size_t bytes) noexcept;

    void resize(std::size_t size);

    /// Wipes the bytes and gives the slot back.
    void clear() noexcept;

    /// Whether both hold the same bytes, in a time that depends on neither's content nor on where they
    /// differ: digests of equal size are compared, never the strings themselves.
    [[nodiscard]] bool equals(const Secret& other) const noexcept;

private:
    SecretArena* arena_ = nullptr;
    std::span<char> slot_;
    std::size_t size_ = 0;
    std::size_t lent_ = 0; ///< bytes that may hold something, from the start of the slot
};

/// The one piece of memory in which a process keeps passwords: slots of equal size, locked into RAM where
/// the limits allow it, left out of core files, and wiped before a slot is used again, as far as it was used.
///
/// Must outlive its secrets. One thread. Pages are touched on first use, so a large bound costs nothing.
class SecretArena {
public:
    /// Throws std::system_error when the memory is not to be had.
    SecretArena(std::size_t slot_bytes, std::size_t slots_max);
    SecretArena(const SecretArena&) = delete;
    SecretArena& operator=(const SecretArena&) = delete;
    ~SecretArena();

    [[nodiscard]] std::size_t slot_bytes() const noexcept { return slot_bytes_; }

    [[nodiscard]] std::size_t slots_free() const noexcept { return free_.size() + (slots_max_ - touched_); }

    /// False when the limits of the process left some of the memory in use open to swapping.
    [[nodiscard]] bool is_locked() const noexcept { return is_locked_; }

private:
    friend class Secret;
    std::span<char> take();
    void lock_up_to(std::size_t bytes) noexcept;
    void give_back(std::span<char> slot, std::size_t used) noexcept;

    std::size_t slot_bytes_;
    std::size_t slots_max_;
    std::size_t touched_ = 0; ///< slots handed out at least once, from the start of the memory
    std::size_t locked_ = 0;  ///< bytes that were locked, or tried, from the start of the memory
    std::span<char> memory_;
    std::vector<char*> free_;
    bool is_locked_ = true;
};

} // namespace postern
