// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_reader.hpp"

#include "base/nul_byte.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace postern {

namespace {

constexpr std::string_view blanks = " \t";

/// Words with one blank between them.
std::string in_single_blanks(std::string_view text)
{
    std::string words;
    for (const char c : trimmed(text)) {
        const bool is_blank = blanks.find(c) != std::string_view::npos;
        if (!is_blank)
            words += c;
        else if (words.back() != ' ')
            words += ' ';
    }
    return words;
}

bool is_in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"._-"}.find(c) != std::string_view::npos;
}

bool is_name(std::string_view text)
{
    return !text.empty() && text.size() <= config_name_bytes_max && std::ranges::all_of(text, is_in_name);
}

class Reader {
public:
    explicit Reader(std::string_view text) : rest_{text} {}

    ConfigText read() &&;

private:
    [[nodiscard]] std::string_view next_line();
    void take(std::string_view line);
    void take_header(std::string_view line);
    void take_entry(std::string_view line);
    void lose(std::string_view line, const char* problem);

    /// In the section that the line belongs to.
    void add_problem(std::string text, const std::string& key = {});

    enum class Place { before_any, in_section, in_lost_section };

    std::string_view rest_;
    std::size_t line_ = 0;
    Place place_ = Place::before_any;
    ConfigText result_;
    std::set<std::string> titles_;
    std::set<std::string> keys_; ///< of the section
};

ConfigText Reader::read() &&
{
    if (rest_.size() > config_file_bytes_max) {
        add_problem("the file is larger than the 1 MiB that were expected at most");
        return std::move(result_);
    }
    while (!rest_.empty())
        take(next_line());
    return std::move(result_);
}

/// Without its end, which is a newline or CR and newline.
std::string_view Reader::next_line()
{
    ++line_;
    const std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (end != std::string_view::npos && line.ends_with('\r'))
        line.remove_suffix(1);
    return line;
}

void Reader::take(std::string_view line)
{
    const std::string_view content = trimmed(line);
    if (line.size() > config_line_bytes_max)
        lose(content, "the line is longer than the 64 KiB that were expected at most");
    else if (has_nul(line))
        lose(content, "the line holds a NUL byte; text was expected");
    else if (content.empty() || content.front() == '#' || content.front() == ';')
        return;
    else if (content.front() == '[')
        take_header(content);
    else
        take_entry(line);
}

void Reader::take_header(std::string_view line)
{
    const std::string_view words = line.substr(1, line.size() - 2);
    const std::string title = in_single_blanks(words);
    const std::size_t kind_end = std::min(title.find(' '), title.size());
    const std::string kind = title.substr(0, kind_end);
    const std::string name = title.substr(std::min(kind_end + 1, title.size()));
    const bool is_whole = line.size() > 1 && line.ends_with(']');
    if (!is_whole || !is_name(kind) || !(name.empty() || is_name(name))) {
        place_ = Place::in_lost_section;
        return add_problem(
            "[section] or [section NAME] was expected, alone on its line, and names of at most " +
            std::to_string(config_name_bytes_max) + " letters, digits, dots, - and _");
    }
    place_ = Place::in_section;
    keys_.clear();
    result_.sections.push_back({line_, kind, name, {}});
    if (!titles_.insert(title).second)
        add_problem("this section stands twice; its keys were expected in one place");
}

/// A line that cannot be read. If it was to begin a section, what follows belongs nowhere.
void Reader::lose(std::string_view line, const char* problem)
{
    if (line.starts_with('['))
        place_ = Place::in_lost_section;
    add_problem(problem);
}

/// The line may be the rest of a broken password: nothing of it is shown before it has a key.
void Reader::take_entry(std::string_view line)
{
    if (place_ == Place::in_lost_section)
        return;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos)
        return add_problem("key = value was expected");
    std::string key = in_single_blanks(line.substr(0, equals));
    if (key.empty())
        return add_problem("a key was expected in front of the =");
    if (place_ == Place::before_any)
        return add_problem("a [section] was expected before the first key", key);
    std::string_view value = line.substr(equals + 1);
    if (!value.empty() && blanks.find(value.front()) != std::string_view::npos)
        value.remove_prefix(1);
    if (!keys_.insert(key).second)
        return add_problem("this key stands twice in its section; it was expected once", key);
    result_.sections.back().entries.push_back({line_, std::move(key), value});
}

void Reader::add_problem(std::string text, const std::string& key)
{
    const bool has_section = place_ == Place::in_section;
    result_.problems.push_back(
        {line_, has_section ? result_.sections.back().title() : "", shown_key(key), std::move(text)});
}

} // namespace

const ConfigEntry* ConfigSection::find(std::string_view key) const noexcept
{
    const auto found = std::ranges::find(entries, key, &ConfigEntry::key);
    return found == entries.end() ? nullptr : &*found;
}

std::string shown_key(const std::string& key)
{
    const std::size_t end = key.find_first_of(" :");
    const bool is_next_on =
        key.starts_with("next_on ") && key.find_first_of(" :", end + 1) == std::string::npos;
    return is_next_on ? key : key.substr(0, end);
}

std::string_view trimmed(std::string_view text) noexcept
{
    const std::size_t begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos)
        return {};
    return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

ConfigText read_config_text(std::string_view text)
{
    return Reader{text}.read();
}

} // namespace postern
