// SPDX-License-Identifier: BSD-2-Clause
//
// saslauthd reads this file in silence: a key that it does not know, a word that is none of its choices and
// a number that is none have no effect, and nobody is told. What works with saslauthd works here, and means
// the same; all that it passes over in silence is a note. Two keys guard the way to the directory, and where
// one of them cannot be understood the file is refused: a typing error must not send passwords in clear. A
// third, whether the directory's certificate is checked, is a yes then.
//
// A password that somebody broke into lines may stand where a key was expected. So a key is shown only when
// it looks like one of this file's, and behind a line without a value only when it is one.
#include "daemon/saslauthd_conf.hpp"

#include "base/lower_case.hpp"
#include "base/spelling.hpp"
#include "daemon/config_reader.hpp"
#include "daemon/config_values.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

namespace postern {

namespace {

constexpr std::string_view blanks = " \t\v\f";
constexpr std::string_view digits = "0123456789";
constexpr std::size_t their_line_bytes_max = 4095; ///< saslauthd takes the rest for another line

constexpr std::array<std::string_view, 2> guards{"ldap_start_tls", "ldap_use_sasl"};
constexpr std::string_view peer_check = "ldap_tls_check_peer";

/// Whose keys those with such a beginning are.
struct KeyOwner {
    std::string_view beginning;
    std::string_view type;
};

constexpr std::array owners{
    KeyOwner{"ldap_", "ldap"},
    KeyOwner{"krb5_", "kerberos5"},
    KeyOwner{"httpform_", "httpform"},
};

constexpr std::string_view instance_beginning = "krb5_";
constexpr std::string_view instance_end = "_instance";
constexpr std::string_view instances_key = "krb5_instances";
constexpr std::string_view keytab_key = "krb5_keytab";

/// Keys that people write, and that nobody has ever read.
struct WrongKey {
    std::string_view key;
    std::string_view instead;
};

constexpr std::array wrong_keys{
    WrongKey{"ldap_starttls", "ldap_start_tls: yes"},
    WrongKey{"ldap_tls", "ldap_start_tls: yes"},
    WrongKey{"ldap_ssl", "ldap_start_tls: yes, or ldaps:// in ldap_servers"},
    WrongKey{"ldap_port", "the port in ldap_servers: ldap://HOST:PORT/"},
    WrongKey{"ldap_host", "ldap_servers: ldap://HOST/"},
    WrongKey{"ldap_uri", "ldap_servers: ldap://HOST/"},
    WrongKey{"ldap_base", "ldap_search_base"},
};

/// Where saslauthd cuts a value, in silence.
struct TheirLimit {
    std::string_view key;
    std::size_t bytes;
};

constexpr std::array their_limits{
    TheirLimit{"ldap_servers", 1023},
    TheirLimit{"ldap_password", 127},
    TheirLimit{"ldap_password_attr", 127},
    TheirLimit{"ldap_default_realm", 127},
    TheirLimit{"ldap_group_attr", 127},
    TheirLimit{"ldap_group_filter", 127},
    TheirLimit{"ldap_group_search_base", 127},
    TheirLimit{"ldap_id", 127},
    TheirLimit{"ldap_authz_id", 127},
    TheirLimit{"ldap_realm", 127},
    TheirLimit{"ldap_mech", 127},
    TheirLimit{"ldap_sasl_secprops", 127},
    TheirLimit{"ldap_tls_ciphers", 127},
    TheirLimit{"ldap_tls_cacert_file", 1023},
    TheirLimit{"ldap_tls_cacert_dir", 1023},
    TheirLimit{"ldap_tls_cert", 1023},
    TheirLimit{"ldap_tls_key", 1023},
};

bool is_in_key(char c) noexcept
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string_view without_blanks_in_front(std::string_view text) noexcept
{
    return text.substr(std::min(text.find_first_not_of(blanks), text.size()));
}

std::string_view without_blanks(std::string_view text) noexcept
{
    text = without_blanks_in_front(text);
    return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// A boolean by its first letters, as saslauthd reads it; nothing when it would take it for a no because it
/// is neither.
std::optional<bool> boolean_in(std::string_view text) noexcept
{
    const auto begins_with_one_of = [text](std::string_view letters) {
        return !text.empty() && letters.find(text.front()) != std::string_view::npos;
    };
    if (begins_with_one_of("1yt") || text.starts_with("on"))
        return true;
    if (begins_with_one_of("0nf") || text.starts_with("of"))
        return false;
    return std::nullopt;
}

/// The digits that a number begins with, not more than `max`: what saslauthd takes it for.
std::uint64_t leading_number(std::string_view text, std::uint64_t max) noexcept
{
    text.remove_prefix(text.starts_with('+') ? 1 : 0);
    std::uint64_t number = 0;
    for (const char c : text.substr(0, text.find_first_not_of(digits)))
        number = std::min(max, number * 10 + static_cast<std::uint64_t>(c - '0'));
    return number;
}

/// The path in a keytab's name, which Kerberos may have a type in front of.
std::string_view file_of_keytab(std::string_view name)
{
    const std::size_t colon = name.find(':');
    if (name.starts_with('/') || colon == std::string_view::npos)
        return name;
    const std::string_view type = name.substr(0, colon);
    if ((type != "FILE" && type != "WRFILE") || colon + 1 == name.size())
        throw ConfigError{shown(name) + ": a keytab that is a file was expected, /path or FILE:/path"};
    return name.substr(colon + 1);
}

class Reader {
public:
    Reader(const TypeList& types, bool uses_tls) : types_{types}, uses_tls_{uses_tls} {}

    [[nodiscard]] SaslauthdConf read(std::string_view text) &&;

private:
    using Option = BackendOption;

    void take_line(std::string_view line);
    void take_content(std::string_view line);
    void take_entry(const std::string& key, std::string_view value);
    void take(const Option& option, std::string_view value);
    void take_boolean(const Option& option, std::string_view value);
    void take_number(const Option& option, std::string_view value);
    void take_word(const Option& option, std::string_view value);
    void take_checked(const Option& option, std::string_view value);
    void take_instance(const std::string& key, std::string_view value);
    void put(const Option& option, std::string_view value);
    void put_instances();
    void judge_tls_files();
    void note_cut(const Option& option, std::string_view value);
    void note_wrong_key(const std::string& key);
    void note_repeated_logins();
    void lose(std::string_view key, const char* text);

    [[nodiscard]] const Option* find(std::string_view key) const noexcept;
    [[nodiscard]] bool has_type(std::string_view name) const noexcept;
    [[nodiscard]] bool is_instance(std::string_view key) const noexcept;
    [[nodiscard]] bool is_for_others(std::string_view key) const noexcept;
    [[nodiscard]] bool may_be_shown(std::string_view key) const noexcept;
    [[nodiscard]] std::string_view value_of(std::string_view key) const noexcept;

    void problem(std::string_view key, std::string text);
    void note(std::string_view key, std::string text);

    const TypeList& types_;
    const bool uses_tls_;
    std::size_t line_ = 0;
    bool misses_value_ = false; ///< one of the lines so far
    bool has_returns_ = false;
    std::map<std::string, std::string> instances_; ///< by service
    std::vector<ConfigProblem> tls_files_;         ///< where TLS is used
    SaslauthdConf conf_;
};

SaslauthdConf Reader::read(std::string_view text) &&
{
    if (text.size() > config_file_bytes_max) {
        problem("", "the file is larger than the 1 MiB that were expected at most");
        return std::move(conf_);
    }
    while (!text.empty()) {
        ++line_;
        const std::size_t end = text.find('\n');
        take_line(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    put_instances();
    judge_tls_files();
    note_repeated_logins();
    return std::move(conf_);
}

void Reader::take_line(std::string_view line)
{
    if (line.ends_with('\r')) {
        line.remove_suffix(1);
        if (!std::exchange(has_returns_, true))
            note("", "lines end in CR and newline here; the CR does not count, but saslauthd takes it for a "
                     "part of the value");
    }
    if (line.size() > config_line_bytes_max)
        problem("", "the line is longer than the 64 KiB that were expected at most");
    else if (line.find('\0') != std::string_view::npos)
        problem("", "the line holds a NUL byte; text was expected");
    else
        take_content(line);
}

/// What has no key may be the rest of a password: nothing of it is shown.
void Reader::take_content(std::string_view line)
{
    const std::string_view content = without_blanks_in_front(line);
    if (content.empty() || content.front() == '#')
        return;
    const auto key_end =
        static_cast<std::size_t>(std::ranges::find_if_not(content, is_in_key) - content.begin());
    const std::string key = in_lower_case(content.substr(0, key_end));
    const bool is_ours = find(key) != nullptr;
    if (key.empty() || key_end == content.size() || content[key_end] != ':')
        return lose(is_ours ? key : "", "key: value was expected, and the colon right behind the key");
    const std::string_view value = without_blanks_in_front(content.substr(key_end + 1));
    if (value.empty())
        return lose(key, "an empty value; one was expected, or no such line");
    if (line.size() > their_line_bytes_max)
        note(key, "saslauthd reads only the first 4095 bytes of a line as one");
    take_entry(key, value);
}

void Reader::take_entry(const std::string& key, std::string_view value)
{
    if (const Option* const option = find(key))
        take(*option, value);
    else if (is_instance(key))
        take_instance(key, value);
    else if (!is_for_others(key))
        note_wrong_key(key);
}

void Reader::take(const Option& option, std::string_view value)
{
    note_cut(option, value);
    switch (option.kind) {
    case OptionKind::boolean: return take_boolean(option, without_blanks(value));
    case OptionKind::number:
    case OptionKind::duration: return take_number(option, without_blanks(value));
    case OptionKind::word: return take_word(option, value);
    case OptionKind::port:
    case OptionKind::file:
    case OptionKind::servers: return take_checked(option, without_blanks(value));
    case OptionKind::text: return put(option, value);
    case OptionKind::secret: break;
    }
    conf_.secret_line = conf_.secret_line == 0 ? line_ : conf_.secret_line;
    put(option, value);
}

void Reader::take_boolean(const Option& option, std::string_view value)
{
    const auto said = boolean_in(in_lower_case(value));
    const bool is_guard = std::ranges::find(guards, option.key) != guards.end();
    if (!said && is_guard)
        return problem(option.key, shown(value) + ": yes or no was expected");
    const bool meaning = said.value_or(option.key == peer_check);
    if (meaning && boolean_in(value) != true)
        note(option.key, shown(value) + " means yes here; saslauthd takes it for no");
    else if (!said)
        note(option.key, shown(value) + " means no, as with saslauthd; yes or no was expected");
    put(option, meaning ? "yes" : "no");
}

/// Times are in seconds here, whatever stands behind them. To libldap -1 is all that it can say.
void Reader::take_number(const Option& option, std::string_view value)
{
    if (option.key == "ldap_debug" && value == "-1")
        return put(option, std::to_string(INT32_MAX));
    const bool is_time = option.kind == OptionKind::duration;
    const std::uint64_t max = is_time ? seconds_max : INT32_MAX;
    const std::string taken = value.starts_with('-') ? std::string{option.default_value}
                                                     : std::to_string(leading_number(value, max));
    if (value.find_first_not_of(digits) != std::string_view::npos || leading_number(value, max + 1) > max)
        note(option.key, shown(value) + ": a number " + (is_time ? "of seconds " : "") + "from 0 to " +
                             std::to_string(max) + " was expected; " + taken + " is taken");
    put(option, taken);
}

/// With a blank behind it a word is none of saslauthd's choices.
void Reader::take_word(const Option& option, std::string_view value)
{
    const std::string_view written = without_blanks(value);
    const std::string word = in_lower_case(written);
    const std::string_view before =
        value_of(option.key).empty() ? option.default_value : value_of(option.key);
    if (std::ranges::find(option.words, word) != option.words.end()) {
        if (written.size() < value.size() && word != before)
            note(option.key, shown(written) + " counts here; because of the blank behind it, it has no "
                                              "effect with saslauthd");
        return put(option, word);
    }
    const std::vector<std::string> words{option.words.begin(), option.words.end()};
    note(option.key, shown(written) + ": has no effect, as with saslauthd; " + alternatives(option.words) +
                         " was expected" + did_you_mean(word, words));
}

void Reader::take_checked(const Option& option, std::string_view value)
try {
    if (option.key == keytab_key)
        value = file_of_keytab(value);
    check_option(option, std::string{value});
    put(option, value);

} catch (const ConfigError& error) {
    if (option.key.starts_with("ldap_tls_"))
        tls_files_.push_back({line_, "", std::string{option.key}, error.what()});
    else
        problem(option.key, error.what());
}

void Reader::take_instance(const std::string& key, std::string_view value)
{
    value = without_blanks(value);
    if (value.find_first_of(blanks) != std::string_view::npos || value.find(',') != std::string_view::npos)
        return problem(key, "an instance without blanks and commas in it was expected");
    const std::size_t service_bytes = key.size() - instance_beginning.size() - instance_end.size();
    instances_[key.substr(instance_beginning.size(), service_bytes)] = value;
}

void Reader::put(const Option& option, std::string_view value)
{
    conf_.options.insert_or_assign(std::string{option.key}, std::string{value});
}

void Reader::put_instances()
{
    std::string list{value_of(instances_key)};
    for (const auto& [service, instance] : instances_) {
        list += list.empty() ? "" : " ";
        list.append(service).append("=").append(instance);
    }
    if (!list.empty())
        conf_.options.insert_or_assign(std::string{instances_key}, list);
}

/// saslauthd does not open them before there is TLS, and then where it has gone to.
void Reader::judge_tls_files()
{
    const bool uses_tls = uses_tls_ || value_of("ldap_start_tls") == "yes" ||
                          in_lower_case(value_of("ldap_servers")).find("ldaps:") != std::string::npos;
    for (ConfigProblem& file : tls_files_) {
        file.text += uses_tls ? "" : "; it has no effect, since TLS is not used";
        (uses_tls ? conf_.problems : conf_.notes).push_back(std::move(file));
    }
}

void Reader::note_cut(const Option& option, std::string_view value)
{
    const auto* const limit = std::ranges::find(their_limits, option.key, &TheirLimit::key);
    if (limit != their_limits.end() && value.size() > limit->bytes)
        note(option.key, "the whole value counts; saslauthd reads only the first " +
                             std::to_string(limit->bytes) + " bytes of it");
}

void Reader::note_wrong_key(const std::string& key)
{
    if (!may_be_shown(key))
        return note("", "an unknown key; it has no effect, as with saslauthd");
    std::string text = "there is no such key: it has no effect, as with saslauthd";
    const auto* const wrong = std::ranges::find(wrong_keys, key, &WrongKey::key);
    if (wrong != wrong_keys.end() && has_type("ldap"))
        return note(key, text.append("; write ").append(wrong->instead));
    if (conf_.notes.size() >= problems_shown_max)
        return note(key, std::move(text)); // it is only counted
    std::vector<std::string> known;
    for (const BackendType* const type : types_)
        for (const Option& option : type->options)
            known.emplace_back(option.key);
    note(key, text + did_you_mean(key, known));
}

/// saslauthd accepts the password that it has bound with last without asking again, also when it was changed.
void Reader::note_repeated_logins()
{
    const std::string_view method = value_of("ldap_auth_method");
    const bool binds_by_sasl = value_of("ldap_use_sasl") == "yes" && (method.empty() || method == "bind");
    line_ = 0;
    if (has_type("ldap") && (method == "fastbind" || binds_by_sasl))
        note("ldap_auth_method", "the server is asked for each login; saslauthd's fastbind takes a repeated "
                                 "one for good");
}

const BackendOption* Reader::find(std::string_view key) const noexcept
{
    for (const BackendType* const type : types_)
        if (const Option* const option = find_option(*type, key))
            return option;
    return nullptr;
}

bool Reader::has_type(std::string_view name) const noexcept
{
    return std::ranges::any_of(types_, [name](const BackendType* type) { return type->name == name; });
}

bool Reader::is_instance(std::string_view key) const noexcept
{
    return find(instances_key) != nullptr && key.size() > instance_beginning.size() + instance_end.size() &&
           key.starts_with(instance_beginning) && key.ends_with(instance_end);
}

/// The file may have other readers: saslauthd's other mechanisms.
bool Reader::is_for_others(std::string_view key) const noexcept
{
    return std::ranges::any_of(owners, [this, key](const KeyOwner& owner) {
        return key.starts_with(owner.beginning) && !has_type(owner.type);
    });
}

bool Reader::may_be_shown(std::string_view key) const noexcept
{
    return find(key) != nullptr ||
           (!misses_value_ && std::ranges::any_of(owners, [key](const KeyOwner& owner) {
               return key.starts_with(owner.beginning);
           }));
}

std::string_view Reader::value_of(std::string_view key) const noexcept
{
    const auto found = conf_.options.find(std::string{key});
    return found == conf_.options.end() ? std::string_view{} : found->second;
}

/// A line from which on a password may be in pieces.
void Reader::lose(std::string_view key, const char* text)
{
    problem(key, text);
    misses_value_ = true;
}

void Reader::problem(std::string_view key, std::string text)
{
    conf_.problems.push_back({line_, "", std::string{may_be_shown(key) ? key : ""}, std::move(text)});
}

void Reader::note(std::string_view key, std::string text)
{
    conf_.notes.push_back({line_, "", std::string{may_be_shown(key) ? key : ""}, std::move(text)});
}

/// Not refused, since saslauthd works with such files.
void note_mode(const std::string& path, const FileText& file, SaslauthdConf& conf)
{
    if (file.owner() != 0 && file.owner() != ::geteuid())
        conf.notes.push_back({0, "", "",
                              "it belongs to account " + std::to_string(file.owner()) +
                                  ", who may change it; chown root " + path});
    if (file.others_may_write())
        conf.notes.push_back({0, "", "", "others than its owner may write it; chmod go-w " + path});
    if (file.everybody_may_read() && conf.secret_line != 0)
        conf.notes.push_back({0, "", "",
                              "everybody may read it, and line " + std::to_string(conf.secret_line) +
                                  " holds a password; chmod o-r " + path});
}

/// What is wrong, and behind it what is noted: who repairs the file wants to know both.
std::string complaint_of(const std::string& path, const SaslauthdConf& conf)
{
    std::vector<std::string> lines = problem_lines(path, conf.problems);
    for (const std::string& line : problem_lines(path, conf.notes))
        lines.push_back("note: " + line);
    return joined_lines(lines);
}

/// saslauthd's ldap refuses every login then; its kerberos5 goes without.
std::vector<std::string> notes_without_file(const std::string& path, const TypeList& types)
{
    const auto is_ldap = [](const BackendType* type) { return type->name == "ldap"; };
    if (std::ranges::none_of(types, is_ldap))
        return {};
    return {"there is no " + path +
            ": the directory is asked with the defaults of all keys that no flag sets"};
}

/// A file that says nothing, as some name it who have none.
bool is_null_device(const std::string& path)
{
    struct stat status {};

    return ::stat(path.c_str(), &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

/// Those that this process has used: one of them may be in force.
std::set<std::string>& files_read()
{
    static std::set<std::string> paths;
    return paths;
}

} // namespace

SaslauthdConf read_saslauthd_conf(std::string_view text, const TypeList& types, bool uses_tls)
{
    return Reader{types, uses_tls}.read(text);
}

SaidOptions load_saslauthd_conf(const std::string& path, bool is_chosen, const TypeList& types, bool uses_tls)
try {
    if (is_null_device(path))
        return {};
    const FileText file{path};
    SaslauthdConf conf = read_saslauthd_conf(file.view(), types, uses_tls);
    note_mode(path, file, conf);
    if (!conf.problems.empty())
        throw ConfigFileError{complaint_of(path, conf)};
    files_read().insert(path);
    return {std::move(conf.options), problem_lines(path, std::move(conf.notes))};

} catch (const std::system_error& error) {
    const bool may_be_missing = !is_chosen && error.code() == std::errc::no_such_file_or_directory;
    if (may_be_missing && !files_read().contains(path))
        return {{}, notes_without_file(path, types)};
    throw ConfigFileError{path + ": " + error.code().message() +
                          (may_be_missing ? ", and it was there before; an empty file takes back what it "
                                            "said"
                                          : "")};
} catch (const ConfigFileError&) {
    throw;
} catch (const ConfigError& error) {
    throw ConfigFileError{path + ": " + error.what()};
}

} // namespace postern
