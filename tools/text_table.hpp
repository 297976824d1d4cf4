// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace postern {

/// Rows of text, aligned: each column as wide as what is in it. Words stand to the left, numbers to the
/// right.
class TextTable {
public:
    enum class Align : std::uint8_t { left, right };

    struct Column {
        std::string title;
        Align align = Align::left;
    };

    explicit TextTable(std::vector<Column> columns);

    /// As many cells as there are columns.
    void add(std::vector<std::string> row);

    /// Whether there is nothing below the titles.
    [[nodiscard]] bool is_empty() const noexcept { return rows_.size() == 1; }

    /// With the titles in the first line; no line ends in a blank.
    [[nodiscard]] std::string text() const;

private:
    std::vector<Align> aligns_;
    std::vector<std::vector<std::string>> rows_;
};

} // namespace postern
