// SPDX-License-Identifier: BSD-2-Clause

// The control socket, both ways: a line means a request, or a problem that can be told; and what a tool takes
// from a reply, it would write again. Nothing throws.
#include "protocol/control_messages.hpp"
#include "tests/fuzz/fuzz.hpp"

using namespace postern;

namespace {

void check_line(const std::string& line)
{
    promise(line.find('\n') + 1 == line.size(), "a line ends with its newline and has no other");
}

void check_request(std::string_view bytes)
{
    const auto request = control::parse_request(bytes);
    if (const auto* const understood = std::get_if<control::Request>(&request)) {
        const std::string line = control::write_request(*understood);
        check_line(line);
        promise(line.size() > control::request_bytes_max || control::parse_request(line) == request,
                "a request is understood again");
        return;
    }
    const std::string line = control::write_problem(std::get<std::string>(request));
    check_line(line);
    const auto reply = control::parse_reply(line);
    promise(reply && !reply->is_ok && !reply->problem.empty(), "what is no request can be told why");
}

void check_reply(std::string_view bytes)
{
    const auto reply = control::parse_reply(bytes);
    if (!reply || !reply->status)
        return;
    const std::string line = control::write_status(*reply->status);
    check_line(line);
    const auto again = control::parse_reply(line);
    promise(again && again->status, "a status that was read can be written");
    promise(control::write_status(*again->status) == line, "a status is understood as it was written");
    for (const char byte : reply->status_json)
        promise(byte >= 0x20 && byte < 0x7f, "the JSON of a status is plain text on one line");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view bytes = FuzzInput{data, size}.rest();
    check_request(bytes);
    check_reply(bytes);
    return 0;
}
