// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/backend_types.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// What a value of a saslauthd.conf comes to.
struct SaslauthdValue {
    std::optional<std::string> value; ///< as check_option() has it; none: it has no effect
    std::string note{};               ///< what differs from saslauthd, or is not what was meant; or empty
};

/// The value behind a key, without the blanks in front of it, read as saslauthd does; of a word the CR at the
/// end of its line is a part. Of lines and of other keys it knows nothing but `before`: what the option has
/// until then, or nothing. Throws ConfigError where the file must be refused, unless a later line counts.
[[nodiscard]] SaslauthdValue read_saslauthd_value(const BackendOption& option, std::string_view text,
                                                  std::string_view before);

/// Says when saslauthd would cut the value, in silence; or empty.
[[nodiscard]] std::string note_of_cut(const BackendOption& option, std::string_view text);

inline constexpr std::string_view saslauthd_blanks = " \t\v\f";

/// Without blanks: at its beginning, or at both ends.
[[nodiscard]] std::string_view without_blanks_in_front(std::string_view text) noexcept;
[[nodiscard]] std::string_view without_blanks(std::string_view text) noexcept;

} // namespace postern
