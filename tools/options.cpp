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

po::options_description with_help(po::options_description options)
{
    options.add_options()("help,h", "say this");
    return options;
}

void print_help(const OptionRules& rules)
{
    std::cout << "usage: " << rules.synopsis << "\n\n" << with_help(rules.options) << '\n' << rules.notes;
}

/// The option as it was typed, without a value: a misspelt --password has one too.
std::string name_of(const po::unknown_option& error)
{
    constexpr std::size_t letter_bytes = 2; // "-x"
    const std::string typed = error.get_option_name();
    return typed.substr(0, typed.starts_with("--") ? typed.find('=') : letter_bytes);
}

std::string hint(const po::options_description& options, const std::string& given)
{
    std::vector<std::string> names;
    for (const auto& option : options.options())
        names.push_back("--" + option->long_name());
    return did_you_mean(given, names);
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

/// A flag without a value: --json, -h.
bool is_switch(const std::string& flag, const po::options_description& options)
{
    const std::string name = flag.starts_with("--") ? flag.substr(2) : flag;
    const po::option_description* const known = options.find_nothrow(name, false);
    return known != nullptr && known->semantic()->max_tokens() == 0;
}

/// Whether the next argument is the flag's value.
bool wants_value(std::string_view argument, const po::options_description& options)
{
    const bool is_long = argument.starts_with("--");
    const bool is_alone = is_long ? argument.size() > 2 && argument.find('=') == std::string_view::npos
                                  : argument.size() == 2 && argument.front() == '-';
    return is_alone && !is_switch(std::string{argument}, options);
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
    po::options_description options = with_help(rules.options);
    options.add(rules.words);
    try {
        po::variables_map values = parse(rules, options, arguments);
        if (!values.contains("help"))
            return values;
    } catch (const po::unknown_option& error) {
        const std::string given = name_of(error);
        throw UsageError{"unknown option " + given + hint(options, given) + "\nusage: " + rules.synopsis};
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

std::optional<Secret> take_password(std::vector<char*>& arguments, const po::options_description& options,
                                    SecretArena& secrets)
{
    const po::options_description known = with_help(options);
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
            at += wants_value(argument, known) && has_next ? 2 : 1;
        }
    }
    return password;
}

} // namespace postern
