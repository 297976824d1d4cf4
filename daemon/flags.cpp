// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/flags.hpp"

#include "base/spelling.hpp"
#include "daemon/config_file.hpp"
#include "daemon/saslauthd_conf.hpp"

#include <algorithm>
#include <set>

namespace postern {

namespace {

namespace po = boost::program_options;

po::options_description flags_of_saslauthd()
{
    po::options_description flags{"Flags of saslauthd"};
    // clang-format off
    flags.add_options()
        (",a", po::value<std::vector<std::string>>()->value_name("LIST"), "whom to ask: one mechanism, or several, asked in this order: A,B")
        (",c", po::bool_switch(), "keep successful logins in memory for a while")
        (",d", po::bool_switch(), "stay in the foreground and say more, also on the terminal")
        (",f", po::bool_switch(), "stay in the foreground")
        ("help,h", po::bool_switch(), "print this help")
        (",l", po::bool_switch(), "accepted for saslauthd's sake: there is no lock to disable")
        (",m", po::value<std::string>()->value_name("DIR"), "run directory; the socket is DIR/mux (default /var/run/saslauthd)")
        (",n", po::value<std::string>()->value_name("N"), "workers kept ready for each mechanism (default 5)")
        (",O", po::value<std::vector<std::string>>()->value_name("OPTION"), "the file that ldap and kerberos5 read (default /etc/saslauthd.conf), or the HOST[/PORT] that rimap asks")
        (",r", po::bool_switch(), "join login and realm: login@realm")
        (",s", po::value<std::string>()->value_name("KIB"), "with -c: memory for them (default 963)")
        (",t", po::value<std::string>()->value_name("SECONDS"), "with -c: for how long (default 28800)")
        (",V", po::bool_switch(), "say more in the log")
        ("version,v", po::bool_switch(), "print the version and the mechanisms")
        (",T", po::bool_switch(), "accepted: only saslauthd's man page knows it")
        (",H", po::value<std::string>()->value_name("HOST"), "accepted: only saslauthd's man page knows it");
    // clang-format on
    return flags;
}

void add_option(po::options_description& options, std::string_view key, std::string_view value_name,
                const std::string& help)
{
    const std::string value{value_name};
    options.add_options()(flag_name(key).c_str(), po::value<std::string>()->value_name(value), help.c_str());
}

template <typename Target>
void add_flags(po::options_description& options, std::span<const ConfigKey<Target>> keys)
{
    for (const ConfigKey<Target>& key : keys)
        if (key.is_flag())
            add_option(options, key.name, key.value_name, std::string{key.help});
}

po::options_description options_of_postern()
{
    po::options_description options{"Options of Postern"};
    add_option(options, "config", "FILE",
               std::string{"instead of -a and all that goes with it (default "} + default_config_file + ")");
    options.add_options()("check", po::bool_switch(),
                          "say what is wrong with flags or FILE, and start nothing");
    add_flags(options, listener_keys());
    add_flags(options, route_keys());
    add_flags(options, pool_keys());
    add_flags(options, daemon_keys());
    return options;
}

/// Whoever lists processes reads their arguments: a password is no flag.
bool is_flag(const BackendOption& option)
{
    return option.kind != OptionKind::secret;
}

po::options_description options_of(const BackendType& type)
{
    po::options_description options{"Options of " + std::string{type.name} + ", " +
                                    std::string{type.summary}};
    for (const BackendOption& option : type.options) {
        const std::string default_value{option.default_value};
        if (is_flag(option))
            add_option(options, option.key, option.value_name,
                       std::string{option.help} +
                           (default_value.empty() ? "" : " (default " + default_value + ")"));
    }
    return options;
}

/// A flag may be repeated, and the last one counts: start scripts append theirs to the admin's. Of -a
/// each is kept, so that two can be refused, and of -O, since two types may take something different by it.
void keep_last(std::vector<po::option>& options)
{
    std::set<std::string> seen;
    std::vector<po::option> kept;
    for (auto option = options.rbegin(); option != options.rend(); ++option)
        if (option->string_key == "-a" || option->string_key == "-O" ||
            seen.insert(option->string_key).second)
            kept.push_back(*option);
    options.assign(kept.rbegin(), kept.rend());
}

/// Boost calls the option -n "--n".
std::string as_typed(const std::string& name)
{
    return name.size() == 3 && name.starts_with("--") ? name.substr(1) : name;
}

void refuse_secret(const BackendType& type, const BackendOption& option, const std::string& given)
{
    const bool is_meant = given == "--" + flag_name(option.key) ||
                          (!option.alias.empty() && given == "--" + flag_name(option.alias));
    if (is_flag(option) || !is_meant)
        return;
    const bool has_conf = type.mech_option == MechOption::saslauthd_conf;
    throw ConfigError{given +
                      " would show a password to everybody who lists processes; it goes into a file, as " +
                      std::string{option.key} + " of a [backend NAME]: --config FILE" +
                      (has_conf ? ", or of " + std::string{default_saslauthd_conf} : "")};
}

void refuse_secrets(const std::string& given)
{
    for (const BackendType& type : backend_types())
        for (const BackendOption& option : type.options)
            refuse_secret(type, option, given);
}

/// Boost's complaint in our words, with a suggestion for a misspelt long option.
[[noreturn]] void throw_config_error(const po::error& error, const po::options_description& options)
{
    if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&error)) {
        const std::string typed_name = unknown->get_option_name();
        const std::string given =
            typed_name.substr(0, typed_name.find('=')); // what follows may be a password
        refuse_secrets(given);
        std::vector<std::string> names;
        for (const auto& option : options.options())
            if (option->long_name().size() > 1)
                names.push_back("--" + option->long_name());
        throw ConfigError{"unknown option " + given + did_you_mean(given, names)};
    }
    if (dynamic_cast<const po::too_many_positional_options_error*>(&error) != nullptr)
        throw ConfigError{"stray arguments: every argument belongs to an option"};
    const auto* const syntax = dynamic_cast<const po::invalid_command_line_syntax*>(&error);
    if (syntax != nullptr && syntax->kind() == po::invalid_syntax::missing_parameter)
        throw ConfigError{as_typed(syntax->get_option_name()) + " needs a value"};
    throw ConfigError{error.what()};
}

} // namespace

po::options_description all_flags()
{
    po::options_description options;
    options.add(flags_of_saslauthd()).add(options_of_postern());
    for (const BackendType& type : backend_types())
        if (std::ranges::any_of(type.options, is_flag))
            options.add(options_of(type));
    return options;
}

std::string flag_name(std::string_view key)
{
    std::string name{key};
    std::ranges::replace(name, '_', '-');
    return name;
}

GivenFlags::GivenFlags(const std::vector<std::string>& arguments)
{
    namespace style = po::command_line_style;
    const po::options_description options = all_flags();
    try {
        po::command_line_parser parser{arguments};
        parser.options(options).positional({});
        parser.style(style::allow_short | style::allow_dash_for_short | style::short_allow_adjacent |
                     style::short_allow_next | style::allow_sticky | style::allow_long |
                     style::long_allow_adjacent | style::long_allow_next);
        po::parsed_options parsed = parser.run();
        keep_last(parsed.options);
        po::store(parsed, map_);
    } catch (const po::error& error) {
        throw_config_error(error, options);
    }
}

std::vector<std::string> GivenFlags::names() const
{
    std::vector<std::string> names;
    for (const auto& [name, value] : map_)
        if (!value.defaulted())
            names.push_back(name);
    return names;
}

std::vector<std::string> GivenFlags::list(const char* name) const
{
    return has(name) ? map_[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::string GivenFlags::typed(const std::string& name)
{
    return name.starts_with('-') ? name : "--" + name;
}

} // namespace postern
