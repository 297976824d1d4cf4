// SPDX-License-Identifier: BSD-2-Clause
#include "tools/text_table.hpp"

#include <algorithm>
#include <cassert>
#include <string_view>
#include <utility>

namespace postern {

namespace {

/// Of UTF-8: bytes that continue a character take no room.
std::size_t width_of(std::string_view text)
{
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U; }));
}

} // namespace

TextTable::TextTable(std::vector<Column> columns)
{
    std::vector<std::string>& titles = rows_.emplace_back();
    for (Column& column : columns) {
        titles.push_back(std::move(column.title));
        aligns_.push_back(column.align);
    }
}

void TextTable::add(std::vector<std::string> row)
{
    assert(row.size() == aligns_.size());
    rows_.push_back(std::move(row));
}

std::string TextTable::text() const
{
    std::vector<std::size_t> widths(aligns_.size());
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width_of(row[i]));
    std::string text;
    for (const auto& row : rows_) {
        std::string line;
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string blanks(widths[i] - width_of(row[i]), ' ');
            line += (i > 0 ? "  " : "") + (aligns_[i] == Align::left ? row[i] + blanks : blanks + row[i]);
        }
        line.erase(line.find_last_not_of(' ') + 1);
        text += line + '\n';
    }
    return text;
}

} // namespace postern
