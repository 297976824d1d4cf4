// SPDX-License-Identifier: BSD-2-Clause
#include "tools/options.hpp"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <catch2/catch.hpp>

namespace postern {

namespace {

using Words = std::vector<std::string>;

/// A command line that can be written to, as a process's own can.
struct CommandLine {
    explicit CommandLine(Words given) : words{std::move(given)}
    {
        for (std::string& word : words)
            arguments.push_back(word.data());
    }

    [[nodiscard]] Words left() const { return {arguments.begin(), arguments.end()}; }

    [[nodiscard]] bool shows(std::string_view text) const
    {
        return std::ranges::any_of(
            words, [&](const std::string& word) { return word.find(text) != std::string::npos; });
    }

    Words words;
    std::vector<char*> arguments;
};

OptionRules rules_of_test()
{
    OptionRules rules;
    rules.synopsis = "postern sing -k KEY";
    auto add = rules.options.add_options();
    add("key,k", boost::program_options::value<std::string>(), "in which key");
    add("loud,l", boost::program_options::bool_switch(), "so that all hear it");
    return rules;
}

bool is_refused(Words words)
{
    try {
        static_cast<void>(parse_options(rules_of_test(), CommandLine{std::move(words)}.arguments));
        return false;
    } catch (const UsageError&) {
        return true;
    }
}

} // namespace

TEST_CASE("a password is taken out of the command line and wiped in it, however it is written", "[options]")
{
    const auto [given, left] = GENERATE(table<Words, Words>({
        {{"-p", "hush"}, {}},
        {{"-phush"}, {}},
        {{"--password", "hush"}, {}},
        {{"--password=hush"}, {}},
        {{"-u", "alice", "-p", "hush", "-s", "smtp"}, {"-u", "alice", "-s", "smtp"}},
        {{"-p", "first", "-p", "hush"}, {}},
        {{"--user=alice", "-h", "-p", "hush"}, {"--user=alice", "-h"}},
        {{"--loud", "-p", "hush"}, {"--loud"}},
        {{"-l", "--password", "hush", "--loud"}, {"-l", "--loud"}},
        {{"-p", "hush", "--", "-p", "file"}, {"--", "-p", "file"}},
    }));
    CAPTURE(given);
    SecretArena secrets{64, 2};
    CommandLine line{given};
    const auto password = take_password(line.arguments, rules_of_test().options, secrets);
    REQUIRE(password);
    CHECK(password->view() == "hush");
    CHECK(line.left() == left);
    CHECK_FALSE(line.shows("hush"));
    CHECK_FALSE(line.shows("first"));
}

TEST_CASE("a password may be empty or look like a flag", "[options]")
{
    SecretArena secrets{64, 1};
    const std::string password = GENERATE("", "-u", "-", "--", "--password=x");
    CommandLine line{{"-p", password}};
    CHECK(take_password(line.arguments, rules_of_test().options, secrets)->view() == password);
}

TEST_CASE("what is no password stays in the command line", "[options]")
{
    SecretArena secrets{64, 1};
    CommandLine line{
        GENERATE(Words{"-u", "-p"}, Words{"--user", "-phush"}, Words{"-u", "alice"}, Words{"-p"}, Words{})};
    const Words before = line.left();
    CHECK_FALSE(take_password(line.arguments, rules_of_test().options, secrets));
    CHECK(line.left() == before);
}

TEST_CASE("a password over the longest is refused without being shown", "[options]")
{
    SecretArena secrets{64, 1};
    CommandLine line{{"-p", std::string(65, 'x')}};
    CHECK_THROWS_WITH(take_password(line.arguments, rules_of_test().options, secrets),
                      "the password is longer than 64 bytes");
}

TEST_CASE("options are not guessed, and stray words are refused", "[options]")
{
    CHECK(is_refused({"--ke", "c"}));
    CHECK(is_refused({"-x"}));
    CHECK(is_refused({"-k"}));
    CHECK(is_refused({"-k", "c", "stray"}));
    CHECK_FALSE(is_refused({"-k", "c"}));
    CHECK_FALSE(is_refused({"--key=c"}));
}

TEST_CASE("an option with a typing error is answered with the one that was meant", "[options]")
{
    CHECK_THROWS_WITH(parse_options(rules_of_test(), CommandLine{{"--kez", "c"}}.arguments),
                      Catch::Contains("did you mean --key?"));
}

TEST_CASE("an option with a typing error is answered without its value, which may be a password", "[options]")
{
    const auto [typed, said] = GENERATE(table<std::string, std::string>({
        {"--kez=hunter2", "unknown option --kez; did you mean --key?"},
        {"--passwrod=hunter2", "unknown option --passwrod"},
        {"-Phunter2", "unknown option -P"},
    }));
    CHECK_THROWS_WITH(parse_options(rules_of_test(), CommandLine{{typed}}.arguments),
                      said + "\nusage: postern sing -k KEY");
}

} // namespace postern
