// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_problem.hpp"

#include "daemon/config_values.hpp"

#include <algorithm>

namespace postern {

namespace {

std::string line_of(const std::string& path, const ConfigProblem& problem)
{
    std::string text = path + ':';
    text += problem.line == 0 ? "" : std::to_string(problem.line) + ':';
    text += problem.section.empty() ? "" : " [" + problem.section + ']';
    text += problem.key.empty() ? "" : ' ' + shown(problem.key);
    text += problem.section.empty() && problem.key.empty() ? " " : ": ";
    return text + problem.text;
}

} // namespace

std::vector<std::string> problem_lines(const std::string& path, std::vector<ConfigProblem> problems)
{
    std::ranges::stable_sort(problems, {}, &ConfigProblem::line);
    const std::size_t more = problems.size() - std::min(problems.size(), problems_shown_max);
    problems.resize(problems.size() - more);
    std::vector<std::string> lines;
    for (const ConfigProblem& problem : problems)
        lines.push_back(line_of(path, problem));
    if (more > 0)
        lines.push_back(path + ": and " + std::to_string(more) + " more");
    return lines;
}

std::string joined_lines(const std::vector<std::string>& lines)
{
    std::string text;
    for (const std::string& line : lines)
        text.append(text.empty() ? "" : "\n").append(line);
    return text;
}

} // namespace postern
