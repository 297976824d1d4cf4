// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/imap_dialogue.hpp"
#include "tests/support/imap_conversation.hpp"

#include <catch2/catch.hpp>
#include <optional>
#include <sstream>

using namespace postern;
using imap::Dialogue;
using imap::StartTls;

namespace {

struct Credentials {
    std::string user = "alice";
    std::string password = "s3cret";
};

/// What both sides say: each line begins with its side, and ends in CR LF on the wire. "TLS" is the
/// handshake.
struct Transcript {
    explicit Transcript(const std::string& text)
    {
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            line.erase(0, line.find_first_not_of(' '));
            if (line.starts_with("S: "))
                turn().said += line.substr(3) + "\r\n";
            else if (line.starts_with("C: "))
                turns.back().answered += line.substr(3) + "\r\n";
            else if (line == "TLS")
                turns.back().answered += "TLS\r\n";
        }
    }

    struct Turn {
        std::string said;
        std::string answered;
    };
    std::vector<Turn> turns;

private:
    /// The server says more only in a turn that nothing was answered to yet.
    Turn& turn()
    {
        if (turns.empty() || !turns.back().answered.empty())
            turns.emplace_back();
        return turns.back();
    }
};

/// Nothing when there is no decision yet.
std::optional<Decision> decision_of(Dialogue& dialogue)
{
    if (dialogue.wants() != Dialogue::Wants::nothing)
        return {};
    return dialogue.decision();
}

/// Plays the server's side in pieces of `piece_bytes`, and checks ours.
std::optional<Decision> play(const Transcript& transcript, StartTls start_tls, const Credentials& login,
                             std::size_t piece_bytes)
{
    CAPTURE(piece_bytes);
    ImapConversation conversation{start_tls, login.user, login.password};
    for (const auto& [said, answered] : transcript.turns) {
        conversation.hear(said, piece_bytes);
        CHECK(conversation.take_sent() == answered);
    }
    return decision_of(conversation.dialogue());
}

/// The same decision whatever the pieces are: all at once, each byte alone, and every size between.
std::optional<Decision> converse(const std::string& text, StartTls start_tls = StartTls::no,
                                 const Credentials& login = {})
{
    const Transcript transcript{text};
    std::size_t longest = 1;
    for (const auto& turn : transcript.turns)
        longest = std::max(longest, turn.said.size());
    const auto whole = play(transcript, start_tls, login, longest);
    for (std::size_t piece_bytes = 1; piece_bytes < longest; ++piece_bytes) {
        const auto decision = play(transcript, start_tls, login, piece_bytes);
        REQUIRE(decision.has_value() == whole.has_value());
        if (decision) {
            CHECK(decision->verdict == whole->verdict);
            CHECK(decision->reason == whole->reason);
        }
    }
    if (whole)
        CHECK(whole->reason.find(login.password) == std::string::npos);
    return whole;
}

Verdict verdict(const std::optional<Decision>& decision)
{
    REQUIRE(decision);
    return decision->verdict;
}

std::string outage(const std::optional<Decision>& decision)
{
    CHECK(verdict(decision) == Verdict::unavailable);
    CHECK_FALSE(decision->reason.empty());
    return decision->reason;
}

/// What a server answers to the credentials, behind its tag.
std::optional<Decision> answered(const std::string& lines)
{
    return converse("S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\n"
                    "C: a1 AUTHENTICATE PLAIN AGFsaWNlAHMzY3JldA==\n" +
                    lines);
}

/// The name is taken at once where the capabilities have `words`.
std::string greeting(const std::string& words)
{
    return "S: * OK [CAPABILITY IMAP4rev1" + words + "] hello\n";
}

} // namespace

TEST_CASE("a server that tells its capabilities in the greeting is asked at once", "[imap]")
{
    CHECK(verdict(converse(R"(
        S: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=LOGIN] hello
        C: a1 AUTHENTICATE PLAIN AGFsaWNlAHMzY3JldA==
        S: * CAPABILITY IMAP4rev1 IDLE
        S: a1 OK Logged in
    )")) == Verdict::accepted);
}

TEST_CASE("a server that tells nothing in the greeting is asked for its capabilities", "[imap]")
{
    CHECK(verdict(converse(R"(
        S: * OK hello
        C: a1 CAPABILITY
        S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR
        S: a1 OK done
        C: a2 AUTHENTICATE PLAIN AGFsaWNlAHMzY3JldA==
        S: a2 NO [AUTHENTICATIONFAILED] no
    )")) == Verdict::rejected);
    CHECK(verdict(converse(R"(
        S: * OK hello
        C: a1 CAPABILITY
        S: a1 OK [CAPABILITY IMAP4rev1] done
        C: a2 LOGIN "alice" "s3cret"
        S: a2 OK welcome
    )")) == Verdict::accepted);
    CHECK(outage(converse(R"(
        S: * OK hello
        C: a1 CAPABILITY
        S: a1 OK done
    )")) == "the server does not tell its capabilities");
    CHECK(outage(converse(R"(
        S: * OK hello
        C: a1 CAPABILITY
        S: a1 BAD what
    )")) == "unexpected from the server: BAD what");
}

TEST_CASE("a server without SASL-IR is told the mechanism first", "[imap]")
{
    CHECK(verdict(converse(greeting(" AUTH=PLAIN") + R"(
        C: a1 AUTHENTICATE PLAIN
        S: + 
        C: AGFsaWNlAHMzY3JldA==
        S: a1 OK welcome
    )")) == Verdict::accepted);
}

TEST_CASE("an initial response that makes a long line is sent in a line of its own", "[imap]")
{
    const std::string password(700, 'p');
    ImapConversation conversation{StartTls::no, "alice", password};
    conversation.hear("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n", 1);
    CHECK(conversation.take_sent() == "a1 AUTHENTICATE PLAIN\r\n");
    conversation.hear("+ \r\n", 1);
    CHECK(conversation.take_sent().size() == (2 + 5 + 700 + 2) / 3 * 4 + 2);
}

TEST_CASE("a server without AUTH=PLAIN gets quoted strings", "[imap]")
{
    CHECK(verdict(converse(greeting("") + R"(
        C: a1 LOGIN "al\"ice" "a \\ and a } {1}"
        S: a1 OK welcome
    )",
                           StartTls::no, {"al\"ice", "a \\ and a } {1}"})) == Verdict::accepted);
}

TEST_CASE("what cannot be quoted is a literal, and a line break in it is one of its bytes", "[imap]")
{
    SECTION("for which the server is waited")
    {
        CHECK(verdict(converse(greeting("") + R"(
            C: a1 LOGIN {5}
            S: + go on
            C: alice {10}
            S: + go on
            C: x
            C: a2 NOOP
            S: a1 NO no
        )",
                               StartTls::no, {"alice", "x\r\na2 NOOP"})) == Verdict::rejected);
    }
    SECTION("or not, where it says so")
    {
        const std::string more = GENERATE(" LITERAL+", " literal-");
        CHECK(verdict(converse(greeting(more) +
                                   "C: a1 LOGIN {5+}\nC: alice {3+}\nC: \xc3\xa9!\nS: a1 OK welcome\n",
                               StartTls::no, {"alice", "\xc3\xa9!"})) == Verdict::accepted);
    }
    SECTION("but LITERAL- is for short ones")
    {
        ImapConversation conversation{StartTls::no, "alice", "\xff" + std::string(4096, 'p')};
        conversation.hear("* OK [CAPABILITY LITERAL-] hello\r\n", 1000);
        CHECK(conversation.take_sent() == "a1 LOGIN {5}\r\n");
    }
}

TEST_CASE("what IMAP cannot carry is rejected and not sent", "[imap]")
{
    for (const Credentials& login : {Credentials{"alice", ""}, Credentials{"", "s3cret"},
                                     Credentials{"alice", std::string{"s3\0cret", 7}},
                                     Credentials{std::string{"alice\0", 6}, "s3cret"}}) {
        ImapConversation conversation{StartTls::no, login.user, login.password};
        conversation.hear("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n", 1000);
        CHECK(conversation.take_sent().empty());
        CHECK(verdict(decision_of(conversation.dialogue())) == Verdict::rejected);
    }
}

TEST_CASE("a server that forbids LOGIN is not sent a password", "[imap]")
{
    CHECK(outage(converse(greeting(" STARTTLS LOGINDISABLED"))) ==
          "the server does not let us log in without TLS (LOGINDISABLED)");
}

TEST_CASE("capabilities that were told before TLS are forgotten", "[imap]")
{
    CHECK(verdict(converse(R"(
        S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hello
        C: a1 STARTTLS
        S: a1 OK begin
        TLS
        C: a2 CAPABILITY
        S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN
        S: a2 OK done
        C: a3 AUTHENTICATE PLAIN AGFsaWNlAHMzY3JldA==
        S: a3 OK welcome
    )",
                           StartTls::required)) == Verdict::accepted);
}

TEST_CASE("without TLS nothing is sent where it is required", "[imap]")
{
    CHECK(outage(converse(R"(
        S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hello
        C: a1 STARTTLS
        S: a1 NO not today
    )",
                          StartTls::required)) == "the server does not begin TLS: NO");
    CHECK(outage(converse("S: * PREAUTH [CAPABILITY IMAP4rev1] hello\n", StartTls::required))
              .starts_with("the server lets everybody in"));
}

TEST_CASE("what came in behind the answer to STARTTLS is not taken for what came under TLS", "[imap]")
{
    CHECK(outage(converse(R"(
        S: * OK hello
        C: a1 STARTTLS
        S: a1 OK begin
        S: a2 OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] injected
    )",
                          StartTls::required)) ==
          "the server sent something between its answer to STARTTLS and TLS");
}

TEST_CASE("a greeting that is none is an outage", "[imap]")
{
    const std::string line =
        GENERATE(as<std::string>{}, "* BYE too many connections", "* NO go away", "OK hello", "* BAD",
                 "a1 OK hello", "220 mail ESMTP", "", "* OKAY", "*OK", "+ OK");
    CHECK(outage(converse("S: " + line + "\n")) == "unexpected from the server: " + line);
}

TEST_CASE("a server that lets everybody in accepts nobody", "[imap]")
{
    CHECK(outage(converse("S: * PREAUTH hello\n")).find("PREAUTH") != std::string::npos);
}

TEST_CASE("untagged lines are skipped, whatever they say", "[imap]")
{
    CHECK(verdict(answered(R"(
        S: * OK [ALERT] the disk is full
        S: * NO [ALERT] really
        S: * 5 EXISTS
        S: * a1 OK
        S: * CAPABILITY LOGINDISABLED
        S: a1 ok
    )")) == Verdict::accepted);
}

TEST_CASE("only the whole tag, a blank and OK let somebody in", "[imap]")
{
    const auto line = GENERATE(as<std::string>{}, "a1 OKAY", "a1  OK", "a1OK", "a1ok", "A1 OK", "a12 OK",
                               "a01 OK", "a OK", "a1\tOK", " a1 OK", "OK", "a1", "a1 ", "a1 \"OK\"", "a1 N",
                               "* a1 OK\nS: * BYE", "{10}", "a1 PREAUTH", "a2 OK");
    const std::string reason = outage(answered("S: " + line + "\n"));
    CHECK(reason.find("OK") == std::string::npos);
}

TEST_CASE("OK may be written in any way and have anything behind it", "[imap]")
{
    const auto line = GENERATE(as<std::string>{}, "a1 OK", "a1 ok", "a1 Ok [CAPABILITY IMAP4rev1] welcome",
                               "a1 OK ", "a1 oK [");
    CHECK(verdict(answered("S: " + line + "\n")) == Verdict::accepted);
}

TEST_CASE("a line that is not whole decides nothing", "[imap]")
{
    ImapConversation conversation{StartTls::no, "alice", "s3cret"};
    conversation.hear("* OK [CAPABILITY AUTH=PLAIN SASL-IR] hello\r\n", 1000);
    conversation.hear("a1 OK welcome", 1000);
    CHECK_FALSE(decision_of(conversation.dialogue()));
    conversation.dialogue().end_of_stream();
    CHECK(outage(decision_of(conversation.dialogue())) ==
          "the server closed the connection in the middle of a line");
}

TEST_CASE("the end of the connection is an outage, wherever it comes", "[imap]")
{
    ImapConversation conversation{StartTls::required, "alice", "s3cret"};
    const std::vector<std::string> turns{"", "* OK hello\r\n", "a1 OK begin\r\n",
                                         "* CAPABILITY AUTH=PLAIN\r\na2 OK\r\n", "+ \r\n"};
    const std::size_t last = GENERATE(range(0, 5));
    for (std::size_t i = 0; i <= last; ++i)
        conversation.hear(turns[i], 1000);
    conversation.dialogue().end_of_stream();
    CHECK(outage(decision_of(conversation.dialogue())).starts_with("the server closed the connection"));
}

TEST_CASE("why a server says NO decides what it means", "[imap]")
{
    const auto [code, expected, was_right] = GENERATE(table<std::string, Verdict, bool>({
        {"", Verdict::rejected, false},
        {"[ALERT]", Verdict::rejected, false},
        {"[AUTHENTICATIONFAILED]", Verdict::rejected, false},
        {"[SOMETHING-NEW with arguments]", Verdict::rejected, false},
        {"[UNAVAILABLE", Verdict::rejected, false}, // no code
        {"[AUTHORIZATIONFAILED]", Verdict::barred, true},
        {"[EXPIRED]", Verdict::barred, false},
        {"[CONTACTADMIN]", Verdict::barred, false},
        {"[UNAVAILABLE]", Verdict::unavailable, false},
        {"[unavailable]", Verdict::unavailable, false},
        {"[SERVERBUG]", Verdict::unavailable, false},
        {"[INUSE]", Verdict::unavailable, false},
        {"[LIMIT]", Verdict::unavailable, false},
        {"[PRIVACYREQUIRED]", Verdict::unavailable, false},
        {"[REFERRAL imap://alice@other/]", Verdict::unavailable, false},
    }));
    CAPTURE(code);
    const auto decision = answered("S: a1 NO " + code + " so it is\n");
    CHECK(verdict(decision) == expected);
    CHECK(decision->password_was_right == was_right);
}

TEST_CASE("BAD and BYE are no wrong password", "[imap]")
{
    CHECK(outage(answered("S: a1 BAD s3cret\n")) == "the server answered BAD");
    CHECK(outage(answered("S: * BYE s3cret\nS: a1 NO\n")) == "unexpected from the server: BYE");
    CHECK(outage(answered("S: * BAD s3cret\n")) == "unexpected from the server: BAD");
}

TEST_CASE("a server that sends back what it got gives nothing away", "[imap]")
{
    for (const char* const line :
         {"S: s3cret", "S: a1 s3cret", "S: a1 NO [s3cret]", "S: * BYE [s3cret] s3cret",
          "S: a1 NO [UNAVAILABLE s3cret] s3cret", "S: + s3cret"})
        CHECK(answered(line)); // converse() looks into the reason
}

TEST_CASE("who answers before the password was sent has not looked at it", "[imap]")
{
    const auto answer = GENERATE(as<std::string>{}, "OK", "NO", "BAD", "NO [AUTHENTICATIONFAILED]");
    CHECK(outage(converse(greeting(" AUTH=PLAIN") + "C: a1 AUTHENTICATE PLAIN\nS: a1 " + answer + "\n")) ==
          "the server answered the login before it had the password: " + answer);
    const Credentials with_line_break{"alice", "x\ny"};
    CHECK(outage(converse(greeting("") + "C: a1 LOGIN {5}\nS: a1 " + answer + "\n", StartTls::no,
                          with_line_break))
              .find("before") != std::string::npos);
    CHECK(outage(converse(greeting("") + "C: a1 LOGIN {5}\nS: +\nC: alice {3}\nS: a1 " + answer + "\n",
                          StartTls::no, with_line_break))
              .find("before") != std::string::npos);
}

TEST_CASE("who asks for more than there is gets nothing", "[imap]")
{
    CHECK(outage(answered("S: + \n")).starts_with("the server asked for more"));
    CHECK(outage(converse(greeting(" AUTH=PLAIN") + R"(
        C: a1 AUTHENTICATE PLAIN
        S: +
        C: AGFsaWNlAHMzY3JldA==
        S: +
    )"))
              .starts_with("the server asked for more"));
    CHECK(
        outage(converse("S: * OK hello\nC: a1 CAPABILITY\nS: +\n")).starts_with("the server asked for more"));
}

TEST_CASE("nobody can answer what was not asked yet", "[imap]")
{
    CHECK(
        outage(converse("S: * OK hello\nS: a1 OK [CAPABILITY AUTH=PLAIN]\n")).starts_with("unexpected from"));
    CHECK(outage(converse("S: * OK hello\nS: a1 OK begin\n", StartTls::required))
              .starts_with("unexpected from"));
    CHECK(outage(converse(greeting(" AUTH=PLAIN") + "S: + \n")).starts_with("the server asked for more"));
}

TEST_CASE("capabilities that change during a login change nothing about it", "[imap]")
{
    CHECK(verdict(converse(greeting(" AUTH=PLAIN") + R"(
        C: a1 AUTHENTICATE PLAIN
        S: * CAPABILITY IMAP4rev1
        S: +
        C: AGFsaWNlAHMzY3JldA==
        S: a1 OK
    )")) == Verdict::accepted);
}

TEST_CASE("data in a line of its own cannot be an answer", "[imap]")
{
    CHECK(outage(answered("S: * ID (\"a\" {7}\nS: a1 OK x\n")) ==
          "the server sent data that nobody asked for");
    CHECK(outage(answered("S: * X " + std::string(imap::line_bytes_max, 'x') + "{7}\nS: a1 OK x\n")
                     .value_or(Decision{Verdict::accepted, ""})) ==
          "the server sent data that nobody asked for");
}

TEST_CASE("a long line is read to its end", "[imap]")
{
    const std::string text(20'000, 'x');
    ImapConversation conversation{StartTls::no, "alice", "s3cret"};
    const std::size_t piece_bytes = GENERATE(1, 4096, 100'000);
    conversation.hear("* OK [CAPABILITY AUTH=PLAIN SASL-IR] " + text + "\r\n", piece_bytes);
    conversation.hear("* NO " + text + "a1 OK\r\n", piece_bytes);
    CHECK_FALSE(decision_of(conversation.dialogue()));
    conversation.hear("a1 OK " + text, piece_bytes);
    CHECK_FALSE(decision_of(conversation.dialogue()));
    conversation.hear("\r\n", piece_bytes);
    CHECK(verdict(decision_of(conversation.dialogue())) == Verdict::accepted);
}

TEST_CASE("a server that sends without end is an outage", "[imap]")
{
    const std::size_t piece_bytes = GENERATE(1, 1000, 2'000'000);
    const std::string what = GENERATE(std::string(1'000'000, 'x'), std::string(1'000'000, '\0'), [] {
        std::string lines;
        while (lines.size() < 1'000'000)
            lines += "* OK still there\r\n";
        return lines;
    }());
    ImapConversation conversation{StartTls::no, "alice", "s3cret"};
    conversation.hear("* OK [CAPABILITY AUTH=PLAIN SASL-IR] hello\r\n", 1000);
    conversation.hear(what, piece_bytes);
    CHECK(outage(decision_of(conversation.dialogue())) == "the server sends without end");
}

TEST_CASE("a list of capabilities that does not fit is not read in part", "[imap]")
{
    ImapConversation conversation{StartTls::no, "alice", "s3cret"};
    conversation.hear("* OK hello\r\n", 1000);
    conversation.hear("* CAPABILITY IMAP4rev1" + std::string(9000, ' ') + "LOGINDISABLED\r\n", 1000);
    CHECK(outage(decision_of(conversation.dialogue())) == "the server's list of capabilities is too long");
}

TEST_CASE("a server that says good-bye to a connection in waiting is noticed", "[imap]")
{
    Dialogue dialogue{"a", StartTls::no};
    dialogue.receive("* OK [CAPABILITY AUTH=PLAIN] hello\r\n");
    CHECK(dialogue.wants() == Dialogue::Wants::credentials);
    dialogue.receive("* OK still there\r\n");
    CHECK(dialogue.wants() == Dialogue::Wants::credentials);
    dialogue.receive("* BYE Disconnected for inactivity.\r\n");
    CHECK(dialogue.wants() == Dialogue::Wants::nothing);
    CHECK(outage(decision_of(dialogue)) == "unexpected from the server: * BYE Disconnected for inactivity.");
}

TEST_CASE("what does not fit the caller's memory is not sent in part", "[imap]")
{
    Dialogue dialogue{"a", StartTls::no};
    dialogue.receive("* OK [CAPABILITY SASL-IR AUTH=PLAIN] hello\r\n");
    dialogue.log_in("alice", "s3cret");
    std::string memory(40, '\0');
    CHECK_THROWS_AS(dialogue.outgoing(memory), std::length_error);
}
