// SPDX-License-Identifier: BSD-2-Clause
//
// Which of the two doors is taken: saslauthd's flags, or postern.conf. With --config the file says all that
// the flags would say, and few flags go along with it.
#include "daemon/command_line.hpp"

#include "base/version.hpp"
#include "daemon/config_file.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/config_values.hpp"
#include "daemon/drop_in.hpp"
#include "daemon/flags.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>

namespace postern {

namespace {

std::string version_text()
{
    std::string text = "postern " + std::string{version} + "\nauthentication mechanisms:";
    for (const BackendType& type : backend_types())
        text += ' ' + std::string{type.name};
    return text + '\n';
}

/// What both doors take: how it runs, and where the log goes.
Config read_manner(const GivenFlags& given)
{
    Config config;
    config.is_verbose = given.has_flag("-V") || given.has_flag("-d");
    config.stays_in_foreground = given.has_flag("-d") || given.has_flag("-f");
    config.log = config.stays_in_foreground ? LogTarget::syslog_and_stderr : LogTarget::syslog;
    return config;
}

/// `who` says so.
void refuse_log_without_terminal(const Config& config, const std::string& who)
{
    if (config.log == LogTarget::stderr_only && !config.stays_in_foreground)
        throw ConfigError{who + " needs -f or -d: in the background there is no terminal to write to"};
}

/// Where the file says what a letter says to saslauthd.
struct LetterInFile {
    std::string_view flag;
    std::string_view place;
};

constexpr std::array letters_in_file{
    LetterInFile{"-m", "run_directory of [daemon] and socket of a [listener NAME]"},
    LetterInFile{"-n", "workers of a [backend NAME]"},
    LetterInFile{"-O", "the options of a [backend NAME]"},
    LetterInFile{"-r", "join_realm of a [listener NAME]"},
};

constexpr std::array<std::string_view, 8> goes_with_file{"-d",    "-f",     "-V",   "log",
                                                         "check", "config", "help", "version"};

std::string place_in_file(const std::string& name)
{
    const auto* const letter = std::ranges::find(letters_in_file, name, &LetterInFile::flag);
    if (letter != letters_in_file.end())
        return std::string{letter->place};
    std::string key = name;
    std::ranges::replace(key, '-', '_');
    const std::string place = place_of_key(key);
    return place.empty() ? "" : key + " of " + place;
}

void refuse_flags_beside_file(const GivenFlags& given, const std::string& path, const std::string& hint)
{
    if (given.has("-a"))
        throw ConfigError{"-a and --config exclude each other: one of them says whom to ask"};
    for (const std::string& name : given.names()) {
        if (std::ranges::find(goes_with_file, name) != goes_with_file.end())
            continue;
        const std::string place = place_in_file(name);
        std::string text = GivenFlags::typed(name);
        text.append(place.empty() ? " has no meaning beside " : " goes into ").append(path);
        text.append(place.empty() ? "" : " as ").append(place).append(hint);
        throw ConfigError{text};
    }
}

Config read_flags(const GivenFlags& given)
{
    Config config = read_drop_in(given, read_manner(given));
    refuse_log_without_terminal(config, "--log stderr");
    return config;
}

/// A check needs no terminal: it is not said how the daemon will be started.
Config read_file(const GivenFlags& given, const std::string& path)
{
    Config config = read_config_file(path, read_manner(given));
    given.read("log",
               [&config](const std::string& text) { find_key(daemon_keys(), "log")->set(config, text); });
    if (!given.has_flag("check"))
        refuse_log_without_terminal(config,
                                    given.has("log") ? "--log stderr" : path + ": [daemon] log: stderr");
    return config;
}

/// Absolute, since a daemon that reads it again has gone elsewhere; a check ends where it began.
std::string config_path(const GivenFlags& given)
{
    std::string path = default_config_file;
    given.read("config",
               [&](const std::string& text) { path = given.has_flag("check") ? text : parse_path(text); });
    return path;
}

bool is_called_saslauthd(std::string_view program)
{
    return program.substr(program.rfind('/') + 1) == "saslauthd";
}

CommandLine checked(const GivenFlags& given, Config config, const std::string& what)
{
    if (!given.has_flag("check"))
        return config;
    std::string text;
    for (const std::string& note : config.notes)
        text.append("note: ").append(note).append("\n");
    return CommandLineText{text.append(what).append("\n")};
}

CommandLine read(const GivenFlags& given, const std::string& program)
{
    const bool uses_flags = given.has("-a") || is_called_saslauthd(program);
    if (!given.has("config") && uses_flags)
        return checked(given, read_flags(given), "the flags are OK");
    const std::string path = config_path(given);
    const bool is_chosen = given.has("config");
    refuse_flags_beside_file(given, path, is_chosen ? "" : "; without a file, -a LIST is required");
    if (!is_chosen && !std::filesystem::exists(path))
        throw ConfigError{"there is no " + path + "; without a file, -a LIST is required (-h says more)"};
    return checked(given, read_file(given, path), path + ": OK");
}

} // namespace

CommandLine parse_command_line(std::span<const std::string> arguments)
{
    const GivenFlags given{{arguments.begin() + 1, arguments.end()}};
    if (given.has_flag("help"))
        return CommandLineText{usage_text(arguments.front())};
    if (given.has_flag("version"))
        return CommandLineText{version_text()};
    return read(given, arguments.front());
}

std::string usage_text(const std::string& called_as)
{
    std::ostringstream text;
    text << "usage: " << called_as << " -a LIST [OPTION]...\n"
         << "       " << called_as << " [--config FILE] [--check] [-d | -f] [-V] [--log TARGET]\n\n"
         << "Answers whether a password belongs to a user, on the socket of Cyrus saslauthd.\n"
         << all_flags();
    return text.str();
}

} // namespace postern
