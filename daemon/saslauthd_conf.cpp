// SPDX-License-Identifier: BSD-2-Clause
//
// saslauthd reads this file in silence: a key that it does not know, a word that is none of its choices and
// a number that is none have no effect, and nobody is told. What works with saslauthd works here, and means
// the same; all that it passes over in silence is a note. What would be dangerous to pass over is
// refused (saslauthd_value.cpp).
//
// A password that somebody broke into lines may stand where a key was expected. So a key is shown only when
// it looks like one of this file's, and behind a line without a value only when it is one.
#include "daemon/saslauthd_conf.hpp"

#include "base/lower_case.hpp"
#include "base/nul_byte.hpp"
#include "daemon/config_values.hpp"
#include "daemon/file_text.hpp"
#include "daemon/saslauthd_value.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

namespace postern {

namespace {

constexpr std::size_t their_line_bytes_max = 4095; ///< saslauthd takes the rest for another line

bool is_in_key(char c) noexcept
{
    return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

class Reader {
public:
    Reader(const TypeList& types, bool uses_tls) : keys_{types}, uses_tls_{uses_tls} {}

    [[nodiscard]] SaslauthdConf read(std::string_view text) &&;

private:
    using Option = BackendOption;

    void take_line(std::string_view line);
    void take_content(std::string_view line);
    void take_entry(const std::string& key, std::string_view value);
    [[nodiscard]] bool comes_too_late(const std::string& key);
    void take(const Option& option, std::string_view value);
    void forgive(const Option& option);
    void take_instance(const std::string& key, const std::string& service, std::string_view value);
    void put_instances();
    void judge_refused();
    void note_wrong_key(const std::string& key);
    void note_repeated_logins();
    void lose(std::string_view key, const char* text);

    [[nodiscard]] bool may_be_shown(std::string_view key) const noexcept;
    [[nodiscard]] std::string_view value_of(std::string_view key) const noexcept;

    void problem(std::string_view key, std::string text);
    void note(std::string_view key, std::string text);

    const SaslauthdKeys keys_;
    const bool uses_tls_;
    std::size_t line_ = 0;
    bool misses_value_ = false;                    ///< one of the lines so far
    bool ends_in_return_ = false;                  ///< this line
    bool has_returns_ = false;                     ///< one of the lines so far
    std::set<std::string> krb5_keys_;              ///< of the lines so far
    std::map<std::string, std::string> instances_; ///< by service
    std::vector<ConfigProblem> refused_;           ///< values that cannot be what counts
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
    judge_refused();
    note_repeated_logins();
    return std::move(conf_);
}

void Reader::take_line(std::string_view line)
{
    ends_in_return_ = line.ends_with('\r');
    line.remove_suffix(ends_in_return_ ? 1 : 0);
    if (ends_in_return_ && !std::exchange(has_returns_, true))
        note("", "lines end in CR and newline here; the CR does not count, but saslauthd takes it for a part "
                 "of the value");
    if (line.size() > config_line_bytes_max)
        problem("", "the line is longer than the 64 KiB that were expected at most");
    else if (has_nul(line))
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
    const bool is_ours = keys_.find(key) != nullptr;
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
    const Option* const option = keys_.find(key);
    const auto service = option == nullptr ? keys_.service_of(key) : std::nullopt;
    if ((option != nullptr || service) && comes_too_late(key))
        note(key, "has no effect, as with saslauthd: an earlier line counts");
    else if (option != nullptr)
        take(*option, value);
    else if (service)
        take_instance(key, *service, value);
    else if (!keys_.is_for_others(key))
        note_wrong_key(key);
}

/// saslauthd reads the file twice over: of the lines of one key its ldap goes by the last, its kerberos5 by
/// the first.
bool Reader::comes_too_late(const std::string& key)
{
    return key.starts_with("krb5_") && !krb5_keys_.insert(key).second;
}

void Reader::take(const Option& option, std::string_view value)
try {
    if (const std::string cut = note_of_cut(option, value); !cut.empty())
        note(option.key, cut);
    if (option.kind == OptionKind::secret && conf_.secret_line == 0)
        conf_.secret_line = line_;
    const bool is_with_return = ends_in_return_ && option.kind == OptionKind::word;
    const std::string word = is_with_return ? std::string{value} + '\r' : "";
    SaslauthdValue read = read_saslauthd_value(option, is_with_return ? word : value, value_of(option.key));
    if (!read.note.empty())
        note(option.key, std::move(read.note));
    if (read.value) {
        forgive(option);
        conf_.options.insert_or_assign(std::string{option.key}, std::move(*read.value));
    }

} catch (const ConfigError& error) {
    refused_.push_back({line_, "", std::string{option.key}, error.what()});
}

/// What stood there before does not count.
void Reader::forgive(const Option& option)
{
    for (ConfigProblem& refused : refused_)
        if (refused.key == option.key)
            conf_.notes.push_back({refused.line, "", refused.key, refused.text + "; a later line counts"});
    std::erase_if(refused_, [&option](const ConfigProblem& refused) { return refused.key == option.key; });
}

void Reader::take_instance(const std::string& key, const std::string& service, std::string_view value)
{
    value = without_blanks(value);
    if (value.find_first_of(saslauthd_blanks) != std::string_view::npos ||
        value.find(',') != std::string_view::npos)
        return problem(key, "an instance without blanks and commas in it was expected");
    instances_[service] = value;
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

/// The files of TLS saslauthd does not open before there is TLS, and then where it has gone to.
void Reader::judge_refused()
{
    const bool uses_tls = uses_tls_ || value_of("ldap_start_tls") == "yes" ||
                          in_lower_case(value_of("ldap_servers")).find("ldaps:") != std::string::npos;
    for (ConfigProblem& refused : refused_) {
        const bool counts = uses_tls || !refused.key.starts_with("ldap_tls_");
        refused.text += counts ? "" : "; it has no effect, since TLS is not used";
        (counts ? conf_.problems : conf_.notes).push_back(std::move(refused));
    }
}

void Reader::note_wrong_key(const std::string& key)
{
    if (!may_be_shown(key))
        return note("", "an unknown key; it has no effect, as with saslauthd");
    const bool is_only_counted = conf_.notes.size() >= problems_shown_max;
    note(key, "there is no such key: it has no effect, as with saslauthd" +
                  (is_only_counted ? "" : keys_.advice_on(key)));
}

/// saslauthd accepts the password that it has bound with last without asking again, also when it was changed.
void Reader::note_repeated_logins()
{
    const std::string_view method = value_of("ldap_auth_method");
    const bool binds_by_sasl = value_of("ldap_use_sasl") == "yes" && (method.empty() || method == "bind");
    line_ = 0;
    if (keys_.has_type("ldap") && (method == "fastbind" || binds_by_sasl))
        note("ldap_auth_method", "the server is asked for each login; saslauthd's fastbind takes a repeated "
                                 "one for good");
}

bool Reader::may_be_shown(std::string_view key) const noexcept
{
    return keys_.find(key) != nullptr || (!misses_value_ && SaslauthdKeys::looks_like_one(key));
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
    if (!SaslauthdKeys{types}.has_type("ldap"))
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
