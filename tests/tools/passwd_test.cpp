// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"
#include "tests/support/sasldb_tools.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/typist.hpp"
#include "tools/passwd.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

struct Passwd {
    TemporaryDirectory directory;
    std::string file = directory.file("sasldb2");

    [[nodiscard]] ProgramRun run(std::string_view input, std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), {"postern", "passwd", "-f", file});
        return run_program(POSTERN_PROGRAM, arguments, input);
    }

    /// The password as it is, or its hash.
    [[nodiscard]] std::string stored(const std::string& user, const std::string& realm) const
    {
        SecretArena secrets{2048, 1};
        SasldbReader reader{file};
        const auto credential = reader.credential(user, realm, secrets);
        return credential ? std::string{credential->bytes.view()} : "none";
    }
};

} // namespace

TEST_CASE("a name without a realm is one of this host, and the last @ divides", "[passwd]")
{
    const std::string host = sasldb_default_realm();
    const auto [text, flag, user, realm] =
        GENERATE_COPY(table<std::string, std::string, std::string, std::string>({
            {"alice", "", "alice", host},
            {"alice@", "", "alice", host},
            {"alice@example.org", "", "alice", "example.org"},
            {"alice@here@example.org", "", "alice@here", "example.org"},
            {"alice", "example.org", "alice", "example.org"},
            {"alice@", "example.org", "alice", "example.org"},
        }));
    CAPTURE(text, flag);
    const AccountName name = parse_account_name(text, flag);
    CHECK(name.user == user);
    CHECK(name.realm == realm);
}

TEST_CASE("a name that names nobody, or two realms, is refused", "[passwd]")
{
    CHECK_THROWS_AS(parse_account_name("", ""), UsageError);
    CHECK_THROWS_AS(parse_account_name("@example.org", ""), UsageError);
    CHECK_THROWS_AS(parse_account_name("alice@example.org", "example.net"), UsageError);
}

TEST_CASE("passwd creates, then changes, and says which", "[passwd]")
{
    Passwd passwd;
    CHECK(passwd.run("first\n", {"alice@example.org"}) ==
          ProgramRun{0, "alice@example.org: created in " + passwd.file + "\n", ""});
    CHECK(passwd.run("second\n", {"-u", "example.org", "alice"}) ==
          ProgramRun{0, "alice@example.org: changed in " + passwd.file + "\n", ""});
    CHECK(passwd.stored("alice", "example.org") == "second");
    CHECK(sasldblistusers2(passwd.file) == std::vector<std::string>{"alice@example.org: userPassword"});
}

TEST_CASE("passwd --argon2 keeps a hash in place of the password, and says so", "[passwd]")
{
    Passwd passwd;
    CHECK(passwd.run("first\n", {"alice@example.org"}).status == 0);
    CHECK(passwd.run("second\n", {"--argon2", "alice@example.org"}) ==
          ProgramRun{0, "alice@example.org: changed in " + passwd.file + ", as an Argon2id hash\n", ""});
    CHECK_THAT(passwd.stored("alice", "example.org"), Catch::StartsWith("$argon2id$"));
    CHECK(sasldblistusers2(passwd.file) == std::vector<std::string>{"alice@example.org: posternArgon2id"});
    CHECK(passwd.run("third\n", {"alice@example.org"}) ==
          ProgramRun{0, "alice@example.org: changed in " + passwd.file + "\n", ""});
    CHECK(passwd.stored("alice", "example.org") == "third");
    CHECK(sasldblistusers2(passwd.file) == std::vector<std::string>{"alice@example.org: userPassword"});
}

TEST_CASE("passwd --delete takes a user away, and asks for no password", "[passwd]")
{
    Passwd passwd;
    const std::vector<std::string> kind =
        GENERATE(std::vector<std::string>{}, std::vector<std::string>{"--argon2"});
    std::vector<std::string> arguments{"alice@example.org"};
    arguments.insert(arguments.begin(), kind.begin(), kind.end());
    CHECK(passwd.run("first\n", arguments).status == 0);
    CHECK(passwd.run("bobs\n", {"bob@example.org"}).status == 0);
    CHECK(passwd.run("", {"--delete", "alice@example.org"}) ==
          ProgramRun{0, "alice@example.org: deleted from " + passwd.file + "\n", ""});
    CHECK(sasldblistusers2(passwd.file) == std::vector<std::string>{"bob@example.org: userPassword"});
    CHECK(passwd.run("", {"--delete", "alice@example.org"}) ==
          ProgramRun{1, "",
                     "postern: " + passwd.file +
                         ": alice@example.org has no password there; nothing was changed\n"});
    CHECK(passwd.stored("bob", "example.org") == "bobs");
}

TEST_CASE("a password is not made and deleted at once", "[passwd]")
{
    Passwd passwd;
    CHECK(passwd.run("first\n", {"--argon2", "--delete", "alice@example.org"}).status == 64);
    CHECK(sasldblistusers2(passwd.file).empty());
}

TEST_CASE("one line of a pipe is the password, without its newline and nothing else", "[passwd]")
{
    Passwd passwd;
    const auto [input, password] = GENERATE(table<std::string, std::string>({
        {"plain\n", "plain"},
        {"no newline", "no newline"},
        {"first\nsecond\n", "first"},
        {" blanks \t\n", " blanks \t"},
        {"carriage\r\n", "carriage\r"},
        {std::string(1024, 'x') + "\n", std::string(1024, 'x')},
        {"\xc3\xa9\x80\xff\n", "\xc3\xa9\x80\xff"},
    }));
    CHECK(passwd.run(input, {"alice@example.org"}).status == 0);
    CHECK(passwd.stored("alice", "example.org") == password);
}

TEST_CASE("no password, a NUL or too many bytes are refused, and nothing is made", "[passwd]")
{
    Passwd passwd;
    const std::string input = GENERATE(std::string{""}, std::string{"\n"}, std::string{"a\0b\n", 4},
                                       std::string(1025, 'x'), std::string(100000, 'x'));
    const ProgramRun run = passwd.run(input, {"alice@example.org"});
    CHECK(run.status == 1);
    CHECK(run.output.empty());
    CHECK(run.errors.starts_with("postern: "));
    CHECK(sasldblistusers2(passwd.file).empty());
}

TEST_CASE("passwd asks twice on a terminal and shows neither", "[passwd]")
{
    Passwd passwd;
    Typist typist{POSTERN_PROGRAM, {"postern", "passwd", "-f", passwd.file, "alice@example.org"}};
    REQUIRE(typist.sees("New password for alice@example.org: "));
    typist.types("hush hush\n");
    REQUIRE(typist.sees("Once more: "));

    SECTION("the same password is taken")
    {
        typist.types("hush hush\n");
        CHECK(typist.waits() == 0);
        CHECK(passwd.stored("alice", "example.org") == "hush hush");
    }
    SECTION("another password is an error")
    {
        typist.types("hush hash\n");
        CHECK(typist.waits() == 1);
        CHECK_THAT(typist.screen(), Catch::Contains("the two passwords differ; nothing was changed"));
        CHECK(sasldblistusers2(passwd.file).empty());
    }
    CHECK_THAT(typist.screen(), !Catch::Contains("hush"));
}

TEST_CASE("a file that cannot be written is named with the cause", "[passwd]")
{
    const ProgramRun run =
        run_program(POSTERN_PROGRAM, {"postern", "passwd", "-f", "/no/such/file", "alice"}, "hush\n");
    CHECK(run.status == 1);
    CHECK(run.errors ==
          "postern: /no/such/file: its directory cannot be opened: No such file or directory\n");
}

} // namespace postern
