// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/program.hpp"
#include "tests/support/typist.hpp"
#include "tools/password_prompt.hpp"

#include <signal.h>

#include <catch2/catch.hpp>

namespace postern {

namespace {

std::vector<std::string> test_without_password()
{
    return {"postern", "test", "-u", "alice", "-f", "/no/such/socket"};
}

std::string line_of(std::string_view input)
{
    SecretArena secrets{2048, 1};
    return std::string{read_line(detail::file_of(input).get(), secrets).view()};
}

} // namespace

TEST_CASE("a line ends at its newline or with the input", "[password-prompt]")
{
    CHECK(line_of("hush\n") == "hush");
    CHECK(line_of("hush") == "hush");
    CHECK(line_of("hush\nhash\n") == "hush");
    CHECK(line_of("\n").empty());
    CHECK(line_of(std::string(1024, 'x')).size() == 1024);
    CHECK(line_of(std::string(1024, 'x') + "\n").size() == 1024);
    CHECK_THROWS_WITH(line_of(std::string(1025, 'x')), "the password is longer than 1024 bytes");
    CHECK_THROWS_WITH(line_of(""), "no password was given");
}

TEST_CASE("a line that arrives in pieces is one line", "[password-prompt]")
{
    std::array<int, 2> ends{};
    check(::pipe(ends.data()), "pipe");
    const UniqueFd read_end{ends[0]};
    UniqueFd write_end{ends[1]};
    const pid_t writer = check(::fork(), "fork");
    if (writer == 0) {
        for (const char letter : {'h', 'u', 's', 'h', '\n'})
            check(::write(write_end.get(), &letter, 1), "write");
        ::_exit(0);
    }
    write_end.reset();
    SecretArena secrets{2048, 1};
    CHECK(read_line(read_end.get(), secrets).view() == "hush");
    ::waitpid(writer, nullptr, 0);
}

TEST_CASE("what is typed is not shown, and the terminal is afterwards as before", "[password-prompt]")
{
    Typist typist{POSTERN_PROGRAM, test_without_password()};
    REQUIRE(typist.sees("Password: "));
    CHECK_FALSE(typist.sees_own_typing());
    typist.types("hush\n");
    CHECK(typist.waits() == 75);
    CHECK(typist.sees_own_typing());
    CHECK_THAT(typist.screen(), !Catch::Contains("hush"));
}

TEST_CASE("a signal ends the program, and the terminal is afterwards as before", "[password-prompt]")
{
    const auto [key, signal] = GENERATE(table<std::string, int>({{"\x03", SIGINT}, {"\x1c", SIGQUIT}}));
    Typist typist{POSTERN_PROGRAM, test_without_password()};
    REQUIRE(typist.sees("Password: "));
    typist.types("hu" + key);
    CHECK(typist.waits() == 128 + signal);
    CHECK(typist.sees_own_typing());
    CHECK_THAT(typist.screen(), !Catch::Contains("hu"));
}

TEST_CASE("the end of input on a terminal is no password", "[password-prompt]")
{
    Typist typist{POSTERN_PROGRAM, test_without_password()};
    REQUIRE(typist.sees("Password: "));
    typist.types("\x04");
    CHECK(typist.waits() == 1);
    CHECK_THAT(typist.screen(), Catch::Contains("no password was given"));
}

} // namespace postern
