// SPDX-License-Identifier: BSD-2-Clause
#include "tools/options.hpp"

#include "base/spelling.hpp"

#include <sodium.h>

#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <cstring>
#include <iostream>
#include <string_view>

namespace postern {

namespace po = boost::program_options;

namespace {

po::options_description with_help(const OptionRules& rules)
{
    po::options_description options = rules.options;
    options.add_options()("help,h", "say this");
    return options;
}

void print_help(const OptionRules& rules)
{
    std::cout << "usage: " << rules.synopsis << "\n\n" << with_help(rules) << '\n' << rules.notes;
}

std::string hint(const po::options_description& options, const po::unknown_option& error)
{
    std::vector<std::string> names;
    for (const auto& option : options.options())
        names.push_back("--" + option->long_name());
    return did_you_mean(error.get_option_name(), names);
}

po::variables_map parse(const OptionRules& rules, const po::options_description& options,
                        const std::vector<char*>& arguments)
{
    constexpr int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    const std::vector<std::string> words{arguments.begin(), arguments.end()};
    po::variables_map values;
    po::store(po::command_line_parser(words).options(options).positional(rules.positions).style(style).run(),
              values);
    if (!values.contains("help"))
        po::notify(values);
    return values;
}

/// Whether the next argument is the flag's value.
bool wants_value(std::string_view argument)
{
    if (argument.starts_with("--"))
        return argument.size() > 2 && argument != "--help" && argument.find('=') == std::string_view::npos;
    return argument.size() == 2 && argument.front() == '-' && argument != "-h";
}

/// The password in an argument that is flag and value at once: -pVALUE, --password=VALUE. Null: in none.
char* attached_password(char* argument)
{
    const std::string_view text{argument};
    for (const std::string_view flag : {"--password=", "-p"})
        if (text.starts_with(flag) && text != "-p")
            return argument + flag.size();
    return nullptr;
}

} // namespace

std::optional<po::variables_map> parse_options(const OptionRules& rules, const std::vector<char*>& arguments)
{
    po::options_description options = with_help(rules);
    options.add(rules.words);
    try {
        po::variables_map values = parse(rules, options, arguments);
        if (!values.contains("help"))
            return values;
    } catch (const po::unknown_option& error) {
        throw UsageError{error.what() + hint(options, error) + "\nusage: " + rules.synopsis};
    } catch (const po::error& error) {
        throw UsageError{error.what() + std::string{"\nusage: "} + rules.synopsis};
    }
    print_help(rules);
    return std::nullopt;
}

Secret take_argument(char* argument, SecretArena& secrets)
{
    const std::size_t size = std::strlen(argument);
    if (size > secrets.slot_bytes())
        throw UsageError{"the password is longer than " + std::to_string(secrets.slot_bytes()) + " bytes"};
    Secret secret{secrets, argument};
    sodium_memzero(argument, size);
    return secret;
}

std::optional<Secret> take_password(std::vector<char*>& arguments, SecretArena& secrets)
{
    std::optional<Secret> password;
    for (auto at = arguments.begin(); at != arguments.end();) {
        const std::string_view argument{*at};
        const bool has_next = at + 1 != arguments.end();
        if (argument == "--")
            break;
        if ((argument == "-p" || argument == "--password") && has_next) {
            password = take_argument(*(at + 1), secrets);
            at = arguments.erase(at, at + 2);
        } else if (char* const value = attached_password(*at); value != nullptr) {
            password = take_argument(value, secrets);
            at = arguments.erase(at);
        } else {
            at += wants_value(argument) && has_next ? 2 : 1;
        }
    }
    return password;
}

} // namespace postern
