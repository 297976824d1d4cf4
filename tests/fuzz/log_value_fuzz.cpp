// SPDX-License-Identifier: BSD-2-Clause

// Whatever a stranger calls himself, a log line shows it without being forged, and an admin can tell what it
// was.
#include "base/log.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/support/log_text.hpp"

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    FuzzInput input{data, size};
    const std::size_t bytes_max = input.take_number();
    const std::string_view value = input.rest();

    const std::string whole = escape_log_value(value, 4 * value.size());
    promise(is_harmless_in_log(whole), "a value cannot break or forge a line");
    promise(unescape_log_value(whole) == value, "the value can be told from what the log shows");

    const std::string cut = escape_log_value(value, bytes_max);
    promise(is_harmless_in_log(cut), "a value that was cut cannot break or forge a line");
    promise(cut.size() <= bytes_max + 3, "a value cannot flood a line");
    promise(cut == whole ||
                (cut.ends_with("...") && whole.starts_with(std::string_view{cut}.substr(0, cut.size() - 3))),
            "a cut value is the beginning of the value");

    const std::string line = escape_log_line(value, bytes_max);
    promise(line.size() <= bytes_max + 3, "a line cannot flood a log");
    promise(line.find('\n') == std::string::npos && line.find('\0') == std::string::npos,
            "a line of somebody else is one line");
    return 0;
}
