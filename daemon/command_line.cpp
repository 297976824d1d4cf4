// SPDX-License-Identifier: BSD-2-Clause
//
// One table of options for both sorts: saslauthd's letters, which its users have in /etc/default/saslauthd,
// and long names for every key of the one listener and the backends that these letters describe. Options of
// backends come from the table of backend types and are not listed here.
#include "daemon/command_line.hpp"

#include "base/spelling.hpp"
#include "base/version.hpp"

#include <sys/un.h>

#include <algorithm>
#include <boost/algorithm/string/classification.hpp>
#include <boost/algorithm/string/split.hpp>
#include <boost/program_options.hpp>
#include <charconv>
#include <set>
#include <sstream>

namespace postern {

namespace {

namespace po = boost::program_options;
using namespace std::chrono_literals;

constexpr std::uint32_t workers_max = 512;

/// The mechanisms of Debian's saslauthd that come in a later version, so that their users get a straight
/// answer and no spelling suggestion.
constexpr std::array mechanisms_to_come{"getpwent", "kerberos5", "ldap", "pam", "rimap", "shadow"};
constexpr std::array mechanisms_never{"httpform", "kerberos4", "dce", "sia"};

std::uint32_t parse_number(const std::string& option, const std::string& text, std::uint32_t min,
                           std::uint32_t max)
{
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number < min || number > max)
        throw ConfigError{option + " " + text + ": a number from " + std::to_string(min) + " to " +
                          std::to_string(max) + " was expected"};
    return number;
}

/// "2s", "500ms", "1m"; a bare number means seconds.
std::chrono::milliseconds parse_duration(const std::string& option, const std::string& text)
{
    const auto digits_end = std::min(text.find_first_not_of("0123456789"), text.size());
    const std::string unit = text.substr(digits_end);
    const std::chrono::milliseconds step = unit == "ms" ? 1ms : unit == "m" ? 60'000ms : 1'000ms;
    if (digits_end == 0 || (!unit.empty() && unit != "ms" && unit != "s" && unit != "m"))
        throw ConfigError{option + " " + text + ": a time such as 8s, 500ms or 1m was expected"};
    return step * parse_number(option, text.substr(0, digits_end), 0, 86'400);
}

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

po::options_description options_of_postern()
{
    const auto text = [](const char* name) { return po::value<std::string>()->value_name(name); };
    po::options_description options{"Options of Postern"};
    // clang-format off
    options.add_options()
        ("deadline", text("TIME"), "every connection is answered or ended within it (default 8s)")
        ("failure-delay", text("TIME"), "from a request to its refusal (default 1s)")
        ("when-unavailable", text("WORD"), "an outage is told by an empty_reply (default) or say_no")
        ("field-bytes-max", text("N"), "of one field of a request (default 1024)")
        ("queue-max", text("N"), "requests that wait for a worker (default 1024)")
        ("delayed-max", text("N"), "refusals that wait for their moment (default 1024)")
        ("sessions-max", text("N"), "connections at a time (default 16384)")
        ("user", text("NAME"), "the unprivileged account (default postern)")
        ("log", text("TARGET"), "syslog (default) or stderr");
    // clang-format on
    return options;
}

std::string flag_name(std::string_view key)
{
    std::string name{key};
    std::ranges::replace(name, '_', '-');
    return name;
}

po::options_description options_of_backends()
{
    po::options_description options{"Options of backends"};
    for (const BackendType& type : backend_types())
        for (const BackendOption& option : type.options) {
            const std::string help =
                std::string{option.help} + " (default " + std::string{option.default_value} + ")";
            const std::string value_name{option.value_name};
            options.add_options()(flag_name(option.key).c_str(),
                                  po::value<std::string>()->value_name(value_name), help.c_str());
        }
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

/// Boost's complaint in our words, with a suggestion for a misspelt long option.
[[noreturn]] void throw_config_error(const po::error& error, const po::options_description& options)
{
    if (const auto* unknown = dynamic_cast<const po::unknown_option*>(&error)) {
        const std::string given = unknown->get_option_name();
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

[[noreturn]] void throw_unknown_mechanism(const std::string& name)
{
    const auto is_named = [&name](const char* known) { return name == known; };
    if (std::ranges::any_of(mechanisms_to_come, is_named))
        throw ConfigError{"authentication mechanism " + name + " is not available in this version"};
    if (std::ranges::any_of(mechanisms_never, is_named))
        throw ConfigError{"authentication mechanism " + name + " is not offered by Postern"};
    std::vector<std::string> names;
    for (const BackendType& type : backend_types())
        names.emplace_back(type.name);
    throw ConfigError{"unknown authentication mechanism: " + name + did_you_mean(name, names)};
}

BackendConfig make_backend(const std::string& name, const Given& given)
{
    std::string lower = name;
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const BackendType* const type = find_backend_type(lower);
    if (type == nullptr)
        throw_unknown_mechanism(lower);
    BackendConfig backend{std::string{type->name}, type, {}};
    for (const BackendOption& option : type->options) {
        std::string value{option.default_value};
        given.with(flag_name(option.key), [&value](const std::string& text) { value = text; });
        backend.options.emplace(option.key, value);
    }
    return backend;
}

void read_backends(const Given& given, Config& config)
{
    const std::vector<std::string> lists = given.list("-a");
    if (lists.empty())
        throw ConfigError{"-a says whom to ask and is required, for example -a sasldb"};
    if (lists.size() > 1)
        throw ConfigError{"-a was given twice; several mechanisms go into one list: -a sasldb,ldap"};
    std::vector<std::string> names;
    boost::split(names, lists.front(), boost::is_any_of(","));
    for (const std::string& name : names) {
        BackendConfig backend = make_backend(name, given);
        if (std::ranges::any_of(config.backends,
                                [&](const BackendConfig& other) { return other.name == backend.name; }))
            throw ConfigError{"-a " + lists.front() + ": " + backend.name + " is named twice"};
        config.route.chain.push_back({config.backends.size()});
        config.backends.push_back(std::move(backend));
    }
}

void read_log(const Given& given, Config& config)
{
    config.is_verbose = given.has_flag("-V") || given.has_flag("-d");
    config.stays_in_foreground = given.has_flag("-d") || given.has_flag("-f");
    config.log = config.stays_in_foreground ? LogTarget::syslog_and_stderr : LogTarget::syslog;
    given.with("log", [&config](const std::string& target) {
        if (target != "syslog" && target != "stderr")
            throw ConfigError{"--log " + target + ": syslog or stderr was expected"};
        if (target == "stderr" && !config.stays_in_foreground)
            throw ConfigError{
                "--log stderr needs -f or -d: in the background there is no terminal to write to"};
        config.log = target == "stderr" ? LogTarget::stderr_only : LogTarget::syslog;
    });
}

void read_limits(const Given& given, Config& config)
{
    const auto number = [&given](const char* name, std::uint32_t& value, std::uint32_t min,
                                 std::uint32_t max) {
        given.with(name, [&](const std::string& text) {
            value = parse_number(std::string{"--"} + name, text, min, max);
        });
    };
    number("queue-max", config.queue_max, 1, 65'536);
    number("delayed-max", config.delayed_max, 1, 65'536);
    number("sessions-max", config.sessions_max, 1, 65'536);
    given.with("-n", [&config](const std::string& text) {
        const std::uint32_t workers = parse_number("-n", text, 0, workers_max);
        if (workers == 0)
            config.notes.emplace_back(
                "-n 0 (a fresh worker for each request) is not available in this version: 5 are kept");
        else
            config.workers = workers;
    });
    given.with("failure-delay", [&config](const std::string& text) {
        config.route.failure_delay = parse_duration("--failure-delay", text);
    });
}

void read_listener(const Given& given, Config& config)
{
    given.with("-m", [&config](const std::string& directory) {
        if (!directory.starts_with('/'))
            throw ConfigError{"-m requires an absolute pathname"};
        config.run_directory = directory;
    });
    ListenerConfig listener;
    listener.socket = config.run_directory + "/mux";
    if (listener.socket.size() >= sizeof(sockaddr_un::sun_path))
        throw ConfigError{"-m " + config.run_directory + ": the socket's path " + listener.socket +
                          " is longer than the 107 bytes that a socket's address can hold"};
    listener.joins_realm = given.has_flag("-r");
    given.with("deadline", [&listener](const std::string& text) {
        listener.deadline = parse_duration("--deadline", text);
        if (listener.deadline == 0ms)
            throw ConfigError{"--deadline 0: nothing could ever be answered in time"};
    });
    given.with("field-bytes-max", [&listener](const std::string& text) {
        listener.field_bytes_max = parse_number("--field-bytes-max", text, 1, 16'384);
    });
    given.with("when-unavailable", [&listener](const std::string& word) {
        if (word != "empty_reply" && word != "say_no")
            throw ConfigError{"--when-unavailable " + word + ": empty_reply or say_no was expected"};
        listener.when_unavailable =
            word == "say_no" ? saslauthd::WhenUnavailable::say_no : saslauthd::WhenUnavailable::empty_reply;
    });
    config.listeners.push_back(std::move(listener));
}

/// Checked now, as saslauthd does, although the cache itself comes in a later version.
void read_cache(const Given& given, Config& config)
{
    given.with("-s", [](const std::string& text) { parse_number("-s", text, 1, 1U << 30U); });
    given.with("-t", [](const std::string& text) { parse_number("-t", text, 1, 1U << 30U); });
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

Config read_config(const Given& given)
{
    Config config;
    read_limits(given, config);
    read_cache(given, config);
    read_listener(given, config);
    read_log(given, config);
    given.with("user", [&config](const std::string& name) { config.user = name; });
    read_backends(given, config);
    note_ignored_options(given, config);
    return config;
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
        return read_config(given);
    } catch (const po::error& error) {
        throw_config_error(error, options);
    }
}

std::string usage_text(const std::string& called_as)
{
    std::ostringstream text;
    text << "usage: " << called_as << " -a LIST [OPTION]...\n\n"
         << "Answers whether a password belongs to a user, on the socket of Cyrus saslauthd.\n"
         << all_options();
    return text.str();
}

} // namespace postern
