// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace postern {

/// A member of an object: nothing (null), a choice, a number, or a text.
struct JsonField {
    std::string_view name;
    std::variant<std::monostate, bool, std::uint64_t, double, std::string_view> value;
};

/// The object of these fields (RFC 8259) in one line of ASCII, without a newline. A text that is longer than
/// `text_bytes_max` is cut, with "..." behind it, and so are others as long as the line is longer than
/// `bytes_max`. Bytes of a text that are not UTF-8 become U+FFFD: what strangers send may stand in it.
[[nodiscard]] std::string json_line(std::span<const JsonField> fields, std::size_t bytes_max,
                                    std::size_t text_bytes_max = 2048);

} // namespace postern
