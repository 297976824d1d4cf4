// SPDX-License-Identifier: BSD-2-Clause
#include "backends/stores/lmdb_snapshot.hpp"
#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_reader.hpp"
#include "backends/stores/scram_verifier.hpp"
#include "tests/support/sasldb_tools.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/typist.hpp"
#include "tools/passwd.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <iterator>

namespace postern {

namespace {

using namespace std::chrono_literals;

struct Passwd {
    TemporaryDirectory directory;
    std::string file = directory.file("sasldb2");

    [[nodiscard]] ProgramRun run(std::string_view input, std::vector<std::string> arguments) const
    {
        arguments.insert(arguments.begin(), {"postern", "passwd", "-f", file});
        return run_program(POSTERN_PROGRAM, arguments, input);
    }

    /// Whether what is stored is a verifier of that password.
    [[nodiscard]] bool verifies(const std::string& user, const std::string& realm,
                                const std::string& password) const
    {
        SecretArena secrets{2048, 1};
        const auto verifier = ScramVerifier::parse(stored(user, realm));
        return verifier && verifier->hash() == ScramHash::sha256 &&
               verifier->matches(Secret{secrets, password});
    }

    /// The password as it is, its verifier or its hash.
    [[nodiscard]] std::string stored(const std::string& user, const std::string& realm) const
    {
        SecretArena secrets{2048, 1};
        SasldbReader reader{file};
        const auto credential = reader.credential(user, realm, secrets);
        return credential ? std::string{credential->bytes.view()} : "none";
    }
};

/// `postern passwd` with a password for alice, while it runs.
class Waiting {
public:
    explicit Waiting(const std::string& file)
        : typed_{check(::memfd_create("typed", MFD_CLOEXEC), "memfd_create")}
        , pid_{start(file)}
        , ended_{check(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)), "pidfd_open")}
    {
    }

    Waiting(Waiting&&) = delete;

    ~Waiting()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    /// Waits until the program has that file in its memory. False when it ends before.
    [[nodiscard]] bool has_mapped(const std::string& path) const
    {
        while (!has_ended_within(1ms)) {
            std::ifstream maps{"/proc/" + std::to_string(pid_) + "/maps"};
            if (std::string{std::istreambuf_iterator<char>{maps}, {}}.find(path) != std::string::npos)
                return true;
        }
        return false;
    }

    [[nodiscard]] bool ends_by(int signal) const
    {
        check(::kill(pid_, signal), "kill");
        return has_ended_within(1min); // or else never
    }

private:
    [[nodiscard]] pid_t start(const std::string& file) const
    {
        check(::pwrite(typed_.get(), "changed\n", 8, 0), "pwrite");
        const pid_t child = check(::fork(), "fork");
        if (child != 0)
            return child;
        ::dup2(typed_.get(), STDIN_FILENO);
        ::execl(POSTERN_PROGRAM, "postern", "passwd", "-f", file.c_str(), "alice@example.org", nullptr);
        ::_exit(127);
    }

    [[nodiscard]] bool has_ended_within(std::chrono::milliseconds time) const
    {
        pollfd end{ended_.get(), POLLIN, 0};
        return check(::poll(&end, 1, static_cast<int>(time.count())), "poll") == 1;
    }

    UniqueFd typed_;
    pid_t pid_;
    UniqueFd ended_; ///< a pidfd
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

TEST_CASE("passwd creates, then changes, and says which and in which form", "[passwd]")
{
    Passwd passwd;
    const auto [flags, said, property] = GENERATE(table<std::vector<std::string>, std::string, std::string>({
        {{}, ", as a SCRAM-SHA-256 verifier\n", "authPassword"},
        {{"--scram"}, ", as a SCRAM-SHA-256 verifier\n", "authPassword"},
        {{"--argon2"}, ", as an Argon2id hash\n", "posternArgon2id"},
        {{"--plain"}, ", as it is\n", "userPassword"},
    }));
    std::vector<std::string> arguments = flags;
    arguments.emplace_back("alice@example.org");
    CHECK(passwd.run("first\n", arguments) ==
          ProgramRun{0, "alice@example.org: created in " + passwd.file + said, ""});
    arguments.back() = "-u";
    arguments.insert(arguments.end(), {"example.org", "alice"});
    CHECK(passwd.run("second\n", arguments) ==
          ProgramRun{0, "alice@example.org: changed in " + passwd.file + said, ""});
    CHECK(sasldblistusers2(passwd.file) == std::vector<std::string>{"alice@example.org: " + property});
}

TEST_CASE("what passwd keeps is of the password that it was given", "[passwd]")
{
    Passwd passwd;
    CHECK(passwd.run("first\n", {"--plain", "alice@example.org"}).status == 0);
    CHECK(passwd.stored("alice", "example.org") == "first");
    CHECK(passwd.run("second\n", {"alice@example.org"}).status == 0);
    CHECK(passwd.verifies("alice", "example.org", "second"));
    CHECK(passwd.run("third\n", {"--argon2", "alice@example.org"}).status == 0);
    CHECK_THAT(passwd.stored("alice", "example.org"), Catch::StartsWith("$argon2id$"));
    CHECK(passwd.run("fourth\n", {"--scram", "alice@example.org"}).status == 0);
    CHECK(passwd.verifies("alice", "example.org", "fourth"));
}

TEST_CASE("passwd --delete takes a user away, and asks for no password", "[passwd]")
{
    Passwd passwd;
    const std::vector<std::string> kind =
        GENERATE(std::vector<std::string>{}, std::vector<std::string>{"--argon2"},
                 std::vector<std::string>{"--plain"});
    std::vector<std::string> arguments{"alice@example.org"};
    arguments.insert(arguments.begin(), kind.begin(), kind.end());
    CHECK(passwd.run("first\n", arguments).status == 0);
    CHECK(passwd.run("bobs\n", {"bob@example.org"}).status == 0);
    CHECK(passwd.run("", {"--delete", "alice@example.org"}) ==
          ProgramRun{0, "alice@example.org: deleted from " + passwd.file + "\n", ""});
    CHECK(sasldblistusers2(passwd.file) == std::vector<std::string>{"bob@example.org: authPassword"});
    CHECK(passwd.run("", {"--delete", "alice@example.org"}) ==
          ProgramRun{1, "",
                     "postern: " + passwd.file +
                         ": alice@example.org has no password there; nothing was changed\n"});
    CHECK(passwd.verifies("bob", "example.org", "bobs"));
}

TEST_CASE("a password is not made in two forms, nor made and deleted at once", "[passwd]")
{
    Passwd passwd;
    const std::vector<std::string> flags{"--scram", "--argon2", "--plain", "--delete"};
    for (const std::string& one : flags) {
        for (const std::string& other : flags) {
            if (one != other)
                CHECK(passwd.run("first\n", {one, other, "alice@example.org"}).status == 64);
        }
    }
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
    CHECK(passwd.run(input, {"--plain", "alice@example.org"}).status == 0);
    CHECK(passwd.stored("alice", "example.org") == password);
    CHECK(passwd.run(input, {"alice@example.org"}).status == 0);
    CHECK(passwd.verifies("alice", "example.org", password));
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
        CHECK(passwd.verifies("alice", "example.org", "hush hush"));
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

TEST_CASE("passwd can be ended while it waits for another writer of an LMDB file", "[passwd]")
{
    Passwd passwd;
    mdb_load_entry(passwd.file, "alice\\00example.org\\00userPassword", "s3cret");
    {
        const sasldb::LmdbChange other{passwd.file};
        const Waiting waiting{passwd.file};
        REQUIRE(waiting.has_mapped(passwd.file + "-lock"));
        CHECK(waiting.ends_by(SIGTERM));
    }
    CHECK(passwd.stored("alice", "example.org") == "s3cret");
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
