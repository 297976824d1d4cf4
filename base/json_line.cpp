// SPDX-License-Identifier: BSD-2-Clause
//
// A byte takes up to six in JSON, and which ones do is known to the library alone. So what is too long is
// written again with shorter texts, and only strangers who send such bytes cost that.
#include "base/json_line.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>

namespace postern {

namespace {

using Json = nlohmann::ordered_json; ///< in the order of the fields

/// Not within a character.
std::string cut(std::string_view text, std::size_t bytes_max)
{
    if (text.size() <= bytes_max)
        return std::string{text};
    constexpr std::size_t continuations_max = 3;
    std::size_t end = bytes_max;
    while (end > 0 && bytes_max - end < continuations_max &&
           (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
        --end;
    return std::string{text.substr(0, end)} + "...";
}

std::string line_of(std::span<const JsonField> fields, std::size_t text_bytes)
{
    Json object = Json::object();
    for (const JsonField& field : fields)
        std::visit(
            [&](const auto& value) {
                using Value = std::remove_cvref_t<decltype(value)>;
                Json& member = object[std::string{field.name}];
                if constexpr (std::is_same_v<Value, std::string_view>)
                    member = cut(value, text_bytes);
                else if constexpr (!std::is_same_v<Value, std::monostate>)
                    member = value;
            },
            field.value);
    constexpr bool is_ascii = true;
    return object.dump(-1, ' ', is_ascii, Json::error_handler_t::replace);
}

} // namespace

std::string json_line(std::span<const JsonField> fields, std::size_t bytes_max, std::size_t text_bytes_max)
{
    std::size_t text_bytes = text_bytes_max;
    std::string line = line_of(fields, text_bytes);
    while (line.size() > bytes_max && text_bytes > 0) {
        text_bytes /= 2;
        line = line_of(fields, text_bytes);
    }
    return line;
}

} // namespace postern
