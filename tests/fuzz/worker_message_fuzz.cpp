// SPDX-License-Identifier: BSD-2-Clause

// The channel between front and worker, with a hostile process on either side of it: a message is refused, or
// it is exactly what our own code would have written.
#include "protocol/worker_messages.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>

using namespace postern;

namespace {

constexpr std::size_t slot_bytes = 1024;
constexpr std::size_t text_bytes_max = 1024;

void check(const Question& question, std::string_view bytes, std::string& memory)
{
    promise(question.request.password.size() <= slot_bytes, "a password fits its slot");
    promise(write_question(memory, question.id, question.time_left, question.servers_left_alone,
                           question.request) == bytes,
            "a question is what our own code would have written");
}

void check(const Probe& probe, std::string_view bytes, std::string& memory)
{
    promise(write_probe(memory, probe) == bytes, "a probe is what our own code would have written");
}

void check(const Prepare& prepare, std::string_view bytes, std::string& memory)
{
    promise(write_prepare(memory, prepare) == bytes, "a Prepare is what our own code would have written");
}

void check_task(std::string_view bytes, std::string& memory)
{
    static SecretArena arena{slot_bytes, 1};
    if (const auto task = parse_worker_task(bytes, arena))
        std::visit([&](const auto& known) { check(known, bytes, memory); }, *task);
    promise(arena.slots_free() == 1, "no slot is lost");
}

std::size_t text_bytes(const WorkerMessage& message)
{
    if (const auto* const answer = std::get_if<Answer>(&message))
        return answer->decision.reason.size();
    if (const auto* const line = std::get_if<WorkerLogLine>(&message))
        return line->text.size();
    if (const auto* const failed = std::get_if<ServerFailed>(&message))
        return failed->problem.size();
    return 0;
}

void check_worker_message(std::string_view bytes, std::string& memory)
{
    const auto message = parse_worker_message(bytes);
    if (!message)
        return;
    if (const auto* const answer = std::get_if<Answer>(&*message))
        promise(verdict_text(answer->decision.verdict) != "invalid", "an answer names a verdict");
    if (const auto* const failed = std::get_if<ServerFailed>(&*message))
        promise(failed->server < 32, "a set of servers can name the one that failed");
    const std::string_view written = write_worker_message(memory, *message);
    if (text_bytes(*message) <= text_bytes_max)
        promise(written == bytes, "a message is what our own code would have written");
    else
        promise(written.size() < bytes.size(), "a long text is cut");
    promise(parse_worker_message(written).has_value(), "what is written can be read");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes = FuzzInput{data, size}.rest();
    std::string memory(std::max(bytes.size(), worker_message_bytes_max(slot_bytes)), '\0');
    check_task(bytes, memory);
    check_worker_message(bytes, memory);
    return 0;
}
