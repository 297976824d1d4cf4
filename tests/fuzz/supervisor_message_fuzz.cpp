// SPDX-License-Identifier: BSD-2-Clause

// The channel between supervisor and front, with a front that strangers have taken over: a message is refused,
// or it is exactly what our own code would have written.
#include "protocol/supervisor_messages.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes = FuzzInput{data, size}.rest();
    std::array<char, supervisor_message_bytes_max> memory{};
    const auto from_front = parse_front_message(bytes);
    const auto from_supervisor = parse_supervisor_message(bytes);
    promise(!from_front || !from_supervisor, "no message means something both ways");
    if (from_front)
        promise(write_front_message(memory, *from_front) == bytes, "a message is what our own code would have written");
    if (from_supervisor)
        promise(write_supervisor_message(memory, *from_supervisor) == bytes,
                "a message is what our own code would have written");
    return 0;
}
