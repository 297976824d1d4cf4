// SPDX-License-Identifier: BSD-2-Clause

// Whatever is in a configuration file, each line is a section, an entry, a comment or a problem, and an entry
// is exactly what stands in its line.
#include "daemon/config_reader.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace postern;

namespace {

std::vector<std::string_view> lines_of(std::string_view text)
{
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

bool is_comment(std::string_view line)
{
    const std::string_view content = trimmed(line);
    return content.empty() || content == "\r" || content.front() == '#' || content.front() == ';';
}

void check_entry(const ConfigEntry& entry, const std::vector<std::string_view>& lines)
{
    promise(entry.line >= 1 && entry.line <= lines.size(), "an entry has a line");
    const std::string_view line = lines[entry.line - 1];
    promise(entry.value.find_first_of(std::string_view{"\n\0", 2}) == std::string_view::npos,
            "a value has neither a line break nor a NUL");
    promise(entry.value.data() >= line.data() &&
                entry.value.data() + entry.value.size() <= line.data() + line.size(),
            "a value is a part of its line");
    const std::size_t behind =
        static_cast<std::size_t>(line.data() + line.size() - (entry.value.data() + entry.value.size()));
    promise(behind == 0 || (behind == 1 && line.ends_with('\r')), "a value goes to the end of its line");
    const std::string_view front = line.substr(0, static_cast<std::size_t>(entry.value.data() - line.data()));
    const std::size_t equals = front.find('=');
    promise(equals != std::string_view::npos && front.size() - equals <= 2, "a value begins behind its =");
    promise(!entry.key.empty() && trimmed(entry.key) == entry.key, "a key is words");
    promise(entry.key.find('=') == std::string::npos, "a key ends before the =");
    promise(!is_comment(line), "a comment is no entry");
}

void check_section(const ConfigSection& section, const std::vector<std::string_view>& lines)
{
    promise(!section.kind.empty() && section.kind.size() <= config_name_bytes_max, "a section has a kind");
    promise(section.name.size() <= config_name_bytes_max, "a name has a bound");
    const std::string_view header = trimmed(lines.at(section.line - 1));
    promise(header.starts_with('['), "a section begins with its title");
    std::size_t last = section.line;
    for (const ConfigEntry& entry : section.entries) {
        promise(entry.line > last, "entries stand in the order of their lines");
        last = entry.line;
        check_entry(entry, lines);
        promise(section.find(entry.key) == &entry, "a key stands once");
    }
}

std::size_t entries_in(const ConfigText& read)
{
    std::size_t entries = 0;
    for (const ConfigSection& section : read.sections)
        entries += section.entries.size();
    return entries;
}

/// Comments and blank lines are all that may be left out of a text without problems.
void check_whole(const ConfigText& read, const std::vector<std::string_view>& lines)
{
    if (!read.problems.empty())
        return;
    const auto comments = std::ranges::count_if(lines, is_comment);
    promise(read.sections.size() + entries_in(read) + static_cast<std::size_t>(comments) == lines.size(),
            "no line is lost");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view text = FuzzInput{data, size}.rest();
    const std::vector<std::string_view> lines = lines_of(text);
    const ConfigText read = read_config_text(text);
    for (const ConfigSection& section : read.sections)
        check_section(section, lines);
    for (const ConfigProblem& problem : read.problems)
        promise(problem.line <= lines.size() && !problem.text.empty(), "a problem has a line and a text");
    check_whole(read, lines);
    return 0;
}
