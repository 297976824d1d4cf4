// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_reader.hpp"

#include <catch2/catch.hpp>

using namespace postern;
using namespace std::string_literals;

namespace {

/// The value of the one key in the one section, byte for byte.
std::string value_of(const std::string& line)
{
    const std::string text = "[backend x]\n" + line;
    const ConfigText read = read_config_text(text);
    REQUIRE(read.problems.empty());
    REQUIRE(read.sections.size() == 1);
    REQUIRE(read.sections[0].entries.size() == 1);
    return std::string{read.sections[0].entries[0].value};
}

/// "LINE [section] key: text", a line for each.
std::string problems_of(const std::string& text)
{
    std::string lines;
    for (const ConfigProblem& problem : read_config_text(text).problems)
        lines += std::to_string(problem.line) + " [" + problem.section + "] " + problem.key + ": " +
                 problem.text + '\n';
    return lines;
}

} // namespace

TEST_CASE("a file is sections with keys and values, each with its line", "[config]")
{
    const std::string text = "# a comment\n"
                             "; another\n"
                             "\n"
                             "[daemon]\n"
                             "user = postern\n"
                             "  \t # and one more\n"
                             "  [ listener   postfix ]  \r\n"
                             "socket=/run/mux\r\n"
                             "next_on \t local = rejected";
    const ConfigText read = read_config_text(text);
    CHECK(read.problems.empty());
    REQUIRE(read.sections.size() == 2);
    CHECK(read.sections[0].title() == "daemon");
    CHECK(read.sections[0].line == 4);
    CHECK(read.sections[0].find("user")->line == 5);
    CHECK(read.sections[0].find("user")->value == "postern");
    CHECK(read.sections[0].find("log") == nullptr);
    CHECK(read.sections[1].kind == "listener");
    CHECK(read.sections[1].name == "postfix");
    CHECK(read.sections[1].line == 7);
    CHECK(read.sections[1].find("socket")->value == "/run/mux");
    CHECK(read.sections[1].find("next_on local")->line == 9);
}

TEST_CASE("one blank behind the = belongs to it, and what follows is the value, byte for byte", "[config]")
{
    const auto [line, value] = GENERATE(table<std::string, std::string>({
        {"key = value", "value"},
        {"key=value", "value"},
        {"key =\tvalue", "value"},
        {"  key  = value", "value"},
        {"key =  two blanks and behind  ", " two blanks and behind  "},
        {"key = a # no comment", "a # no comment"},
        {"key = # no comment", "# no comment"},
        {"key = ; = [x]", "; = [x]"},
        {"key = \"quoted\" 'twice'", "\"quoted\" 'twice'"},
        {"key = \\n", "\\n"},
        {"key = \xff\x01\x7f", "\xff\x01\x7f"},
        {"key = in\rside\r\n", "in\rside"},
        {"key = two ends\r\r\n", "two ends\r"},
        {"key = ", ""},
        {"key =", ""},
        {"key", "none"},
    }));
    CAPTURE(line);
    if (value != "none")
        CHECK(value_of(line) == value);
    else
        CHECK_FALSE(problems_of("[x]\n" + line).empty());
}

TEST_CASE("what is no configuration is a problem with its line, and nothing else is lost", "[config]")
{
    const auto [text, problem] = GENERATE(table<std::string, std::string>({
        {"key = value\n", "1 [] key: a [section] was expected before the first key"},
        {"[a]\n\njust words\n", "3 [a] : key = value was expected"},
        {"[a b]\n = value\n", "2 [a b] : a key was expected in front of the ="},
        {"[a]\nx = 1\ny = 1\nx = 2\n", "4 [a] x: this key stands twice"},
        {"[a]\nnext_on  b = 1\nnext_on\tb = 2\n", "3 [a] next_on b: this key stands twice"},
        {"[a]\n[b]\n[ a ]\n", "3 [a] : this section stands twice"},
        {"[a\n", "1 [] : [section] or [section NAME] was expected"},
        {"[]\n", "1 [] : [section] or"},
        {"[", "1 [] : [section] or"},
        {"[a] # comment\n", "1 [] : [section] or"},
        {"[a b c]\n", "1 [] : [section] or"},
        {"[a b/c]\n", "1 [] : [section] or"},
        {"[a " + std::string(65, 'x') + "]\n", "1 [] : [section] or"},
        {"[a]\nx = \0\n"s, "2 [a] : the line holds a NUL byte"},
        {"[a]\n#\0\n"s, "2 [a] : the line holds a NUL byte"},
        {"[a]\nx = " + std::string(64 * 1024, 'x') + "\n", "2 [a] : the line is longer than the 64 KiB"},
        {std::string(1024 * 1024 + 1, '\n'), "0 [] : the file is larger than the 1 MiB"},
    }));
    CAPTURE(text.substr(0, 80));
    CHECK_THAT(problems_of(text), Catch::StartsWith(problem));
    CHECK(read_config_text(text).problems.size() == 1);

    const std::string tail = text.size() > config_file_bytes_max ? "" : "\n[last]\nkey = value\n";
    const std::string longer = text + tail;
    const ConfigText read = read_config_text(longer);
    CHECK(read.problems.size() == 1);
    CHECK((tail.empty() || read.sections.back().find("key") != nullptr));
}

TEST_CASE("the greatest line and the greatest file are read", "[config]")
{
    const std::string line = "x = " + std::string(config_line_bytes_max - 4, 'x') + "\r\n";
    CHECK(value_of(line).size() == config_line_bytes_max - 4);
    std::string text = "[a]\n" + line;
    text.resize(config_file_bytes_max, '\n');
    CHECK(problems_of(text).empty());
}

TEST_CASE("keys below a section that cannot be read belong to no other one", "[config]")
{
    const auto header =
        GENERATE(as<std::string>{}, "[a b c]", "[b\0]"s, "[" + std::string(70'000, 'x') + "]");
    const std::string text = "[a]\nx = 1\n" + header + "\nx = 2\ny = 3\n";
    const ConfigText read = read_config_text(text);
    CHECK(read.problems.size() == 1);
    REQUIRE(read.sections.size() == 1);
    CHECK(read.sections[0].entries.size() == 1);
}

TEST_CASE("no problem shows what may be a part of a password", "[config]")
{
    CHECK_THAT(problems_of("[backend x]\nldap_password hunter2\nhunter2\n= hunter2\n"),
               !Catch::Contains("hunter2"));
    CHECK(problems_of("p hunter2=\n[x]\np: hunter2=\np: hunter2=\n") ==
          "1 [] p: a [section] was expected before the first key\n"
          "4 [x] p: this key stands twice in its section; it was expected once\n");
    CHECK_THAT(problems_of("[backend x]\np = a\np = hunter2\np = hunter2\0\n"s), !Catch::Contains("hunter2"));
}

TEST_CASE("of what stands in front of a = no more is shown than can be no password", "[config]")
{
    CHECK(shown_key("sasldb_path") == "sasldb_path");
    CHECK(shown_key("next_on local") == "next_on local");
    CHECK(shown_key("next_on local hunter2") == "next_on");
    CHECK(shown_key("password hunter2") == "password");
    CHECK(shown_key("password: hunter2") == "password");
    CHECK(shown_key("password:hunter2") == "password");
}
