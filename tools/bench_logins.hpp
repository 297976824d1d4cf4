// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// The numbers of users, both ends among them.
struct NumberRange {
    std::uint64_t first = 0;
    std::uint64_t last = 0;

    [[nodiscard]] std::uint64_t size() const noexcept { return last - first + 1; }

    bool operator==(const NumberRange&) const = default;
};

/// "1-1000"; nothing when it is none. The last number is below 2^62.
[[nodiscard]] std::optional<NumberRange> number_range(std::string_view text);

/// A login of a load: who, and whether his password is the right one.
struct BenchLogin {
    std::string user;
    bool is_right = true;
};

/// Who logs in, one after the other: the same whenever it is asked for the same number.
class BenchLogins {
public:
    static constexpr std::string_view place = "%d"; ///< of the number, in a pattern

    /// `wrong_percent` is at most 100. Of a pattern without a place, or without a range, all logins are of
    /// one user.
    BenchLogins(std::string_view pattern, std::optional<NumberRange> range, unsigned wrong_percent);

    /// The users come in turn. The wrong passwords are spread evenly over time and over the users.
    [[nodiscard]] BenchLogin at(std::uint64_t number) const;

private:
    std::string before_; ///< the number
    std::string behind_;
    bool has_place_;
    NumberRange range_;
    std::uint64_t wrong_below_; ///< of 2^32
};

} // namespace postern
