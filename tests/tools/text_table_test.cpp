// SPDX-License-Identifier: BSD-2-Clause
#include "tools/text_table.hpp"

#include <catch2/catch.hpp>

namespace postern {

TEST_CASE("columns are as wide as what is in them, words to the left and numbers to the right",
          "[text_table]")
{
    TextTable table{{{"NAME", {}}, {"COUNT", TextTable::Align::right}, {"PLACE", {}}}};
    table.add({"a", "1", "here"});
    table.add({"longer", "1234567", ""});
    CHECK(table.text() == "NAME      COUNT  PLACE\n"
                          "a             1  here\n"
                          "longer  1234567\n");
}

TEST_CASE("a character takes the room of one, however many bytes it has", "[text_table]")
{
    TextTable table{{{"N", {}}, {"X", {}}}};
    table.add({"c\u00e9", "1"});
    table.add({"abc", "2"});
    CHECK(table.text() == "N    X\n"
                          "c\u00e9   1\n"
                          "abc  2\n");
}

TEST_CASE("a table without rows is its titles", "[text_table]")
{
    CHECK(TextTable{{{"NAME", {}}, {"COUNT", TextTable::Align::right}}}.text() == "NAME  COUNT\n");
}

} // namespace postern
