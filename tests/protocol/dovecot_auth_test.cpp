// SPDX-License-Identifier: BSD-2-Clause
#include "protocol/dovecot_auth.hpp"
#include "protocol/dovecot_client.hpp"
#include "protocol/sasl_mechanism.hpp"
#include "tests/support/dovecot_wire.hpp"

#include <catch2/catch.hpp>
#include <iterator>
#include <sstream>

namespace postern {

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;
using Code = dovecot::Failure::Code;
using Why = dovecot::Broken::Why;
using Strings = std::vector<std::string>;

std::string replaced(std::string text, std::string_view what, std::string_view by)
{
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size()))
        text.replace(at, what.size(), by);
    return text;
}

/// A line as it is written in a transcript: a blank is a TAB, ~ a blank, and ^A the escape byte.
std::string line_wire(const std::string& line)
{
    const std::string bytes = replaced(replaced(line, "(empty)", ""), " ", "\t");
    return replaced(replaced(bytes, "~", " "), "^A", "\1") + "\n";
}

/// What stands behind the colon of "challenge 1: Password:", with its NULs.
std::optional<std::string> data_of(const std::string& said)
{
    const std::size_t colon = said.find(": ");
    if (colon == std::string::npos)
        return std::nullopt;
    return replaced(replaced(said.substr(colon + 2), "(empty)", ""), "^@", "\0"sv);
}

/// The words in front of the colon.
Strings words_of(const std::string& said)
{
    std::istringstream text{said.substr(0, said.find(": "))};
    return {std::istream_iterator<std::string>{text}, {}};
}

std::string word_behind(const Strings& words, std::string_view name)
{
    const auto found = std::ranges::find(words, name);
    return found == words.end() ? "" : *std::next(found);
}

Code code_of(const Strings& words)
{
    static const std::map<std::string, Code> codes{{"", Code::none},
                                                   {"temp_fail", Code::temp_fail},
                                                   {"authz_fail", Code::authz_fail},
                                                   {"invalid_base64", Code::invalid_base64}};
    return codes.at(word_behind(words, "code"));
}

/// What a session says becomes bytes: "challenge 1: Password:", "accept 1 alice", "refuse 1 user alice code
/// temp_fail for now: later". A client hears it in the same words.
std::string reply_wire(const std::string& said)
{
    const Strings words = words_of(said);
    const auto id = static_cast<std::uint32_t>(std::stoul(words.at(1)));
    const auto data = data_of(said);
    std::array<char, dovecot::reply_bytes_max> memory{};
    if (words[0] == "challenge")
        return std::string{dovecot::write_cont(memory, id, data.value())};
    if (words[0] == "accept")
        return std::string{dovecot::write_ok(memory, id, words.at(2), data)};
    REQUIRE(words[0] == "refuse");
    const std::string user = word_behind(words, "user");
    return std::string{
        dovecot::write_fail(memory, id, {user, data ? std::string_view{*data} : ""sv, code_of(words)})};
}

std::string handshake(const std::vector<std::string_view>& names)
{
    std::array<char, dovecot::handshake_bytes_max> memory{};
    return std::string{dovecot::write_handshake(memory, {names,
                                                         4711,
                                                         3,
                                                         {0x87, 0x78, 0x63, 0x39, 0x93, 0x3d, 2, 0x26, 0x40,
                                                          0xfa, 0x7e, 0x1d, 0x75, 0x17, 0xdf, 0x45}})};
}

/// A conversation in reading order. "C:" and "S:" are lines on the wire; "hears:" is what a session then gets
/// to hear, and "says:" what it says.
class Transcript {
public:
    explicit Transcript(const std::string& text)
    {
        std::istringstream lines{text};
        for (std::string line; std::getline(lines, line);) {
            line.erase(0, line.find_first_not_of(' '));
            if (!line.empty())
                steps_.emplace_back(line.substr(0, line.find(": ")), line.substr(line.find(": ") + 2));
            longest_ += line.size();
        }
    }

    /// In pieces of every size: each byte alone, all at once, and everything between.
    void play()
    {
        for (std::size_t piece_bytes = 1; piece_bytes <= longest_; ++piece_bytes) {
            CAPTURE(piece_bytes);
            play(piece_bytes);
        }
    }

private:
    void play(std::size_t piece_bytes)
    {
        piece_bytes_ = piece_bytes;
        server_.emplace();
        client_.emplace();
        REQUIRE(client_->hear(handshake({"PLAIN"}), piece_bytes) == Strings{"greeted"});
        for (const auto& [who, text] : steps_)
            step(who, text);
        listen();
        CHECK(sent_.empty());
    }

    void step(const std::string& who, const std::string& text)
    {
        if (who == "C")
            unheard_ += line_wire(text);
        else if (who == "hears")
            expected_.push_back(text);
        else if (who == "says")
            say(text);
        else if (who == "S") {
            CHECK(sent_.substr(0, sent_.find('\n') + 1) == line_wire(text));
            sent_.erase(0, sent_.find('\n') + 1);
        } else
            FAIL("nobody is called " << who);
    }

    void listen()
    {
        CHECK(server_->hear(unheard_, piece_bytes_) == expected_);
        unheard_.clear();
        expected_.clear();
    }

    void say(const std::string& text)
    {
        listen();
        const std::string reply = reply_wire(text);
        CHECK(client_->hear(reply, piece_bytes_) == Strings{text});
        if (!text.starts_with("challenge"))
            server_->listening.end(static_cast<std::uint32_t>(std::stoul(words_of(text)[1])));
        sent_ += reply;
    }

    std::vector<std::pair<std::string, std::string>> steps_;
    std::size_t longest_ = 1;
    std::size_t piece_bytes_ = 1;
    std::optional<DovecotServer> server_;
    std::optional<DovecotClient> client_;
    std::string unheard_;
    Strings expected_;
    std::string sent_;
};

void converse(const std::string& text)
{
    Transcript{text}.play();
}

/// The rest of a login by PLAIN that brought no response.
const std::string alice_when_asked_by_plain = R"(
    says: challenge 1: (empty)
    S: CONT 1 (empty)
    C: CONT 1 AGFsaWNlAHMzY3JldA==
    hears: continue 1: ^@alice^@s3cret
    says: accept 1 alice
    S: OK 1 user=alice
)";

/// The rest of a login by LOGIN that has brought the name.
const std::string alice_when_asked_for_password = R"(
    says: challenge 1: Password:
    S: CONT 1 UGFzc3dvcmQ6
    C: CONT 1 czNjcmV0
    hears: continue 1: s3cret
    says: accept 1 alice
    S: OK 1 user=alice
)";

/// What a server hears of lines, behind a greeting of that minor version.
Strings heard(const std::string& lines, std::string_view minor = "0")
{
    DovecotServer server;
    const std::string greeting = "VERSION\t1\t" + std::string{minor} + "\nCPID\t4711\n";
    return server.hear(greeting + lines, lines.size() + greeting.size());
}

Strings heard_line(const std::string& line, std::string_view minor = "0")
{
    return heard(line_wire(line), minor);
}

Strings broken(Why why)
{
    return {heard_text(dovecot::Broken{why})};
}

} // namespace

// --- logins as they are on the wire ------------------------------------------------------------------------

TEST_CASE("PLAIN with an initial response, as Postfix sends it", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 3 PLAIN service=smtp nologin lip=10.0.0.1 rip=192.0.2.7 secured resp=AGFsaWNlAHMzY3JldA==
        hears: begin 3 PLAIN smtp from 192.0.2.7 to 10.0.0.1 secured: ^@alice^@s3cret
        says: accept 3 alice
        S: OK 3 user=alice
        C: AUTH 4 PLAIN service=smtp nologin lip=10.0.0.1 rip=192.0.2.7 secured resp=AGFsaWNlAHdyb25n
        hears: begin 4 PLAIN smtp from 192.0.2.7 to 10.0.0.1 secured: ^@alice^@wrong
        says: refuse 4 user alice
        S: FAIL 4 user=alice
    )");
}

TEST_CASE("PLAIN without an initial response is asked for it", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 PLAIN service=smtp nologin lip= rip=
        hears: begin 1 PLAIN smtp
    )" + alice_when_asked_by_plain);
}

TEST_CASE("PLAIN as Exim sends it: all in one piece, and resp= even if there is nothing in it", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 99
        C: AUTH 1 PLAIN service=smtp secured valid-client-cert rip=2001:db8::7 lip=2001:db8::1 nologin resp=
        hears: begin 1 PLAIN smtp from 2001:db8::7 to 2001:db8::1 secured
    )" + alice_when_asked_by_plain);
}

TEST_CASE("LOGIN asks for the name and then for the password", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 LOGIN service=smtp
        hears: begin 1 LOGIN smtp
        says: challenge 1: Username:
        S: CONT 1 VXNlcm5hbWU6
        C: CONT 1 YWxpY2U=
        hears: continue 1: alice
    )" + alice_when_asked_for_password);
}

TEST_CASE("LOGIN with an initial response is asked for the password alone", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 LOGIN service=smtp resp=YWxpY2U=
        hears: begin 1 LOGIN smtp: alice
    )" + alice_when_asked_for_password);
}

TEST_CASE("CRAM-MD5 has its challenge, of any bytes, carried to the client", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 CRAM-MD5 service=smtp
        hears: begin 1 CRAM-MD5 smtp
        says: challenge 1: <1896.697170952@postern.example.org>
        S: CONT 1 PDE4OTYuNjk3MTcwOTUyQHBvc3Rlcm4uZXhhbXBsZS5vcmc+
        C: CONT 1 YWxpY2UgYjkxM2E2MDJjN2VkYTdhNDk1YjRlNmU3MzM0ZDM4OTA=
        hears: continue 1: alice b913a602c7eda7a495b4e6e7334d3890
        says: accept 1 alice
        S: OK 1 user=alice
    )");
}

TEST_CASE("SCRAM's last data is a challenge, which Postfix and Exim answer with nothing", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 10 SCRAM-SHA-256 service=smtp resp=bixhPSxuPWFsaWNlLHI9Yw==
        hears: begin 10 SCRAM-SHA-256 smtp: n,a=,n=alice,r=c
        says: challenge 10: r=cs,s=c2FsdA==,i=4096
        S: CONT 10 cj1jcyxzPWMyRnNkQT09LGk9NDA5Ng==
        C: CONT 10 Yz1iaXdzLHI9Y3MscD1hYmM=
        hears: continue 10: c=biws,r=cs,p=abc
        says: challenge 10: v=def
        S: CONT 10 dj1kZWY=
        C: CONT 10 (empty)
        hears: continue 10: (empty)
        says: accept 10 alice
        S: OK 10 user=alice
    )");
}

TEST_CASE("SCRAM's last data stands in OK for a peer that takes it there", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 2
        C: CPID 4711
        C: AUTH 1 SCRAM-SHA-256 service=imap final-resp-ok resp=bixhPSxuPWFsaWNlLHI9Yw==
        hears: begin 1 SCRAM-SHA-256 imap final-resp-ok: n,a=,n=alice,r=c
        says: challenge 1: r=cs
        S: CONT 1 cj1jcw==
        C: CONT 1 cD1hYmM=
        hears: continue 1: p=abc
        says: accept 1 alice: v=def
        S: OK 1 user=alice resp=dj1kZWY=
    )");
}

TEST_CASE("a refusal in two steps, as OAuth has it, goes through", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 XOAUTH2 service=smtp resp=dXNlcj1hbGljZQ==
        hears: begin 1 XOAUTH2 smtp: user=alice
        says: challenge 1: {"status":"401"}
        S: CONT 1 eyJzdGF0dXMiOiI0MDEifQ==
        C: CONT 1 (empty)
        hears: continue 1: (empty)
        says: refuse 1 user alice
        S: FAIL 1 user=alice
    )");
}

TEST_CASE("requests of one connection may overlap and end in any order", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 2
        C: CPID 4711
        C: AUTH 1 PLAIN service=imap resp=AGFsaWNlAHMzY3JldA==
        C: AUTH 4294967295 LOGIN service=pop3
        hears: begin 1 PLAIN imap: ^@alice^@s3cret
        hears: begin 4294967295 LOGIN pop3
        says: challenge 4294967295: Username:
        S: CONT 4294967295 VXNlcm5hbWU6
        says: accept 1 alice
        S: OK 1 user=alice
        C: CONT 4294967295 Ym9i
        C: CANCEL 4294967295
        hears: continue 4294967295: bob
        hears: cancel 4294967295
    )");
}

TEST_CASE("an id may be used again when its request has ended or was given up", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 PLAIN service=smtp resp=AGFsaWNlAHdyb25n
        hears: begin 1 PLAIN smtp: ^@alice^@wrong
        says: refuse 1 user alice
        S: FAIL 1 user=alice
        C: AUTH 1 PLAIN service=smtp
        C: CANCEL 1
        C: AUTH 1 PLAIN service=smtp
        hears: begin 1 PLAIN smtp
        hears: cancel 1
        hears: begin 1 PLAIN smtp
    )");
}

TEST_CASE("an id that is live cannot begin another request", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 PLAIN service=smtp
        C: AUTH 2 PLAIN service=smtp
        C: AUTH 1 PLAIN service=smtp
        C: AUTH 3 PLAIN service=smtp
        hears: begin 1 PLAIN smtp
        hears: begin 2 PLAIN smtp
        hears: broken: an id is in use already
    )");
}

TEST_CASE("a CONT for a request that is gone is heard, so that it can be failed kindly", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: CONT 7 AGFsaWNlAHMzY3JldA==
        hears: continue 7: ^@alice^@s3cret
        says: refuse 7: Authentication request timed out
        S: FAIL 7 reason=Authentication~request~timed~out
    )");
}

TEST_CASE("a mechanism that was not offered is heard, so that it can be failed kindly", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 GSSAPI service=smtp
        hears: begin 1 GSSAPI smtp
        says: refuse 1: Unsupported authentication mechanism
        S: FAIL 1 reason=Unsupported~authentication~mechanism
    )");
}

TEST_CASE("a response that is no base64 fails its request and not the connection", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 0
        C: CPID 4711
        C: AUTH 1 PLAIN service=smtp resp=not-base64
        C: AUTH 2 PLAIN service=smtp
        C: CONT 2 #
        C: AUTH 3 PLAIN service=smtp resp=AGFsaWNlAHMzY3JldA==
        hears: begin 1 PLAIN smtp: (no base64)
        hears: begin 2 PLAIN smtp
        hears: continue 2: (no base64)
        hears: begin 3 PLAIN smtp: ^@alice^@s3cret
        says: refuse 1 code invalid_base64: Invalid base64 data in initial response
        S: FAIL 1 reason=Invalid~base64~data~in~initial~response code=invalid_base64
        says: accept 3 alice
        S: OK 3 user=alice
    )");
}

TEST_CASE("an outage has a code, and a word for older peers", "[dovecot]")
{
    converse(R"(
        C: VERSION 1 2
        C: CPID 4711
        C: AUTH 1 PLAIN service=imap resp=AGFsaWNlAHMzY3JldA==
        hears: begin 1 PLAIN imap: ^@alice^@s3cret
        says: refuse 1 user alice code temp_fail for now
        S: FAIL 1 user=alice temp code=temp_fail
        C: AUTH 2 PLAIN service=imap resp=Ym9iAGFsaWNlAHMzY3JldA==
        hears: begin 2 PLAIN imap: bob^@alice^@s3cret
        says: refuse 2 user alice code authz_fail
        S: FAIL 2 user=alice authz code=authz_fail
    )");
}

// --- what a peer may say -----------------------------------------------------------------------------------

TEST_CASE("an empty resp= is no response from peers that claim minor 0 or 1, and an empty one from others",
          "[dovecot]")
{
    const auto [minor, text] = GENERATE(table<std::string, std::string>({
        {"0", "begin 1 PLAIN smtp"},
        {"1", "begin 1 PLAIN smtp"},
        {"2", "begin 1 PLAIN smtp: (empty)"},
        {"4", "begin 1 PLAIN smtp: (empty)"},
    }));
    CAPTURE(minor);
    CHECK(heard_line("AUTH 1 PLAIN service=smtp resp=", minor) == Strings{text});
    CHECK(heard_line("AUTH 1 PLAIN service=smtp resp", minor) == Strings{text});
    CHECK(heard_line("AUTH 1 PLAIN service=smtp resp==", minor) == Strings{"begin 1 PLAIN smtp: (empty)"});
    CHECK(heard_line("AUTH 1 PLAIN service=smtp", minor) == Strings{"begin 1 PLAIN smtp"});
}

TEST_CASE("parameters that nobody knows are ignored", "[dovecot]")
{
    CHECK(heard_line("AUTH 1 PLAIN tls_cipher=AES debug service=smtp  =x client_id=(\"a\" real_rip=192.0.2.9 "
                     "ssl_ja3_hash=abc") == Strings{"begin 1 PLAIN smtp"});
}

TEST_CASE("all that a log or a request can use is taken", "[dovecot]")
{
    CHECK(heard_line(
              "AUTH 1 plain service=imap session=aB/c local_name=mail.example.org lip=10.0.0.1 lport=993 "
              "rip=192.0.2.7 rport=40000 secured=tls no-penalty final-resp-ok resp=QQ==") ==
          Strings{"begin 1 plain imap from 192.0.2.7 port 40000 to 10.0.0.1 port 993 name mail.example.org "
                  "session aB/c secured no-penalty final-resp-ok: A"});
    CHECK(heard_line("AUTH 1 PLAIN protocol=imap") == Strings{"begin 1 PLAIN imap"});
}

TEST_CASE("of a parameter that comes twice, the last one counts", "[dovecot]")
{
    CHECK(heard_line("AUTH 1 PLAIN service=imap rip=192.0.2.7 service=smtp rip=192.0.2.8") ==
          Strings{"begin 1 PLAIN smtp from 192.0.2.8"});
}

TEST_CASE("what is no address and no port is as good as not said", "[dovecot]")
{
    const auto address =
        GENERATE("", "192.0.2", "192.0.2.256", "mail.example.org", "192.0.2.7~", "2001:db8::g",
                 "[2001:db8::7]", "0000:0000:0000:0000:0000:0000:192.0.2.100000000000000");
    CHECK(heard_line("AUTH 1 PLAIN service=smtp rip="s + address + " lip=" + address) ==
          Strings{"begin 1 PLAIN smtp"});
    const auto port = GENERATE("", "0", "65536", "-1", "+1", "25x", "4294967321");
    CHECK(heard_line("AUTH 1 PLAIN service=smtp rport="s + port + " lport=" + port) ==
          Strings{"begin 1 PLAIN smtp"});
}

TEST_CASE("the longest address and the highest port are taken", "[dovecot]")
{
    CHECK(heard_line(
              "AUTH 1 PLAIN service=smtp rip=0000:0000:0000:0000:0000:ffff:192.168.100.200 rport=65535") ==
          Strings{"begin 1 PLAIN smtp from 0000:0000:0000:0000:0000:ffff:192.168.100.200 port 65535"});
}

TEST_CASE("a response has to be the last field", "[dovecot]")
{
    const auto behind = GENERATE("rip=192.0.2.7", "", "resp=QQ==", "x");
    CHECK(heard_line("AUTH 1 PLAIN service=smtp resp=QQ== "s + behind) ==
          broken(Why::fields_behind_response));
}

TEST_CASE("escapes are undone in each field, and mean nothing between fields", "[dovecot]")
{
    const auto [escaped, text] = GENERATE(table<std::string, std::string>({
        {"a^Atb", "a\tb"},
        {"^An^Ar", "\n\r"},
        {"^A1^A1", "\1\1"},
        {"^A1t", "\1t"},
        {"^Al", "l"},
        {"^A=", "="},
        {"a^Atrip=192.0.2.7", "a\trip=192.0.2.7"},
    }));
    CAPTURE(escaped);
    CHECK(heard_line("AUTH 1 PLAIN service=" + escaped) == Strings{"begin 1 PLAIN " + text});
    CHECK(heard_line("AUTH 1 PLAIN service=smtp session=" + escaped + " secured") ==
          Strings{"begin 1 PLAIN smtp session " + text + " secured"});
}

TEST_CASE("an escaped response is the same response", "[dovecot]")
{
    CHECK(heard_line("AUTH 1 PLAIN service=smtp resp=AGFs^AaWNlAHMzY3JldA^A==") ==
          Strings{"begin 1 PLAIN smtp: ^@alice^@s3cret"});
    CHECK(heard_line("CONT 1 ^AQ^AQ^A=^A=") == Strings{"continue 1: A"});
}

TEST_CASE("a NUL in a field, or half an escape, ends the connection", "[dovecot]")
{
    const auto line = GENERATE("AUTH 1 PLAIN service=a^A0b", "AUTH 1 PLAIN service=smtp^A",
                               "AUTH 1 PLAIN service=^A rip=192.0.2.7", "AUTH 1 PLA^A0IN service=smtp",
                               "AUTH 1 PLAIN service=smtp unknown=^A0", "AUTH 1 PLAIN service=smtp resp=^A",
                               "CONT 1 ^A0", "CONT 1 QQ==^A", "CANCEL 1^A0", "AUTH^A0 1 PLAIN service=smtp");
    CAPTURE(line);
    CHECK(heard_line(line) == broken(Why::malformed));
    CHECK(heard(replaced(line_wire(line), "\1"s + "0", "\0"sv)) == broken(Why::malformed));
}

TEST_CASE("an id is a number of 32 bits that is not zero", "[dovecot]")
{
    const auto id =
        GENERATE("0", "00", "4294967296", "-1", "+1", "1x", "x", "", "0x1", "18446744073709551617");
    CAPTURE(id);
    CHECK(heard_line("AUTH "s + id + " PLAIN service=smtp") == broken(Why::bad_id));
    CHECK(heard_line("CONT "s + id + " QQ==") == broken(Why::bad_id));
    CHECK(heard_line("CANCEL "s + id) == broken(Why::bad_id));
}

TEST_CASE("a command without its fields ends the connection", "[dovecot]")
{
    const auto [line, why] = GENERATE(table<std::string, Why>({
        {"AUTH", Why::bad_id},
        {"AUTH 1", Why::malformed},
        {"AUTH 1 ", Why::malformed},
        {"AUTH 1 PLAIN", Why::no_service},
        {"AUTH 1 PLAIN rip=192.0.2.7 resp=QQ==", Why::no_service},
        {"AUTH 1 PLAIN service=", Why::no_service},
        {"AUTH 1 PLAIN service", Why::no_service},
        {"CONT", Why::bad_id},
        {"CONT 1", Why::malformed},
        {"CANCEL", Why::bad_id},
    }));
    CAPTURE(line);
    CHECK(heard_line(line) == broken(why));
}

TEST_CASE("fields behind those of CONT and CANCEL are ignored", "[dovecot]")
{
    CHECK(heard_line("CONT 1 QQ== channel_binding=abc") == Strings{"continue 1: A"});
    CHECK(heard_line("CANCEL 1 x") == Strings{"cancel 1"});
}

TEST_CASE("a command that nobody knows ends the connection", "[dovecot]")
{
    const auto line = GENERATE("", "HELLO", "auth 1 PLAIN service=smtp", "AUTHX 1", " AUTH 1", "VERSION 1 0",
                               "CPID 4711", "OK 1 user=alice", "AUTH~1~PLAIN~service=smtp", "CANCEL\r");
    CAPTURE(line);
    CHECK(heard_line(line) == broken(Why::unknown_command));
}

TEST_CASE("nothing that follows a fault is heard", "[dovecot]")
{
    DovecotServer server;
    std::string lines = "VERSION\t1\t0\nCPID\t1\nHELLO\nAUTH\t1\tPLAIN\tservice=smtp\n";
    CHECK(server.hear(lines, lines.size()) == broken(Why::unknown_command));
    const auto next = server.side.next(lines);
    CHECK(std::get<dovecot::Broken>(next.command).why == Why::unknown_command);
    CHECK(next.taken == 0);
}

TEST_CASE("VERSION comes first, CPID second, and both of them once", "[dovecot]")
{
    const auto [lines, why] = GENERATE(table<std::string, Why>({
        {"CPID\t1\n", Why::version_expected},
        {"AUTH\t1\tPLAIN\tservice=smtp\n", Why::version_expected},
        {"\n", Why::version_expected},
        {"VERSION\n", Why::version_expected},
        {"VERSION\t1\n", Why::version_expected},
        {"VERSION\t1\t\n", Why::version_expected},
        {"VERSION\t1\t0\t0\n", Why::version_expected},
        {"VERSION\t1\t0\r\n", Why::version_expected},
        {"VERSION\tone\t0\n", Why::version_expected},
        {"VERSION 1 0\n", Why::version_expected},
        {"GET / HTTP/1.1\n", Why::version_expected},
        {"VERSION\t0\t0\n", Why::version_unknown},
        {"VERSION\t2\t0\n", Why::version_unknown},
        {"VERSION\t1\t0\nAUTH\t1\tPLAIN\tservice=smtp\n", Why::cpid_expected},
        {"VERSION\t1\t0\nVERSION\t1\t0\n", Why::cpid_expected},
        {"VERSION\t1\t0\nCPID\n", Why::cpid_expected},
        {"VERSION\t1\t0\nCPID\t0\n", Why::cpid_expected},
        {"VERSION\t1\t0\nCPID\tx\n", Why::cpid_expected},
        {"VERSION\t1\t0\nCPID\t4294967296\n", Why::cpid_expected},
        {"VERSION\t1\t0\nCPID\t1\nCPID\t1\n", Why::unknown_command},
    }));
    CAPTURE(lines);
    DovecotServer server;
    CHECK(server.hear(lines, lines.size()) == broken(why));
}

TEST_CASE("a peer is remembered by its version and its process", "[dovecot]")
{
    DovecotServer server;
    CHECK(server.hear("VERSION\t1\t4\nCPID\t4294967295\n", 5).empty());
    CHECK(server.side.peer_minor() == 4);
    CHECK(server.side.peer_pid() == 4294967295);
}

TEST_CASE("every fault has a text of its own", "[dovecot]")
{
    std::set<std::string_view> texts;
    for (int number = 0; number <= static_cast<int>(Why::fields_behind_response); ++number)
        texts.insert(broken_text(static_cast<Why>(number)));
    CHECK(texts.size() == static_cast<std::size_t>(Why::fields_behind_response) + 1);
    CHECK_FALSE(texts.contains("invalid"));
}

// --- how long things may be --------------------------------------------------------------------------------

TEST_CASE("a line fills its limit and has not a byte more", "[dovecot]")
{
    const std::string begin = "CONT\t1\t";
    const std::size_t room = dovecot::line_bytes_max - begin.size() - 1;
    const auto [length, fits] = GENERATE_COPY(
        table<std::size_t, bool>({{room - 1, true}, {room, true}, {room + 1, false}, {2 * room, false}}));
    CAPTURE(length);
    const std::string data(length, 'A');
    const Strings whole = heard(begin + data + "\n");
    if (fits)
        REQUIRE(whole.at(0).starts_with("continue 1: "));
    else
        CHECK(whole == broken(Why::line_too_long));
}

TEST_CASE("a line that is too long is known to be as soon as it is", "[dovecot]")
{
    const auto piece_bytes = GENERATE(1U, 1000U, 16'384U);
    DovecotServer server;
    CHECK(server.hear("VERSION\t1\t0\nCPID\t1\n", 64).empty());
    CHECK(server.hear(std::string(dovecot::line_bytes_max - 1, 'A'), piece_bytes).empty());
    CHECK(server.hear("A", 1) == broken(Why::line_too_long));
}

TEST_CASE("what Postfix may send at most is taken", "[dovecot]")
{
    constexpr std::size_t smtpd_sasl_response_limit = 12288;
    const std::string longest(smtpd_sasl_response_limit, 'A');
    CHECK(heard("CONT\t4294967295\t" + longest + "\n").size() == 1);
    CHECK(heard("AUTH\t4294967295\tPLAIN\tservice=smtp\tresp=" + longest + "\n").size() == 1);
}

TEST_CASE("a byte that was searched for the end of its line is not searched again", "[dovecot]")
{
    dovecot::LineFinder finder;
    std::string line = "CONT\t1\tAAAA";
    CHECK_FALSE(finder.find(line));
    line[2] = '\n'; // nobody looks there any more
    CHECK_FALSE(finder.find(line));
    CHECK(finder.find(line + "\nCONT") == line.size());
    CHECK(finder.find(line) == 2);
}

TEST_CASE("commands are taken off the front one by one, and only whole ones", "[dovecot]")
{
    std::string bytes = "VERSION\t1\t0\nCPID\t1\nCANCEL\t1\nCANCEL\t2\nCANC";
    dovecot::ServerSide side{[](std::uint32_t) { return false; }};
    CHECK(side.next(bytes).taken == "VERSION\t1\t0\nCPID\t1\nCANCEL\t1\n"sv.size());
    bytes.erase(0, "VERSION\t1\t0\nCPID\t1\nCANCEL\t1\n"sv.size());
    CHECK(side.next(bytes).taken == "CANCEL\t2\n"sv.size());
    bytes.erase(0, "CANCEL\t2\n"sv.size());
    CHECK(side.next(bytes).taken == 0);
    bytes += "EL\t3\n";
    const auto next = side.next(bytes);
    CHECK(std::get<dovecot::Cancel>(next.command).id == 3);
    CHECK(next.taken == bytes.size());
}

TEST_CASE("VERSION and CPID are taken although they are no command", "[dovecot]")
{
    std::string bytes = "VERSION\t1\t0\nCPID\t1\nCAN";
    dovecot::ServerSide side{[](std::uint32_t) { return false; }};
    const auto next = side.next(bytes);
    CHECK(std::holds_alternative<dovecot::NeedsMore>(next.command));
    CHECK(next.taken == bytes.size() - 3);
}

TEST_CASE("a conversation says the same however it is cut into three", "[dovecot]")
{
    const std::string bytes =
        "VERSION\t1\t0\nCPID\t1\nAUTH\t1\tPLAIN\tservice=s\1tp\tresp=QQ==\nCONT\t1\t\nCANCEL\t1\n";
    const Strings whole{"begin 1 PLAIN s\tp: A", "continue 1: (empty)", "cancel 1"};
    for (std::size_t first = 0; first <= bytes.size(); ++first)
        for (std::size_t second = first; second <= bytes.size(); ++second) {
            DovecotServer server;
            Strings parts;
            for (const auto& [from, to] :
                 {std::pair{std::size_t{0}, first}, {first, second}, {second, bytes.size()}})
                for (std::string& text : server.hear(bytes.substr(from, to - from), bytes.size()))
                    parts.push_back(std::move(text));
            if (parts != whole)
                FAIL_CHECK("cut at " << first << " and " << second);
        }
}

// --- base64 ------------------------------------------------------------------------------------------------

TEST_CASE("base64 is decoded into the memory that is given", "[dovecot]")
{
    std::array<char, 16> memory{};
    const auto decoded = dovecot::decode_base64("AGFsaWNlAHMzY3JldA==", std::span{memory}.first(15));
    CHECK(decoded == "\0alice\0s3cret"sv);
    CHECK(decoded->data() == memory.data());
    CHECK(memory[15] == '\0');
    CHECK_THROWS_AS(dovecot::decode_base64("AGFsaWNlAHMzY3JldA==", std::span{memory}.first(14)),
                    std::length_error);
    CHECK(dovecot::decode_base64("", {}) == ""sv);
    CHECK(dovecot::decode_base64("=", {}) == ""sv);
}

TEST_CASE("what is no base64 is not decoded, and leaves nothing of it", "[dovecot]")
{
    const auto text = GENERATE("=="sv, "===="sv, "Q"sv, "QQ"sv, "QQ="sv, "QQ==="sv, "QQ==QQ=="sv, "QR=="sv,
                               "QQ= ="sv, "QUJD RA="sv, "-_-_"sv, "QUJDRA=\n"sv, "QUJD\0UJD"sv, "#"sv);
    CAPTURE(text);
    std::array<char, 16> memory{};
    CHECK_FALSE(dovecot::decode_base64(text, memory));
    CHECK(std::ranges::count(memory, '\0') == 16);
}

TEST_CASE("no byte outside of its alphabet is taken for base64", "[dovecot]")
{
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::array<char, 3> memory{};
    for (int byte = 0; byte < 256; ++byte) {
        CAPTURE(byte);
        const std::string text = "Q" + std::string(1, static_cast<char>(byte)) + "FB";
        CHECK(dovecot::decode_base64(text, memory).has_value() == (alphabet.find(text[1]) != alphabet.npos));
    }
}

TEST_CASE("the longest response of a line is decoded", "[dovecot]")
{
    std::string memory(dovecot::response_bytes_max, '\0');
    CHECK(dovecot::decode_base64(std::string(dovecot::line_bytes_max, 'A'), memory)->size() ==
          dovecot::response_bytes_max);
}

// --- what a server says ------------------------------------------------------------------------------------

TEST_CASE("a handshake is Dovecot's, line by line", "[dovecot]")
{
    CHECK(handshake({"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}) ==
          "VERSION\t1\t2\n"
          "MECH\tPLAIN\tplaintext\n"
          "MECH\tLOGIN\tplaintext\n"
          "MECH\tCRAM-MD5\tdictionary\tactive\n"
          "MECH\tSCRAM-SHA-1\tmutual-auth\n"
          "MECH\tSCRAM-SHA-256\tmutual-auth\n"
          "SPID\t4711\n"
          "CUID\t3\n"
          "COOKIE\t87786339933d022640fa7e1d7517df45\n"
          "DONE\n");
}

TEST_CASE("a handshake offers what it is told to, in that order and with Postern's spelling", "[dovecot]")
{
    CHECK(handshake({"scram-sha-256", "Plain"})
              .starts_with("VERSION\t1\t2\nMECH\tSCRAM-SHA-256\tmutual-auth\n"
                           "MECH\tPLAIN\tplaintext\nSPID\t"));
}

TEST_CASE("the longest handshake there is fits what is said to be enough, and is not cut", "[dovecot]")
{
    std::vector<std::string_view> names;
    for (const auto& mechanism : sasl::mechanism_table)
        names.push_back(mechanism.name);
    std::string memory(dovecot::handshake_bytes_max, '\0');
    const dovecot::Handshake longest{names, UINT32_MAX, UINT32_MAX, {}};
    const std::size_t size = dovecot::write_handshake(memory, longest).size();
    CHECK(dovecot::write_handshake(std::span{memory}.first(size), longest).size() == size);
    CHECK_THROWS_AS(dovecot::write_handshake(std::span{memory}.first(size - 1), longest), std::length_error);
}

TEST_CASE("a handshake without a mechanism, or with one that there is not, is a bug", "[dovecot]")
{
    CHECK_THROWS_AS(handshake({}), std::logic_error);
    CHECK_THROWS_AS(handshake({"PLAIN", "GSSAPI"}), std::logic_error);
}

TEST_CASE("an OK names its user, or is not said", "[dovecot]")
{
    std::array<char, dovecot::reply_bytes_max> memory{};
    const auto user = GENERATE(""s, "a\tb"s, "a\nb"s, "\1"s, "a\0b"s, "\x7f"s, "a\x1f"s,
                               std::string(dovecot::user_bytes_max + 1, 'x'));
    CHECK_FALSE(dovecot::can_be_named(user));
    CHECK_THROWS_AS(dovecot::write_ok(memory, 1, user), std::logic_error);
    CHECK(dovecot::write_fail(memory, 1, {.user = user}) == "FAIL\t1\n");
}

TEST_CASE("a user whom a reply can name is named as he is", "[dovecot]")
{
    std::array<char, dovecot::reply_bytes_max> memory{};
    const auto user = GENERATE("alice"s, "a b"s, "jöhn@example.org"s, "a=b"s, "\x80\xff"s, " "s,
                               std::string(dovecot::user_bytes_max, 'x'));
    CHECK(dovecot::can_be_named(user));
    CHECK(dovecot::write_ok(memory, 1, user) == "OK\t1\tuser=" + user + "\n");
    CHECK(dovecot::write_fail(memory, 1, {.user = user}) == "FAIL\t1\tuser=" + user + "\n");
}

TEST_CASE("a response of OK may be there and empty", "[dovecot]")
{
    std::array<char, 64> memory{};
    CHECK(dovecot::write_ok(memory, 1, "alice", "") == "OK\t1\tuser=alice\tresp=\n");
}

TEST_CASE("a reason cannot bring fields or lines of its own", "[dovecot]")
{
    std::array<char, 64> memory{};
    const auto reason = GENERATE("a\tuser=bob"s, "a\nOK\t1\tuser=bob"s, "\1"s, "\0"s);
    CHECK_THROWS_AS(dovecot::write_fail(memory, 1, {.reason = reason}), std::logic_error);
}

TEST_CASE("a reply is shorter than the buffer of Exim, whatever the memory is", "[dovecot]")
{
    std::string memory(2 * dovecot::reply_bytes_max, '\0');
    const std::string challenge(dovecot::challenge_bytes_max, 'x');
    CHECK(dovecot::write_cont(memory, UINT32_MAX, challenge).size() <= dovecot::reply_bytes_max);
    CHECK_THROWS_AS(dovecot::write_cont(memory, UINT32_MAX, challenge + "x"), std::length_error);

    const std::size_t room = dovecot::reply_bytes_max - "FAIL\t1\treason=\n"sv.size();
    CHECK(dovecot::write_fail(memory, 1, {.reason = std::string(room, 'x')}).size() ==
          dovecot::reply_bytes_max);
    CHECK_THROWS_AS(dovecot::write_fail(memory, 1, {.reason = std::string(room + 1, 'x')}),
                    std::length_error);
}

TEST_CASE("a reply that does not fit is not written by halves", "[dovecot]")
{
    std::array<char, 64> memory{};
    const std::span span{memory};
    CHECK(dovecot::write_cont(span.first(12), 1, "abc") == "CONT\t1\tYWJj\n");
    CHECK_THROWS_AS(dovecot::write_cont(span.first(11), 1, "abc"), std::length_error);
    CHECK(dovecot::write_cont(span.first(8), 1, "") == "CONT\t1\t\n");
    CHECK_THROWS_AS(dovecot::write_cont(span.first(7), 1, ""), std::length_error);
    CHECK_THROWS_AS(dovecot::write_ok(span.first(15), 1, "alice"), std::length_error);
    CHECK_THROWS_AS(dovecot::write_fail(span.first(6), 1, {}), std::length_error);
}

// --- a client's side ---------------------------------------------------------------------------------------

TEST_CASE("a client's commands are what the server hears", "[dovecot]")
{
    std::string memory(dovecot::line_bytes_max, '\0');
    DovecotServer server;
    const auto hear = [&](std::string_view bytes) { return server.hear(bytes, 7); };
    CHECK(dovecot::write_greeting(memory, 4711) == "VERSION\t1\t2\nCPID\t4711\n");
    CHECK(hear(dovecot::write_greeting(memory, 4711)).empty());

    const dovecot::Parameters parameters{.service = "smtp",
                                         .client_address = "192.0.2.7",
                                         .server_address = "10.0.0.1",
                                         .client_port = 40000,
                                         .server_port = 587,
                                         .local_name = "a\tb",
                                         .session = "\1\r\n",
                                         .is_secured = true,
                                         .has_no_penalty = true,
                                         .takes_final_response = true};
    CHECK(
        hear(dovecot::write_auth(memory, 1, "PLAIN", parameters, "\0alice\0s3cret"sv)) ==
        Strings{"begin 1 PLAIN smtp from 192.0.2.7 port 40000 to 10.0.0.1 port 587 name a\tb session \1\r\n "
                "secured no-penalty final-resp-ok: ^@alice^@s3cret"});
    CHECK(dovecot::write_auth(memory, 2, "LOGIN", {.service = "smtp"}, {}) ==
          "AUTH\t2\tLOGIN\tservice=smtp\n");
    CHECK(hear(dovecot::write_auth(memory, 2, "LOGIN", {.service = "smtp"}, {})) ==
          Strings{"begin 2 LOGIN smtp"});
    CHECK(hear(dovecot::write_auth(memory, 3, "LOGIN", {.service = "smtp"}, "")) ==
          Strings{"begin 3 LOGIN smtp: (empty)"});
    CHECK(hear(dovecot::write_response(memory, 2, "alice")) == Strings{"continue 2: alice"});
    CHECK(hear(dovecot::write_response(memory, 2, "")) == Strings{"continue 2: (empty)"});
    CHECK(hear(dovecot::write_cancel(memory, 2)) == Strings{"cancel 2"});
}

TEST_CASE("a client writes no line that a server does not read", "[dovecot]")
{
    std::string memory(2 * dovecot::line_bytes_max, '\0');
    const std::size_t room = (dovecot::line_bytes_max - "CONT\t1\t\n"sv.size()) / 4 * 3;
    CHECK(heard(std::string{dovecot::write_response(memory, 1, std::string(room, 'x'))})
              .at(0)
              .starts_with("continue 1: xxx"));
    CHECK_THROWS_AS(dovecot::write_response(memory, 1, std::string(room + 1, 'x')), std::length_error);
    CHECK_THROWS_AS(dovecot::write_auth(memory, 1, "PLAIN", {.service = "smtp"}, std::string(room, 'x')),
                    std::length_error);
}

/// What a client hears in pieces of every size, which has to be the same.
Strings client_hears(const std::string& bytes)
{
    const Strings whole = DovecotClient{}.hear(bytes, bytes.size());
    for (std::size_t piece_bytes = 1; piece_bytes < bytes.size(); ++piece_bytes)
        CHECK(DovecotClient{}.hear(bytes, piece_bytes) == whole);
    return whole;
}

TEST_CASE("a client learns what a server offers", "[dovecot]")
{
    DovecotClient client;
    CHECK(client.hear(handshake({"PLAIN", "CRAM-MD5"}), 5) == Strings{"greeted"});
    REQUIRE(client.side.offers().size() == 2);
    CHECK(client.side.offers()[0].name == "PLAIN");
    CHECK(client.side.offers()[1].flags == Strings{"dictionary", "active"});
    CHECK(client.side.has_offered("cram-md5"));
    CHECK_FALSE(client.side.has_offered("LOGIN"));
    CHECK_FALSE(client.side.has_offered("PLAI"));
}

TEST_CASE("a client reads what Dovecot says, and skips what it does not know", "[dovecot]")
{
    CHECK(client_hears(
              "VERSION\t1\t2\nFUTURE\tx\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n"
              "CANCELLED\t1\nOK\t1\toriginal_user=BoB\tuser=bob\tnologin\tresp=\n"
              "FAIL\t2\tuser=bob\ttemp\nFAIL\t3\tcode=temp_fail\treason=a\1tb\nFAIL\t4\tcode=authz_fail\n"
              "OK\t5\nCONT\t6\t\n") ==
          Strings{"greeted", "accept 1 bob: (empty)", "refuse 2 user bob for now",
                  "refuse 3 code temp_fail for now: a\tb", "refuse 4 code authz_fail", "accept 5 ",
                  "challenge 6: (empty)"});
}

TEST_CASE("an offer behind SPID is one, as for Postfix and Exim, and one behind DONE is none", "[dovecot]")
{
    DovecotClient client;
    CHECK(client.hear("VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nMECH\tLOGIN\tplaintext\nDONE\n"
                      "MECH\tCRAM-MD5\nMECH\n",
                      1000) == Strings{"greeted"});
    CHECK(client.side.has_offered("PLAIN"));
    CHECK(client.side.has_offered("LOGIN"));
    CHECK_FALSE(client.side.has_offered("CRAM-MD5"));
}

TEST_CASE("a client tells why a server cannot be asked", "[dovecot]")
{
    using dovecot::Unusable;
    const auto [lines, why] = GENERATE(table<std::string, Unusable::Why>({
        {"220 mail.example.org ESMTP\r\n", Unusable::Why::version_missing},
        {"VERSION\t1\n", Unusable::Why::version_missing},
        {"MECH\tPLAIN\n", Unusable::Why::version_missing},
        {"VERSION\t2\t0\n", Unusable::Why::version_unknown},
        {"VERSION\t1\t2\nSPID\t1\n", Unusable::Why::no_mechanism},
        {"VERSION\t1\t2\nSPID\t1\nMECH\tPLAIN\nDONE\n", Unusable::Why::no_mechanism},
        {"VERSION\t1\t2\nDONE\n", Unusable::Why::no_mechanism},
        {"VERSION\t1\t2\nMECH\n", Unusable::Why::malformed},
        {"VERSION\t1\t2\nMECH\tPLAIN\nDONE\nOK\tx\tuser=alice\n", Unusable::Why::malformed},
        {"VERSION\t1\t2\nMECH\tPLAIN\nDONE\nCONT\t1\n", Unusable::Why::malformed},
        {"VERSION\t1\t2\nMECH\tPLAIN\nDONE\nOK\t1\tuser=alice\1\n", Unusable::Why::malformed},
        {std::string(dovecot::line_bytes_max, 'A'), Unusable::Why::line_too_long},
    }));
    CAPTURE(lines);
    CHECK(DovecotClient{}.hear(lines, 1000).back() == heard_text(Unusable{why}));
}

TEST_CASE("a client keeps a bounded number of offers", "[dovecot]")
{
    const auto beyond = GENERATE(0U, 1U);
    std::string lines = "VERSION\t1\t2\n";
    for (std::size_t i = 0; i < dovecot::ClientSide::offers_max + beyond; ++i)
        lines += "MECH\tM" + std::to_string(i) + "\n";
    const Strings expected{beyond == 0
                               ? "greeted"s
                               : heard_text(dovecot::Unusable{dovecot::Unusable::Why::too_many_mechanisms})};
    CHECK(DovecotClient{}.hear(lines + "DONE\n", lines.size() + 5) == expected);
}

} // namespace postern
