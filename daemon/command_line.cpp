// SPDX-License-Identifier: BSD-2-Clause
//
// One table of options for both sorts: saslauthd's letters, which its users have in /etc/default/saslauthd,
// and long names for every key of the one listener, route and backend that these letters describe. Those come
// from the tables that postern.conf is read with (config_keys.hpp, backend_types.hpp) and are not listed
// here.
//
// With --config the file says all that, and few flags go along with it.
#include "daemon/command_line.hpp"

#include "base/spelling.hpp"
#include "base/version.hpp"
#include "daemon/config_file.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/config_values.hpp"

#include <algorithm>
#include <array>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <boost/program_options.hpp>
#include <filesystem>
#include <set>
#include <sstream>

namespace postern {

namespace {

namespace po = boost::program_options;

po::options_description flags_of_saslauthd()
{
    po::options_description flags{"Flags of saslauthd"};
    // clang-format off
    flags.add_options()
        (",a", po::value<std::vector<std::string>>()->value_name("LIST"), "whom to ask: one mechanism, or several, asked in this order: A,B")
        (",c", po::bool_switch(), "keep successful logins in memory for a while (not in this version)")
        (",d", po::bool_switch(), "stay in the foreground and say more, also on the terminal")
        (",f", po::bool_switch(), "stay in the foreground")
        ("help,h", po::bool_switch(), "print this help")
        (",l", po::bool_switch(), "accepted for saslauthd's sake: there is no lock to disable")
        (",m", po::value<std::string>()->value_name("DIR"), "run directory; the socket is DIR/mux (default /var/run/saslauthd)")
        (",n", po::value<std::string>()->value_name("N"), "workers kept ready for each mechanism (default 5)")
        (",O", po::value<std::vector<std::string>>()->value_name("OPTION"), "option or configuration file of the mechanism")
        (",r", po::bool_switch(), "join login and realm: login@realm")
        (",s", po::value<std::string>()->value_name("KIB"), "size of the cache (not in this version)")
        (",t", po::value<std::string>()->value_name("SECONDS"), "how long the cache keeps a login (not in this version)")
        (",V", po::bool_switch(), "say more in the log")
        ("version,v", po::bool_switch(), "print the version and the mechanisms")
        (",T", po::bool_switch(), "accepted: only saslauthd's man page knows it")
        (",H", po::value<std::string>()->value_name("HOST"), "accepted: only saslauthd's man page knows it");
    // clang-format on
    return flags;
}

std::string flag_name(std::string_view key)
{
    std::string name{key};
    std::ranges::replace(name, '_', '-');
    return name;
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

po::options_description options_of_backends()
{
    po::options_description options{"Options of backends"};
    for (const BackendType& type : backend_types())
        for (const BackendOption& option : type.options)
            if (is_flag(option))
                add_option(options, option.key, option.value_name,
                           std::string{option.help} + " (default " + std::string{option.default_value} + ")");
    return options;
}

po::options_description all_options()
{
    po::options_description options;
    options.add(flags_of_saslauthd()).add(options_of_postern()).add(options_of_backends());
    return options;
}

/// What was given, asked for by the name as typed: "-a", "--deadline".
class Given {
public:
    Given(const po::options_description& options, const std::vector<std::string>& arguments)
    {
        namespace style = po::command_line_style;
        po::command_line_parser parser{arguments};
        parser.options(options).positional({});
        parser.style(style::allow_short | style::allow_dash_for_short | style::short_allow_adjacent |
                     style::short_allow_next | style::allow_sticky | style::allow_long |
                     style::long_allow_adjacent | style::long_allow_next);
        po::parsed_options parsed = parser.run();
        keep_last(parsed.options);
        po::store(parsed, map_);
    }

    [[nodiscard]] bool has_flag(const char* letter) const { return map_[letter].as<bool>(); }

    [[nodiscard]] bool has(const std::string& name) const { return map_.count(name) > 0; }

    /// Calls `use` with the value when the option was given.
    template <typename Use>
    void with(const std::string& name, Use use) const
    {
        if (has(name))
            use(map_[name].as<std::string>());
    }

    /// The names of all that was given.
    [[nodiscard]] std::vector<std::string> names() const
    {
        std::vector<std::string> names;
        for (const auto& [name, value] : map_)
            if (!value.defaulted())
                names.push_back(name);
        return names;
    }

    [[nodiscard]] std::vector<std::string> list(const char* name) const
    {
        return has(name) ? map_[name].as<std::vector<std::string>>() : std::vector<std::string>{};
    }

private:
    /// A flag may be repeated, and the last one counts: start scripts append theirs to the admin's. Only of
    /// -a each is kept, so that two can be refused.
    static void keep_last(std::vector<po::option>& options)
    {
        std::set<std::string> seen;
        std::vector<po::option> kept;
        for (auto option = options.rbegin(); option != options.rend(); ++option)
            if (option->string_key == "-a" || seen.insert(option->string_key).second)
                kept.push_back(*option);
        options.assign(kept.rbegin(), kept.rend());
    }

    po::variables_map map_;
};

/// Boost calls the option -n "--n".
std::string as_typed(const std::string& name)
{
    return name.size() == 3 && name.starts_with("--") ? name.substr(1) : name;
}

void refuse_secret(const std::string& given)
{
    for (const BackendType& type : backend_types())
        for (const BackendOption& option : type.options)
            if (!is_flag(option) && given == "--" + flag_name(option.key))
                throw ConfigError{given +
                                  " would show a password to everybody who lists processes; it goes "
                                  "into a file, as " +
                                  std::string{option.key} + " of a [backend NAME]: --config FILE"};
}

/// Boost's complaint in our words, with a suggestion for a misspelt long option.
[[noreturn]] void throw_config_error(const po::error& error, const po::options_description& options)
{
    if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&error)) {
        const std::string typed_name = unknown->get_option_name();
        const std::string given =
            typed_name.substr(0, typed_name.find('=')); // what follows may be a password
        refuse_secret(given);
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

/// As it is typed: "-n", "--deadline".
std::string typed(const std::string& name)
{
    return name.starts_with('-') ? name : "--" + name;
}

/// Puts the flag in front of what is said of its value.
template <typename Use>
void read_flag(const Given& given, const std::string& name, Use use)
{
    given.with(name, [&](const std::string& text) {
        try {
            use(text);
        } catch (const ConfigError& error) {
            throw ConfigError{typed(name) + ' ' + error.what()};
        }
    });
}

template <typename Target>
void read_flags(const Given& given, std::span<const ConfigKey<Target>> keys, Target& target)
{
    for (const ConfigKey<Target>& key : keys)
        if (key.is_flag())
            read_flag(given, flag_name(key.name), [&](const std::string& text) { key.set(target, text); });
}

/// -n 0 is a fresh worker for each request: one waits for the next, and others start while requests wait.
PoolConfig read_pool(const Given& given)
{
    PoolConfig pool;
    read_flag(given, "-n", [&pool](const std::string& text) {
        pool.workers = parse_number(text, 0, workers_possible_max);
        if (pool.workers == 0) {
            pool.workers = 1;
            pool.worker_requests_max = 1;
        }
    });
    pool.workers_max = 0;
    read_flags(given, pool_keys(), pool);
    return pool;
}

BackendConfig make_backend(const std::string& name, const Given& given, const PoolConfig& pool)
{
    const BackendType& type = parse_backend_type(name);
    BackendConfig backend{std::string{type.name}, &type, default_options(type), pool};
    if (pool.workers_max == 0)
        backend.pool.workers_max = default_workers_max(type);
    backend.pool.workers_max = std::max(backend.pool.workers, backend.pool.workers_max);
    for (const BackendOption& option : type.options)
        read_flag(given, flag_name(option.key), [&](const std::string& text) {
            check_option(option, text);
            backend.options.insert_or_assign(std::string{option.key}, text);
        });
    return backend;
}

std::string list_of_mechanisms(const Given& given)
{
    const std::vector<std::string> lists = given.list("-a");
    if (lists.empty())
        throw ConfigError{"-a says whom to ask and is required, for example -a sasldb"};
    if (lists.size() > 1)
        throw ConfigError{"-a was given twice; several mechanisms go into one list: -a sasldb,ldap"};
    return lists.front();
}

void read_backends(const Given& given, const PoolConfig& pool, Config& config)
{
    const std::string list = list_of_mechanisms(given);
    std::vector<std::string> names;
    boost::split(names, list, boost::is_any_of(","));
    for (const std::string& name : names) {
        if (name.empty())
            throw ConfigError{"-a " + list + ": an empty name; the name of a mechanism was expected"};
        BackendConfig backend = make_backend(name, given, pool);
        if (std::ranges::find(config.backends, backend.name, &BackendConfig::name) != config.backends.end())
            throw ConfigError{"-a " + list + ": " + backend.name + " is named twice"};
        config.routes.front().chain.push_back({config.backends.size()});
        config.backends.push_back(std::move(backend));
    }
}

void read_listener(const Given& given, Config& config)
{
    given.with("-m", [&config](const std::string& directory) {
        if (!directory.starts_with('/'))
            throw ConfigError{"-m requires an absolute pathname"};
        config.run_directory = directory;
    });
    ListenerConfig listener;
    listener.name = "mux";
    try {
        listener.socket = config.run_directory + "/mux";
        check_socket_length(listener.socket);
    } catch (const ConfigError& error) {
        throw ConfigError{"-m " + config.run_directory + ": " + error.what()};
    }
    listener.joins_realm = given.has_flag("-r");
    read_flags(given, listener_keys(), listener);
    config.listeners.push_back(std::move(listener));
}

/// Checked now, as saslauthd does, although the cache itself comes in a later version.
void read_cache(const Given& given, Config& config)
{
    for (const char* const flag : {"-s", "-t"})
        read_flag(given, flag,
                  [](const std::string& text) { static_cast<void>(parse_number(text, 1, 1U << 30U)); });
    if (given.has_flag("-c") || given.has("-s") || given.has("-t"))
        config.notes.emplace_back(
            "the credential cache (-c, -s, -t) is not available in this version: every login is checked");
}

void note_ignored_options(const Given& given, Config& config)
{
    if (given.has_flag("-T") || given.has("-H"))
        config.notes.emplace_back("-T and -H have no effect, as with saslauthd");
    if (given.has("-O"))
        config.notes.emplace_back(
            "-O has no effect on the mechanisms of this version, as with saslauthd's sasldb");
}

std::string version_text()
{
    std::string text = "postern " + std::string{version} + "\nauthentication mechanisms:";
    for (const BackendType& type : backend_types())
        text += ' ' + std::string{type.name};
    return text + '\n';
}

/// What both doors take: how it runs, and where the log goes.
Config read_manner(const Given& given)
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

Config read_saslauthd_flags(const Given& given)
{
    Config config = read_manner(given);
    RouteConfig& route = config.routes.emplace_back();
    route.name = "default";
    read_flags(given, daemon_keys(), config);
    refuse_log_without_terminal(config, "--log stderr");
    read_flags(given, route_keys(), route);
    const PoolConfig pool = read_pool(given);
    read_cache(given, config);
    read_listener(given, config);
    read_backends(given, pool, config);
    note_ignored_options(given, config);
    return config;
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

void refuse_flags_beside_file(const Given& given, const std::string& path, const std::string& hint)
{
    if (given.has("-a"))
        throw ConfigError{"-a and --config exclude each other: one of them says whom to ask"};
    for (const std::string& name : given.names()) {
        if (std::ranges::find(goes_with_file, name) != goes_with_file.end())
            continue;
        const std::string place = place_in_file(name);
        std::string text = typed(name);
        text.append(place.empty() ? " has no meaning beside " : " goes into ").append(path);
        text.append(place.empty() ? "" : " as ").append(place).append(hint);
        throw ConfigError{text};
    }
}

/// A check needs no terminal: it is not said how the daemon will be started.
Config read_file(const Given& given, const std::string& path)
{
    Config config = read_config_file(path, read_manner(given));
    read_flag(given, "log",
              [&config](const std::string& text) { find_key(daemon_keys(), "log")->set(config, text); });
    if (!given.has_flag("check"))
        refuse_log_without_terminal(config,
                                    given.has("log") ? "--log stderr" : path + ": [daemon] log: stderr");
    return config;
}

/// Absolute, since a daemon that reads it again has gone elsewhere; a check ends where it began.
std::string config_path(const Given& given)
{
    std::string path = default_config_file;
    read_flag(given, "config",
              [&](const std::string& text) { path = given.has_flag("check") ? text : parse_path(text); });
    return path;
}

bool is_called_saslauthd(std::string_view program)
{
    return program.substr(program.rfind('/') + 1) == "saslauthd";
}

CommandLine checked(const Given& given, Config config, const std::string& what)
{
    if (given.has_flag("check"))
        return CommandLineText{what + '\n'};
    return config;
}

CommandLine read(const Given& given, const std::string& program)
{
    const bool uses_flags = given.has("-a") || is_called_saslauthd(program);
    if (!given.has("config") && uses_flags)
        return checked(given, read_saslauthd_flags(given), "the flags are OK");
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
    const po::options_description options = all_options();
    try {
        const Given given{options, {arguments.begin() + 1, arguments.end()}};
        if (given.has_flag("help"))
            return CommandLineText{usage_text(arguments.front())};
        if (given.has_flag("version"))
            return CommandLineText{version_text()};
        return read(given, arguments.front());
    } catch (const po::error& error) {
        throw_config_error(error, options);
    }
}

std::string usage_text(const std::string& called_as)
{
    std::ostringstream text;
    text << "usage: " << called_as << " -a LIST [OPTION]...\n"
         << "       " << called_as << " [--config FILE] [--check] [-d | -f] [-V] [--log TARGET]\n\n"
         << "Answers whether a password belongs to a user, on the socket of Cyrus saslauthd.\n"
         << all_options();
    return text.str();
}

} // namespace postern
