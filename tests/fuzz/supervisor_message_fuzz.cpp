// SPDX-License-Identifier: BSD-2-Clause

// The channel between supervisor and front, with a front that strangers have taken over: a message is
// refused, or it is exactly what our own code would have written.
#include "protocol/supervisor_messages.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>

using namespace postern;

namespace {

/// The one text on this channel is cut when it is written.
bool has_long_problem(const SupervisorMessage& message)
{
    const auto* const ended = std::get_if<ReloadEnded>(&message);
    return ended != nullptr && ended->problem.size() > supervisor_message_bytes_max - 16;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes = FuzzInput{data, size}.rest();
    std::array<char, supervisor_message_bytes_max> memory{};
    const auto from_front = parse_front_message(bytes);
    const auto from_supervisor = parse_supervisor_message(bytes);
    promise(!from_front || !from_supervisor, "no message means something both ways");
    if (from_front) {
        promise(bytes.size() <= front_message_bytes_max, "a front says little at a time");
        promise(write_front_message(memory, *from_front) == bytes,
                "a front's message is what our own code would have written");
    }
    if (from_supervisor) {
        const std::string_view written = write_supervisor_message(memory, *from_supervisor);
        promise(written == bytes || (has_long_problem(*from_supervisor) && written.size() < bytes.size()),
                "a supervisor's message is what our own code would have written");
        promise(parse_supervisor_message(written).has_value(), "what is written can be read");
    }
    return 0;
}
