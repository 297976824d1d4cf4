// SPDX-License-Identifier: BSD-2-Clause
#include "tools/control_client.hpp"

#include "base/posix_error.hpp"
#include "tools/daemon_socket.hpp"

#include <sys/stat.h>
#include <sysexits.h>

#include <array>
#include <boost/program_options/value_semantic.hpp>
#include <cerrno>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <utility>

namespace postern {

namespace po = boost::program_options;

namespace {

using std::chrono::milliseconds;
using Kind = ControlOutcome::Kind;

std::string socket_in(const std::string& run_directory)
{
    return run_directory + "/control";
}

ControlOutcome unreachable(std::string cause)
{
    return {Kind::unreachable, {}, std::move(cause)};
}

ControlOutcome not_connected(const std::string& run_directory, int error)
{
    if (error == EACCES || error == EPERM)
        return {Kind::forbidden, {}, "only root may ask the daemon that serves " + run_directory};
    if (error == ETIMEDOUT)
        return unreachable("the daemon that serves " + run_directory + " accepts no connection");
    return unreachable("no daemon serves " + run_directory + ": " + error_text(error));
}

ControlOutcome not_answered(const std::string& run_directory, int error, milliseconds patience)
{
    const std::string daemon = "the daemon that serves " + run_directory;
    if (error == ETIMEDOUT)
        return unreachable(daemon + " has not answered within " + std::to_string(patience.count() / 1000) +
                           " s");
    return unreachable(daemon + " has closed the connection without an answer");
}

/// The first line, or as many bytes as no reply may have. Nothing, with errno, when it does not come.
std::optional<std::string> receive_line(int fd, Deadline deadline)
{
    std::string line;
    std::array<char, 65536> buffer{};
    while (line.size() <= control::reply_bytes_max) {
        const auto got = receive_part(fd, buffer, deadline);
        if (!got || *got == 0) {
            errno = got ? closed_early : errno;
            return std::nullopt;
        }
        line.append(buffer.data(), *got);
        if (const std::size_t newline = line.find('\n', line.size() - *got); newline != std::string::npos)
            return line.substr(0, newline);
    }
    return line;
}

/// Done, and nothing behind it: who answers does not know what there is to say.
bool lacks_what_was_asked(const control::Reply& reply, control::Command command)
{
    return reply.is_ok && ((command == control::Command::status && !reply.status) ||
                           (command == control::Command::flush && !reply.flushed));
}

/// The other byte of a control character that UTF-8 writes as two: C1, of which some terminals are fond.
bool is_c1(std::string_view text, std::size_t at)
{
    const auto next = at + 1 < text.size() ? static_cast<unsigned char>(text[at + 1]) : 0;
    return text[at] == '\xc2' && next >= 0x80 && next < 0xa0;
}

} // namespace

ControlOutcome ask_daemon(const std::string& run_directory, const control::Request& request,
                          milliseconds patience)
{
    const Deadline deadline = std::chrono::steady_clock::now() + patience;
    const UniqueFd socket = connect_to(socket_in(run_directory), patience);
    if (!socket.is_open())
        return not_connected(run_directory, errno);
    if (!send_all(socket.get(), control::write_request(request), deadline))
        return not_answered(run_directory, errno, patience);
    const auto line = receive_line(socket.get(), deadline);
    if (!line)
        return not_answered(run_directory, errno, patience);
    auto reply = control::parse_reply(*line);
    if (!reply || lacks_what_was_asked(*reply, request.command))
        return unreachable("what serves " + run_directory + " does not speak version " +
                           std::to_string(control::version) + " of the control protocol");
    return {Kind::answered, std::move(*reply), ""};
}

std::string run_directory_of(const std::string& first, const std::string& second)
{
    struct stat found {};

    if (::stat(socket_in(first).c_str(), &found) == 0)
        return S_ISSOCK(found.st_mode) ? first : second;
    return errno == EACCES ? first : second;
}

std::string printable(std::string_view text)
{
    std::string shown;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto byte = static_cast<unsigned char>(text[at]);
        const bool steers = byte < 0x20 || byte == 0x7f || is_c1(text, at);
        shown += steers ? '?' : text[at];
        at += is_c1(text, at) ? 1 : 0;
    }
    return shown;
}

void add_control_options(OptionRules& rules, ControlOptions& values, int timeout)
{
    auto add = rules.options.add_options();
    add("run-directory,m", po::value(&values.run_directory)->value_name("DIR"),
        "the run directory of the daemon, as posternd's -m has it; without it, /run/postern if a daemon has "
        "its "
        "control socket there, else /var/run/saslauthd");
    add("timeout,t", po::value(&values.timeout)->default_value(timeout)->value_name("SECONDS"),
        "how long an answer may take");
}

ControlOutcome ask_daemon(const ControlOptions& options, const control::Request& request)
{
    if (options.timeout < 1 || options.timeout > 86400)
        throw UsageError{"--timeout expects seconds, from 1 to 86400"};
    const std::string run_directory = options.run_directory.empty()
                                          ? run_directory_of("/run/postern", "/var/run/saslauthd")
                                          : options.run_directory;
    return ask_daemon(run_directory, request, std::chrono::seconds{options.timeout});
}

int report_trouble(const ControlOutcome& outcome)
{
    const std::string text = outcome.kind == Kind::answered ? outcome.reply.problem : outcome.cause;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);)
        std::cerr << "postern: " << printable(line) << '\n';
    switch (outcome.kind) {
    case Kind::answered: return EXIT_FAILURE;
    case Kind::forbidden: return EX_NOPERM;
    case Kind::unreachable: break;
    }
    return EX_TEMPFAIL;
}

} // namespace postern
