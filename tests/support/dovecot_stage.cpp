// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/dovecot_stage.hpp"

#include "base/base64.hpp"
#include "base/posix_error.hpp"

#include <sys/socket.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>
#include <sstream>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t workers_max = 48;

const std::string zeros = in_base64(std::string(32, '\0'));

std::string in_braces(std::string_view base64)
{
    std::array<char, dovecot::response_bytes_max> memory{};
    return '{' + std::string{dovecot::decode_base64(base64, memory).value()} + '}';
}

/// The counterpart of wire(), for the lines of a server.
std::string readable(std::string line)
{
    const bool is_challenge = line.starts_with("CONT\t");
    const std::size_t data = is_challenge ? line.rfind('\t') + 1 : line.find("resp=") + 5;
    if (is_challenge || line.find("resp=") != std::string::npos)
        line = line.substr(0, data) + in_braces(line.substr(data));
    std::ranges::replace(line, '\t', ' ');
    return line;
}

/// Whether the line is as it should be; "…" stands for whatever is there.
bool is_like(std::string_view line, std::string_view pattern)
{
    const std::string_view anything{"…"};
    for (std::size_t gap = 0; (gap = pattern.find(anything)) != std::string_view::npos;) {
        if (!line.starts_with(pattern.substr(0, gap)))
            return false;
        pattern.remove_prefix(gap + anything.size());
        const std::string_view next = pattern.substr(0, pattern.find(anything));
        const std::size_t found = next.size() == pattern.size() ? line.rfind(next) : line.find(next, gap);
        if (found == std::string_view::npos || found < gap)
            return false;
        line.remove_prefix(found);
    }
    return line == pattern;
}

void put(std::string& line, std::string_view placeholder, const std::string& value)
{
    if (const std::size_t place = line.find(placeholder); place != std::string::npos)
        line.replace(place, placeholder.size(), value);
}

} // namespace

ListenerConfig submission()
{
    ListenerConfig listener;
    listener.name = "submission";
    listener.protocol = ListenerProtocol::dovecot;
    listener.names = {.splits_realm = true};
    listener.dovecot.mechanisms = {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"};
    return listener;
}

std::string wire(const std::string& text)
{
    std::string line;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '{') {
            line += text[at] == ' ' ? '\t' : text[at];
            continue;
        }
        const std::size_t end = text.find('}', at);
        std::string raw = text.substr(at + 1, end - at - 1);
        for (std::size_t nul = 0; (nul = raw.find("\\0")) != std::string::npos;)
            raw.replace(nul, 2, 1, '\0');
        line += in_base64(raw);
        at = end;
    }
    return line + '\n';
}

std::string plain(const std::string& user)
{
    return "PLAIN service=smtp resp={\\0" + user + "\\0secret}";
}

std::string many_logins(std::size_t count)
{
    std::string lines;
    for (std::size_t i = 1; i <= count; ++i)
        lines += wire("AUTH " + std::to_string(i) + ' ' + plain("u" + std::to_string(i)));
    return lines;
}

DovecotStage::DovecotStage(ListenerConfig config, std::size_t slots)
    : ScriptedFront{workers_max, slots}, listener{std::move(config)}
{
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()), "socketpair");
    peer = UniqueFd{ends[0]};
    session_end = UniqueFd{ends[1]};
}

DovecotStage& DovecotStage::begin()
{
    sessions.push_back(std::make_unique<DovecotSession>(services, listener, std::move(session_end), 1));
    sessions.back()->begin(sessions.begin());
    return *this;
}

DovecotStage& DovecotStage::introduce(const std::string& version)
{
    begin();
    say(wire(version) + wire("CPID 4711"));
    static_cast<void>(heard());
    return *this;
}

void DovecotStage::begin_waiting(std::size_t count)
{
    for (std::size_t id = 1; id <= count; ++id)
        say(wire("AUTH " + std::to_string(id) + " LOGIN service=smtp"));
    CHECK(heard().size() == count);
}

void DovecotStage::say(std::string_view bytes) const
{
    REQUIRE(::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
}

std::vector<std::string> DovecotStage::heard()
{
    serve();
    std::array<char, 65536> buffer{};
    ssize_t got = 0;
    while ((got = ::recv(peer.get(), buffer.data(), buffer.size(), 0)) > 0)
        arrived.append(buffer.data(), static_cast<std::size_t>(got));
    std::vector<std::string> lines;
    for (std::size_t end = 0; (end = arrived.find('\n')) != std::string::npos; arrived.erase(0, end + 1))
        lines.push_back(arrived.substr(0, end));
    CHECK(arrived.empty()); // only whole lines
    if ((got == 0 || errno == ECONNRESET) && !std::exchange(has_ended, true))
        lines.emplace_back("end");
    return lines;
}

void DovecotStage::leave()
{
    peer.reset();
    serve();
}

std::string DovecotStage::logged() const
{
    std::string text;
    for (const std::string& line : log.lines)
        text += line + '\n';
    return text;
}

bool DovecotStage::ends_after(Duration distance)
{
    advance(distance - 1ms);
    const bool is_early = is_ended();
    advance(1ms);
    return !is_early && is_ended();
}

bool DovecotStage::is_scratch_wiped()
{
    return std::ranges::all_of(scratch.buffer(), [](char byte) { return byte == '\0'; });
}

void check_no_slot_is_lost(DovecotStage& stage)
{
    stage.leave();
    stage.advance(9s); // whoever is still asked
    CHECK(stage.is_ended());
    CHECK(stage.authenticator.logins() == 0);
    CHECK(stage.secrets.slots_free() == DovecotStage::slots_max - 1);
}

void play(DovecotStage& stage, const std::string& text)
{
    std::vector<std::string> heard = stage.heard();
    std::string nonce;
    const auto act = [&](const std::string& line, const std::function<void(std::istringstream&)>& deed) {
        CAPTURE(line, heard);
        CHECK(heard.empty());
        std::istringstream words{line.substr(3)};
        deed(words);
        heard = stage.heard();
    };
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        line.erase(0, line.find_first_not_of(' '));
        put(line, "ZEROS", zeros);
        CAPTURE(line, heard);
        if (line.starts_with("C: ")) {
            put(line, "NONCE", nonce);
            act(line, [&](std::istringstream&) { stage.say(wire(line.substr(3))); });
        } else if (line.starts_with("T: ")) {
            act(line, [&](std::istringstream& words) {
                int seconds = 0;
                words >> seconds;
                stage.advance(std::chrono::seconds{seconds});
            });
        } else if (line.starts_with("B: ")) {
            act(line, [&](std::istringstream& words) {
                std::string user, verdict, reply;
                words >> user >> verdict >> reply;
                for (const Verdict known : all_verdicts)
                    if (verdict_text(known) == verdict)
                        return stage.answer(user, {known, "as told", false, 0ms, reply});
                FAIL("no such verdict");
            });
        } else if (line.starts_with("S: ")) {
            REQUIRE_FALSE(heard.empty());
            const std::string said = readable(heard.front());
            CAPTURE(said);
            CHECK(is_like(said, line.substr(3)));
            if (const std::size_t place = said.find("{r="); place != std::string::npos)
                nonce = said.substr(place + 3, said.find(',') - place - 3);
            heard.erase(heard.begin());
        } else {
            CHECK(line.empty());
        }
    }
    CHECK(heard.empty());
}

void play_to_the_end(DovecotStage& stage, const std::string& text)
{
    play(stage, text);
    CHECK(stage.is_ended() == stage.has_ended);
    check_no_slot_is_lost(stage);
}

void converse(DovecotStage& stage, const std::string& text)
{
    play_to_the_end(stage.introduce(), text);
}

void converse(const ListenerConfig& config, const std::string& text)
{
    DovecotStage stage{config};
    converse(stage, text);
}

void converse(const std::string& text)
{
    converse(submission(), text);
}

std::string alice_by_scram(const std::string& id, const std::string& parameters)
{
    return "C: AUTH " + id + " SCRAM-SHA-256 " + parameters + " resp={n,,n=alice,r=abc}\n" +
           "B: alice accepted s=c2FsdA==,i=4096\n" + "S: CONT " + id + " {r=abc…,s=c2FsdA==,i=4096}\n" +
           "C: CONT " + id + " {c=biws,r=NONCE,p=ZEROS}\n";
}

} // namespace postern
