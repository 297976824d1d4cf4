// SPDX-License-Identifier: BSD-2-Clause
//
// The terminal keeps its modes and its cursor, so that there is nothing to put back: a signal may end the
// process at any time.
#include "tools/status_watch.hpp"

#include "tools/status_text.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <sstream>
#include <thread>
#include <vector>

namespace postern {

namespace {

constexpr std::string_view clear_screen = "\x1b[H\x1b[2J";
constexpr std::string_view go_home = "\x1b[H";
constexpr std::string_view clear_line = "\x1b[K";
constexpr std::string_view clear_below = "\x1b[J";

bool has_answer(const ControlOutcome& outcome)
{
    return outcome.kind == ControlOutcome::Kind::answered && outcome.reply.is_ok;
}

bool is_another_front(const StatusReport& last, const StatusReport& report)
{
    return last.front != report.front || last.since != report.since;
}

/// The first line of why there is no status.
std::string trouble_of(const ControlOutcome& outcome)
{
    const std::string& text =
        outcome.kind == ControlOutcome::Kind::answered ? outcome.reply.problem : outcome.cause;
    return printable(std::string_view{text}.substr(0, text.find('\n')));
}

/// The beginning of a line in UTF-8.
std::string_view cut(std::string_view line, std::size_t columns)
{
    std::size_t bytes = 0;
    for (std::size_t width = 0; bytes < line.size(); ++bytes) {
        const bool begins_character = (static_cast<unsigned char>(line[bytes]) & 0xc0U) != 0x80U;
        if (begins_character && ++width > columns)
            break;
    }
    return line.substr(0, bytes);
}

void show_in_place(const std::string& text)
{
    winsize size{};
    ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    constexpr std::size_t usual_rows = 24;
    constexpr std::size_t usual_columns = 80;
    std::istringstream lines{text_for_screen(text, size.ws_row > 1 ? size.ws_row : usual_rows,
                                             size.ws_col > 0 ? size.ws_col : usual_columns)};
    std::cout << go_home;
    for (std::string line; std::getline(lines, line);)
        std::cout << line << clear_line << '\n';
    std::cout << clear_below << std::flush;
}

/// In a pipe an empty line stands between two.
void show(const std::string& text, bool is_in_place)
{
    if (is_in_place)
        show_in_place(text);
    else
        std::cout << text << std::endl;
}

/// Who reads JSON reads nothing else.
void show_json(const ControlOutcome& outcome)
{
    if (has_answer(outcome))
        std::cout << outcome.reply.status_json << std::endl;
    else
        std::cerr << "postern: " << trouble_of(outcome) << '\n';
}

} // namespace

std::string text_for_screen(std::string_view text, std::size_t rows, std::size_t columns)
{
    std::vector<std::string_view> lines;
    for (; !text.empty(); text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1))
        lines.push_back(text.substr(0, text.find('\n')));
    const std::size_t room = std::max<std::size_t>(rows, 2) - 1; // the cursor stands below
    const std::size_t shown = lines.size() > room ? room - 1 : lines.size();
    std::string result;
    for (std::size_t i = 0; i < shown; ++i)
        result.append(cut(lines[i], columns)).append("\n");
    if (shown < lines.size())
        result.append(cut(std::to_string(lines.size() - shown) + " more lines", columns)).append("\n");
    return result;
}

std::string StatusWatch::look(const ControlOutcome& outcome, Clock::time_point now, std::int64_t wall)
{
    if (has_answer(outcome))
        return look(*outcome.reply.status, now, wall);
    return trouble_of(outcome) + '\n' +
           (last_ ? "the last answer came at " + local_time(last_wall_) + '\n' : "");
}

std::string StatusWatch::look(const StatusReport& report, Clock::time_point now, std::int64_t wall)
{
    std::string rates;
    if (last_ && is_another_front(*last_, report))
        note_ = "another front answers since " + local_time(wall) + ", and counts anew\n";
    else if (last_)
        rates = rates_text(*last_, report, std::chrono::duration<double>{now - last_at_}.count()) + '\n';
    last_ = report;
    last_at_ = now;
    last_wall_ = wall;
    return note_ + rates + status_text(report, wall);
}

int watch_status(const std::function<ControlOutcome()>& ask, std::chrono::milliseconds interval,
                 bool wants_json)
{
    const bool is_in_place = ::isatty(STDOUT_FILENO) == 1 && !wants_json;
    StatusWatch watch;
    ControlOutcome outcome = ask();
    if (!has_answer(outcome))
        return report_trouble(outcome);
    if (is_in_place)
        std::cout << clear_screen;
    for (auto next = StatusWatch::Clock::now(); std::cout; outcome = ask()) {
        if (wants_json)
            show_json(outcome);
        else
            show(watch.look(outcome, StatusWatch::Clock::now(), std::time(nullptr)), is_in_place);
        next = std::max(next + interval, StatusWatch::Clock::now());
        std::this_thread::sleep_until(next);
    }
    return EXIT_FAILURE;
}

} // namespace postern
