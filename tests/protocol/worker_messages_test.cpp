// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.hpp"
#include "protocol/worker_messages.hpp"

#include <catch2/catch.hpp>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace postern {

namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr std::size_t slot_bytes = 64;

/// One end of the channel: memory for messages, and for the passwords in them.
struct Desk {
    SecretArena arena{slot_bytes, 4};
    std::string memory = std::string(worker_message_bytes_max(slot_bytes), '\0');

    Request request(std::string user, std::string_view password)
    {
        return {std::move(user),  Secret{arena, password},
                "imap",           "example.org",
                "192.0.2.7;4711", "192.0.2.1",
                "PLAIN",          true};
    }

    std::string question(const Request& request)
    {
        return std::string{write_question(memory, 7, 1500ms, 0b101, request)};
    }

    std::string probe(const Probe& probe) { return std::string{write_probe(memory, probe)}; }

    std::optional<Question> read_question(std::string_view bytes)
    {
        auto task = parse_worker_task(bytes, arena);
        if (!task || !std::holds_alternative<Question>(*task))
            return std::nullopt;
        return std::move(std::get<Question>(*task));
    }

    std::optional<Probe> read_probe(std::string_view bytes)
    {
        const auto task = parse_worker_task(bytes, arena);
        return task && std::holds_alternative<Probe>(*task) ? std::optional{std::get<Probe>(*task)}
                                                            : std::nullopt;
    }

    std::string message(const WorkerMessage& message)
    {
        return std::string{write_worker_message(memory, message)};
    }
};

bool are_equal(const Request& one, const Request& other)
{
    return one.user == other.user && one.password.equals(other.password) && one.service == other.service &&
           one.realm == other.realm && one.client_address == other.client_address &&
           one.server_address == other.server_address && one.mechanism == other.mechanism &&
           one.is_secured == other.is_secured && one.asked == other.asked &&
           one.transcript == other.transcript && one.salt == other.salt;
}

/// Every message that differs from `wire` in one byte.
std::vector<std::string> with_one_byte_changed(const std::string& wire)
{
    std::vector<std::string> changed;
    for (std::size_t i = 0; i < wire.size(); ++i)
        for (int difference = 1; difference < 256; ++difference) {
            changed.push_back(wire);
            changed.back()[i] = static_cast<char>(changed.back()[i] ^ difference);
        }
    return changed;
}

/// Whether the front may act on `message`: an answer in it names a verdict, a line a severity, a failure a
/// server that a set can hold.
bool is_sound(const WorkerMessage& message)
{
    if (const auto* const answer = std::get_if<Answer>(&message))
        return verdict_text(answer->decision.verdict) != "invalid";
    if (const auto* const line = std::get_if<WorkerLogLine>(&message))
        return line->level >= LogLevel::error && line->level <= LogLevel::debug &&
               line->origin <= LogOrigin::foreign_to_auth;
    if (const auto* const failed = std::get_if<ServerFailed>(&message))
        return failed->server < 32;
    return true;
}

std::vector<std::string> every_worker_message(Desk& desk)
{
    return {
        desk.message(WorkerReady{}),
        desk.message(WorkerReady{true}),
        desk.message(WorkerReady{false, true}),
        desk.message(Answer{7, {Verdict::accepted, ""}, true}),
        desk.message(ServerFailed{31, "connection refused"}),
        desk.message(ServerFailed{0, "no answer in time", false}),
        desk.message(Answer{7, {Verdict::rejected, "wrong password"}}),
        desk.message(Answer{7, {Verdict::barred, "expired", true, 2s}}),
        desk.message(Answer{7, {Verdict::accepted, "", false, 0s, "s=QSXCR+Q6sek8bf92,i=4096"}}),
        desk.message(HandBack{7}),
        desk.message(WorkerLogLine{LogLevel::warning, "no such file"}),
        desk.message(WorkerLogLine{LogLevel::notice, "authentication failure", LogOrigin::foreign_to_auth})};
}

} // namespace

TEST_CASE("a question arrives as it was asked", "[worker_messages]")
{
    Desk desk;
    const Request request = desk.request("alice", "s3cret");
    const auto question = desk.read_question(desk.question(request));
    REQUIRE(question);
    CHECK(question->id == 7);
    CHECK(question->time_left == 1500ms);
    CHECK(question->servers_left_alone == 0b101);
    CHECK(are_equal(question->request, request));
}

TEST_CASE("a question arrives as what it asks for: a challenge, or what a proof is worth",
          "[worker_messages]")
{
    Desk desk;
    Request request = desk.request("alice", "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=");
    request.asked = GENERATE(Asked::password, Asked::challenge, Asked::proof);
    request.mechanism = "SCRAM-SHA-1";
    request.transcript = "n=alice,r=fyko,r=fyko3rfc,s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko3rfc";
    request.salt = std::string(scram_salt_bytes, '\0');
    const auto question = desk.read_question(desk.question(request));
    REQUIRE(question);
    CHECK(are_equal(question->request, request));
}

TEST_CASE("a probe arrives as it was sent", "[worker_messages]")
{
    const auto probe = GENERATE(Probe{}, Probe{8, 2s, 0xfffffffe}, Probe{UINT64_MAX, 1ms, UINT32_MAX});
    Desk desk;
    CHECK(desk.read_probe(desk.probe(probe)) == probe);
}

TEST_CASE("part of a probe, or one with something behind it, is none", "[worker_messages]")
{
    Desk desk;
    const std::string wire = desk.probe({8, 2s, 1});
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CAPTURE(n);
        CHECK_FALSE(parse_worker_task(std::string_view{wire}.substr(0, n), desk.arena));
    }
    CHECK_FALSE(parse_worker_task(wire + '\0', desk.arena));
}

TEST_CASE("a worker is told to prepare, for how long and without whom", "[worker_messages]")
{
    const auto prepare = GENERATE(Prepare{}, Prepare{5s, 0b10}, Prepare{1ms, UINT32_MAX});
    Desk desk;
    const std::string wire{write_prepare(desk.memory, prepare)};
    CHECK(std::get<Prepare>(parse_worker_task(wire, desk.arena).value()) == prepare);
    for (std::size_t n = 0; n < wire.size(); ++n)
        CHECK_FALSE(parse_worker_task(std::string_view{wire}.substr(0, n), desk.arena));
    CHECK_FALSE(parse_worker_task(wire + '\0', desk.arena));
    CHECK_FALSE(parse_worker_message(wire));
}

TEST_CASE("no byte in a field can end it or begin another", "[worker_messages]")
{
    const auto text = GENERATE(""s, "a\tb"s, "a\nb"s, "user=root\tverdict=accepted"s, "\0\1\2"s,
                               "\xff\xfe\xc0\x80"s, "\0\5alice"s);
    Desk desk;
    const Request request{text, Secret{desk.arena, text}, text, text, text};
    const auto question = desk.read_question(desk.question(request));
    REQUIRE(question);
    CHECK(are_equal(question->request, request));
}

TEST_CASE("the time left is never less than nothing and never wraps", "[worker_messages]")
{
    const auto [left, told] = GENERATE(table<std::chrono::milliseconds, std::chrono::milliseconds>({
        {-1ms, 0ms},
        {0ms, 0ms},
        {1ms, 1ms},
        {std::chrono::milliseconds{UINT32_MAX}, std::chrono::milliseconds{UINT32_MAX}},
        {std::chrono::milliseconds{UINT32_MAX} + 1ms, std::chrono::milliseconds{UINT32_MAX}},
    }));
    Desk desk;
    const auto wire = write_question(desk.memory, 7, left, 0, desk.request("alice", "s3cret"));
    CHECK(desk.read_question(wire).value().time_left == told);
    CHECK(desk.read_probe(desk.probe({7, left, 0})).value().time_left == told);
}

TEST_CASE("a password fills the worker's slot and has not a byte more", "[worker_messages]")
{
    const auto [length, fits] = GENERATE(table<std::size_t, bool>({
        {slot_bytes - 1, true},
        {slot_bytes, true},
        {slot_bytes + 1, false},
    }));
    CAPTURE(length);
    SecretArena larger{2 * slot_bytes, 1};
    Desk desk;
    const Request request{"alice", Secret{larger, std::string(length, 'x')}, "", "", ""};
    CHECK(desk.read_question(desk.question(request)).has_value() == fits);
    CHECK(desk.arena.slots_free() == 4);
}

TEST_CASE("the longest question fits what is said to be the most, and no message is written over its end",
          "[worker_messages]")
{
    Desk desk;
    const std::string longest(slot_bytes, 'x');
    const std::string joined = longest + '@' + longest; // as -r does it
    const std::string transcript(transcript_bytes_max, 'x');
    const Request request{joined,
                          Secret{desk.arena, longest},
                          longest,
                          longest,
                          longest,
                          longest,
                          longest,
                          true,
                          Asked::proof,
                          transcript,
                          std::string(scram_salt_bytes, 's')};
    const std::string wire = desk.question(request);
    CHECK(desk.read_question(wire));
    CHECK(wire.size() <= worker_message_bytes_max(slot_bytes));

    std::string exact(wire.size(), '\0');
    CHECK(write_question(exact, 7, 1500ms, 0b101, request) == wire);
    CHECK_THROWS_AS(write_question(std::span{exact}.first(wire.size() - 1), 7, 1500ms, 0b101, request),
                    std::length_error);
}

TEST_CASE("a question with a salt that is longer than ours are is none", "[worker_messages]")
{
    Desk desk;
    Request request = desk.request("alice", "s3cret");
    request.salt = std::string(scram_salt_bytes + 1, 's');
    CHECK_FALSE(desk.read_question(desk.question(request)));
}

TEST_CASE("part of a question is no question", "[worker_messages]")
{
    Desk desk;
    const std::string wire = desk.question(desk.request("alice", "s3cret"));
    for (std::size_t n = 0; n < wire.size(); ++n) {
        CAPTURE(n);
        CHECK_FALSE(parse_worker_task(std::string_view{wire}.substr(0, n), desk.arena));
    }
    CHECK_FALSE(parse_worker_task(wire + '\0', desk.arena));
    CHECK(desk.arena.slots_free() == 4);
}

TEST_CASE("a question with one wrong byte is refused or read for what it says", "[worker_messages]")
{
    Desk desk;
    const std::string wire = desk.question(desk.request("alice", "s3cret"));
    for (const std::string& changed : with_one_byte_changed(wire))
        if (const auto question = desk.read_question(changed))
            if (write_question(desk.memory, question->id, question->time_left, question->servers_left_alone,
                               question->request) != changed)
                FAIL_CHECK("not what was sent: " << Catch::Detail::stringify(changed));
    CHECK(desk.arena.slots_free() == 4);
}

TEST_CASE("a worker that is ready says so, and whether it may read any file", "[worker_messages]")
{
    const auto reads_any_file = GENERATE(false, true);
    Desk desk;
    const auto message = parse_worker_message(desk.message(WorkerReady{reads_any_file}));
    REQUIRE(message);
    CHECK(std::get<WorkerReady>(*message).reads_any_file == reads_any_file);
}

TEST_CASE("a worker says whether it must prepare before it is asked again", "[worker_messages]")
{
    const auto must_prepare = GENERATE(false, true);
    Desk desk;
    const auto ready = parse_worker_message(desk.message(WorkerReady{false, must_prepare}));
    const auto answer =
        parse_worker_message(desk.message(Answer{7, {Verdict::rejected, "why"}, must_prepare}));
    CHECK(std::get<WorkerReady>(ready.value()).must_prepare == must_prepare);
    CHECK(std::get<Answer>(answer.value()).must_prepare == must_prepare);
}

TEST_CASE("a worker says which server failed, and why", "[worker_messages]")
{
    Desk desk;
    const auto message = parse_worker_message(desk.message(ServerFailed{31, "a\nb]"}));
    REQUIRE(message);
    CHECK(std::get<ServerFailed>(*message).server == 31);
    CHECK(std::get<ServerFailed>(*message).problem == "a\nb]");
    CHECK(std::get<ServerFailed>(*message).is_certain);
    const auto doubt = parse_worker_message(desk.message(ServerFailed{0, "", false}));
    REQUIRE(doubt);
    CHECK_FALSE(std::get<ServerFailed>(*doubt).is_certain);
}

TEST_CASE("a server that no set can name is none that failed", "[worker_messages]")
{
    Desk desk;
    for (int number = 0; number < 256; ++number) {
        CAPTURE(number);
        const auto wire = desk.message(ServerFailed{static_cast<std::uint8_t>(number), "why"});
        CHECK(parse_worker_message(wire).has_value() == (number < 32));
    }
}

TEST_CASE("a worker that is out of date says which question it hands back", "[worker_messages]")
{
    Desk desk;
    const auto message = parse_worker_message(desk.message(HandBack{UINT64_MAX - 1}));
    REQUIRE(message);
    CHECK(std::get<HandBack>(*message).id == UINT64_MAX - 1);
}

TEST_CASE("an answer arrives as it was given", "[worker_messages]")
{
    const auto verdict = GENERATE(Verdict::accepted, Verdict::rejected, Verdict::unknown_user,
                                  Verdict::barred, Verdict::unavailable);
    const auto reason = GENERATE(""s, "wrong password"s, "a\0b\n\xff"s, std::string(1024, 'x'));
    const auto reply = GENERATE(""s, "s=QSXCR+Q6sek8bf92,i=4096"s, std::string(512, 'x'));
    Desk desk;
    const auto message =
        parse_worker_message(desk.message(Answer{UINT64_MAX, {verdict, reason, false, 0ms, reply}}));
    REQUIRE(message);
    const auto& answer = std::get<Answer>(*message);
    CHECK(answer.id == UINT64_MAX);
    CHECK(answer.decision.verdict == verdict);
    CHECK(answer.decision.reason == reason);
    CHECK(answer.decision.reply == reply);
    CHECK_FALSE(answer.decision.password_was_right);
    CHECK(answer.decision.failure_delay == 0ms);
}

TEST_CASE("an answer says whether the password was right although the user is barred", "[worker_messages]")
{
    const auto was_right = GENERATE(false, true);
    Desk desk;
    const auto message = parse_worker_message(desk.message(Answer{7, {Verdict::barred, "", was_right}}));
    REQUIRE(message);
    CHECK(std::get<Answer>(*message).decision.password_was_right == was_right);
}

TEST_CASE(
    "the delay that an answer asks for is never less than nothing, never wraps, and is ten seconds at most",
    "[worker_messages]")
{
    const auto [asked, told] = GENERATE(table<std::chrono::milliseconds, std::chrono::milliseconds>({
        {-1ms, 0ms},
        {2s, 2s},
        {10s, 10s},
        {10s + 1ms, 10s},
        {std::chrono::milliseconds{UINT32_MAX} + 1ms, 10s},
    }));
    Desk desk;
    const auto message = parse_worker_message(desk.message(Answer{7, {Verdict::rejected, "", false, asked}}));
    REQUIRE(message);
    CHECK(std::get<Answer>(*message).decision.failure_delay == told);
}

TEST_CASE("an answer that asks for a longer delay than any worker may is none", "[worker_messages]")
{
    Desk desk;
    std::string bytes{desk.message(Answer{7, {Verdict::rejected, "", false, 10s}})};
    REQUIRE(parse_worker_message(bytes));
    constexpr std::size_t last_of_delay = 1 + 8 + 1 + 1 + 3;
    ++bytes.at(last_of_delay);
    CHECK_FALSE(parse_worker_message(bytes));
}

TEST_CASE("an answer with a longer reply than a client may be given is none", "[worker_messages]")
{
    Desk desk;
    const std::string longest(512, 'x');
    std::string bytes{desk.message(Answer{7, {Verdict::accepted, "", false, 0ms, longest}})};
    REQUIRE(parse_worker_message(bytes));
    constexpr std::size_t last_of_length = 1 + 8 + 1 + 1 + 4 + 2 + 1;
    ++bytes.at(last_of_length);
    bytes += '\0';
    CHECK_FALSE(parse_worker_message(bytes));
}

TEST_CASE("a line for the log arrives as it was written", "[worker_messages]")
{
    const auto level =
        GENERATE(LogLevel::error, LogLevel::warning, LogLevel::notice, LogLevel::info, LogLevel::debug);
    const auto origin =
        GENERATE(LogOrigin::postern, LogOrigin::foreign_to_authpriv, LogOrigin::foreign_to_auth);
    Desk desk;
    const auto message = parse_worker_message(desk.message(WorkerLogLine{level, "no such file", origin}));
    REQUIRE(message);
    CHECK(std::get<WorkerLogLine>(*message).level == level);
    CHECK(std::get<WorkerLogLine>(*message).text == "no such file");
    CHECK(std::get<WorkerLogLine>(*message).origin == origin);
}

TEST_CASE("a worker's texts are cut rather than making its message too long", "[worker_messages]")
{
    Desk desk;
    const std::string endless(100'000, 'x');
    const auto answer = parse_worker_message(desk.message(Answer{7, {Verdict::rejected, endless}}));
    const auto line = parse_worker_message(desk.message(WorkerLogLine{LogLevel::info, endless}));
    const auto failed = parse_worker_message(desk.message(ServerFailed{0, endless}));
    CHECK(std::get<Answer>(answer.value()).decision.reason == std::string(1024, 'x'));
    CHECK(std::get<ServerFailed>(failed.value()).problem == std::string(1024, 'x'));
    CHECK(std::get<WorkerLogLine>(line.value()).text == std::string(1024, 'x'));
}

TEST_CASE("a verdict that does not exist is no answer", "[worker_messages]")
{
    Desk desk;
    std::string wire = desk.message(Answer{7, {Verdict::accepted, ""}});
    for (int number = 0; number < 256; ++number) {
        CAPTURE(number);
        wire[9] = static_cast<char>(number); // behind a type and an id of eight bytes
        CHECK(parse_worker_message(wire).has_value() == (number >= 1 && number <= 5));
    }
}

TEST_CASE("a severity that does not exist is no line for the log", "[worker_messages]")
{
    Desk desk;
    const auto level = GENERATE(0, 1, 2, 8, 200, 255);
    CAPTURE(level);
    CHECK_FALSE(parse_worker_message(desk.message(WorkerLogLine{static_cast<LogLevel>(level), "text"})));
}

TEST_CASE("an origin that does not exist is no line for the log", "[worker_messages]")
{
    Desk desk;
    std::string wire = desk.message(WorkerLogLine{LogLevel::info, "no such file"});
    for (int number = 0; number < 256; ++number) {
        CAPTURE(number);
        wire[2] = static_cast<char>(number); // behind a type and a severity
        CHECK(parse_worker_message(wire).has_value() == (number <= 2));
    }
}

TEST_CASE("what is neither yes nor no is no worker's message", "[worker_messages]")
{
    const auto [message, place] = GENERATE(table<WorkerMessage, std::size_t>({
        {WorkerReady{}, 1},
        {WorkerReady{}, 2},
        {Answer{7, {Verdict::barred, ""}}, 10}, // behind a type, an id and a verdict
        {Answer{7, {Verdict::barred, ""}}, 19}, // the last byte
    }));
    Desk desk;
    std::string wire = desk.message(message);
    for (int number = 0; number < 256; ++number) {
        CAPTURE(place, number);
        wire[place] = static_cast<char>(number);
        CHECK(parse_worker_message(wire).has_value() == (number <= 1));
    }
}

TEST_CASE("part of a worker's message, or one with something behind it, is none", "[worker_messages]")
{
    Desk desk;
    for (const std::string& wire : every_worker_message(desk)) {
        for (std::size_t n = 0; n < wire.size(); ++n) {
            CAPTURE(n);
            CHECK_FALSE(parse_worker_message(std::string_view{wire}.substr(0, n)));
        }
        CHECK(parse_worker_message(wire));
        CHECK_FALSE(parse_worker_message(wire + '\0'));
    }
}

TEST_CASE("a worker's message with one wrong byte never becomes something unheard of", "[worker_messages]")
{
    Desk desk;
    for (const std::string& wire : every_worker_message(desk))
        for (const std::string& changed : with_one_byte_changed(wire))
            if (const auto message = parse_worker_message(changed); message && !is_sound(*message))
                FAIL_CHECK("believed: " << Catch::Detail::stringify(changed));
}

TEST_CASE("a task is no worker's message, and a worker's message no task", "[worker_messages]")
{
    Desk desk;
    CHECK_FALSE(parse_worker_message(desk.question(desk.request("alice", "s3cret"))));
    CHECK_FALSE(parse_worker_message(desk.probe({8, 2s, 1})));
    for (const std::string& wire : every_worker_message(desk))
        CHECK_FALSE(parse_worker_task(wire, desk.arena));
}

} // namespace postern
