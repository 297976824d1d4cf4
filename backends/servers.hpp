// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// The most servers that a backend may have.
inline constexpr std::size_t servers_max = 32;

/// The longest name that one may have.
inline constexpr std::size_t server_name_bytes_max = 255;

/// Some of a backend's servers, by their places in the list that the admin wrote.
class ServerSet {
public:
    constexpr ServerSet() = default;

    [[nodiscard]] static constexpr ServerSet from_bits(std::uint32_t bits) noexcept
    {
        ServerSet set;
        set.bits_ = bits;
        return set;
    }

    [[nodiscard]] constexpr std::uint32_t bits() const noexcept { return bits_; }

    [[nodiscard]] constexpr bool has(std::size_t server) const noexcept { return (bits_ & bit(server)) != 0; }

    constexpr void add(std::size_t server) noexcept { bits_ |= bit(server); }

    constexpr void remove(std::size_t server) noexcept { bits_ &= ~bit(server); }

    [[nodiscard]] constexpr bool is_empty() const noexcept { return bits_ == 0; }

    bool operator==(const ServerSet&) const = default;

private:
    [[nodiscard]] static constexpr std::uint32_t bit(std::size_t server) noexcept
    {
        return server < servers_max ? std::uint32_t{1} << server : 0;
    }

    std::uint32_t bits_ = 0;
};

/// What a worker knows of the servers that its backend asks, and how much time it has for them.
///
/// Their health is known to all workers together: the front remembers which of them failed, has them probed,
/// and says with each request which to leave alone. A backend asks the others in their order, gives each its
/// share of the time, and tells of those that fail, at once. It keeps no list of its own.
class Servers {
public:
    virtual ~Servers() = default;

    /// Those that failed somebody lately. During a probe: all but the one that is probed.
    [[nodiscard]] virtual ServerSet left_alone() const noexcept = 0;

    /// Until nobody waits for the answer any more; never negative.
    [[nodiscard]] virtual std::chrono::milliseconds time_left() const noexcept = 0;

    /// It could not be asked. `problem` is for the log and the status, and holds no password.
    virtual void failed(std::size_t server, std::string_view problem) noexcept = 0;

    /// The same when it may have been because of who asked: it is probed at once, and left alone until that
    /// is over by those who have another one to ask.
    virtual void doubt(std::size_t server, std::string_view problem) noexcept = 0;
};

/// A list of servers as it is written: with blanks or commas between them.
[[nodiscard]] std::vector<std::string> split_servers(std::string_view list);

/// What one server gets of `time_left` when `others` are to be asked after it in vain, and it alone may have
/// `at_most`.
[[nodiscard]] std::chrono::milliseconds share_of_time(std::chrono::milliseconds time_left, std::size_t others,
                                                      std::chrono::milliseconds at_most) noexcept;

} // namespace postern
