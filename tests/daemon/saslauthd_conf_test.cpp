// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_values.hpp"
#include "daemon/file_text.hpp"
#include "daemon/saslauthd_conf.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <regex>

using namespace postern;
using namespace std::string_literals;

namespace {

TypeList types(const std::string& names)
{
    TypeList types;
    for (const std::string& name : words_of(names))
        types.push_back(find_backend_type(name));
    return types;
}

SaslauthdConf conf(const std::string& text, const std::string& names = "ldap kerberos5")
{
    return read_saslauthd_conf(text, types(names));
}

/// "LINE KEY: TEXT" for each.
std::vector<std::string> said(const std::vector<ConfigProblem>& problems)
{
    std::vector<std::string> lines;
    for (const ConfigProblem& problem : problems)
        lines.push_back(std::to_string(problem.line) + ' ' + problem.key + ": " + problem.text);
    return lines;
}

/// What one line sets, and nothing else was said.
BackendOptions options(const std::string& line)
{
    const SaslauthdConf read = conf(line);
    CHECK(said(read.problems).empty());
    CHECK(said(read.notes).empty());
    return read.options;
}

using Options = BackendOptions;
using Lines = std::vector<std::string>;

/// A file that is read, with whatever is in it.
class File {
public:
    explicit File(const std::string& text, mode_t mode = 0600)
    {
        std::ofstream{path(), std::ios::binary} << text;
        REQUIRE(::chmod(path().c_str(), mode) == 0);
    }
    [[nodiscard]] std::string path() const { return directory_.file("saslauthd.conf"); }
    [[nodiscard]] SaidOptions load(const std::string& names = "ldap") const
    {
        return load_saslauthd_conf(path(), true, types(names));
    }

    /// What is said of it, with FILE for its path.
    [[nodiscard]] std::string complaint() const
    {
        try {
            static_cast<void>(load());
        } catch (const ConfigFileError& error) {
            return with_file(error.what());
        }
        return "none";
    }
    [[nodiscard]] Lines notes() const
    {
        Lines lines;
        for (const std::string& note : load().notes)
            lines.push_back(with_file(note));
        return lines;
    }

private:
    [[nodiscard]] std::string with_file(const std::string& text) const
    {
        return std::regex_replace(text, std::regex{path()}, "FILE");
    }

    TemporaryDirectory directory_;
};

} // namespace

TEST_CASE("every key of saslauthd's ldap and kerberos5 is known, with its other name and its default",
          "[saslauthd.conf]")
{
    const auto [key, alias, default_value, value] =
        GENERATE(table<std::string, std::string, std::string, std::string>({
            {"ldap_servers", "", "ldap://localhost/", "ldaps://a/ ldap://b:390"},
            {"ldap_bind_dn", "", "", "cn=x"},
            {"ldap_password", "ldap_bind_pw", "", "hunter2"},
            {"ldap_version", "", "3", "2"},
            {"ldap_search_base", "", "", "dc=%d"},
            {"ldap_filter", "", "(uid=%u)", "(mail=%u)"},
            {"ldap_password_attr", "", "userPassword", "x"},
            {"ldap_scope", "", "sub", "one"},
            {"ldap_auth_method", "", "bind", "custom"},
            {"ldap_default_realm", "ldap_default_domain", "", "example.org"},
            {"ldap_timeout", "", "5", "9"},
            {"ldap_time_limit", "", "5", "9"},
            {"ldap_size_limit", "", "1", "9"},
            {"ldap_deref", "", "never", "find"},
            {"ldap_referrals", "", "no", "yes"},
            {"ldap_restart", "", "yes", "no"},
            {"ldap_use_sasl", "", "no", "no"},
            {"ldap_id", "ldap_sasl_authc_id", "", "x"},
            {"ldap_authz_id", "ldap_sasl_authz_id", "", "x"},
            {"ldap_realm", "ldap_sasl_realm", "", "x"},
            {"ldap_mech", "ldap_sasl_mech", "", "x"},
            {"ldap_sasl_secprops", "", "", "x"},
            {"ldap_start_tls", "", "no", "yes"},
            {"ldap_tls_check_peer", "", "", "yes"},
            {"ldap_tls_cacert_file", "", "", "/x"},
            {"ldap_tls_cacert_dir", "", "", "/x"},
            {"ldap_tls_cert", "", "", "/x"},
            {"ldap_tls_key", "", "", "/x"},
            {"ldap_tls_ciphers", "", "", "NORMAL"},
            {"ldap_group_dn", "", "", "cn=%r"},
            {"ldap_group_attr", "", "uniqueMember", "member"},
            {"ldap_group_match_method", "", "attr", "filter"},
            {"ldap_group_filter", "", "", "(x=%D)"},
            {"ldap_group_search_base", "", "", "ou=x"},
            {"ldap_group_scope", "", "sub", "base"},
            {"ldap_debug", "", "0", "255"},
            {"krb5_keytab", "", "", "/x"},
            {"krb5_verify_principal", "", "host", "imap"},
            {"krb5_servername", "", "", "x"},
            {"krb5_conv_krb4_instance", "", "no", "yes"},
        }));
    CAPTURE(key);
    const BackendType& type = parse_backend_type(key.starts_with("krb5") ? "kerberos5" : "ldap");
    CHECK(default_options(type).at(key) == default_value);
    CHECK(options(key + ": " + value) == Options{{key, value}});
    if (!alias.empty())
        CHECK(options(alias + ": " + value) == Options{{key, value}});
}

TEST_CASE("a line is a key, a colon and a value", "[saslauthd.conf]")
{
    const auto [line, value] = GENERATE(table<std::string, std::string>({
        {"ldap_bind_dn: cn=x", "cn=x"},
        {"ldap_bind_dn:cn=x", "cn=x"},
        {"ldap_bind_dn: \t  cn=x\n", "cn=x"},
        {" \t ldap_bind_dn: cn=x", "cn=x"},
        {"LDAP_Bind_DN: cn=X", "cn=X"},
        {"ldap_bind_dn: cn=x \t", "cn=x \t"},
        {"ldap_bind_dn: cn=x # none", "cn=x # none"},
        {"ldap_bind_dn: \"cn=x\"", "\"cn=x\""},
        {"ldap_bind_dn: a: b", "a: b"},
        {"# ldap_bind_dn: a\n\n  \t\n   # b\nldap_bind_dn: c", "c"},
        {"ldap_bind_dn: a\nldap_bind_dn: b\n", "b"},
        {"ldap_bind_dn: \xff\x01=;'", "\xff\x01=;'"},
    }));
    CAPTURE(line);
    CHECK(options(line) == Options{{"ldap_bind_dn", value}});
}

TEST_CASE("two names of one key are one key, and the later line counts", "[saslauthd.conf]")
{
    CHECK(options("ldap_bind_pw: a\nldap_password: b\n").at("ldap_password") == "b");
    CHECK(options("ldap_password: b\nldap_bind_pw: a\n").at("ldap_password") == "a");
}

TEST_CASE("blanks at the end belong to texts and passwords alone", "[saslauthd.conf]")
{
    const auto [line, value] = GENERATE(table<std::string, std::string>({
        {"ldap_password: x \t", "x \t"},
        {"ldap_filter: x ", "x "},
        {"ldap_start_tls: yes \t", "yes"},
        {"ldap_debug: 7 ", "7"},
        {"ldap_timeout: 7 ", "7"},
        {"ldap_servers: ldap://a/ ", "ldap://a/"},
        {"ldap_tls_cert: /x ", "/x"},
    }));
    CAPTURE(line);
    CHECK(options(line).begin()->second == value);
}

TEST_CASE("a word with a blank behind it has no effect, and that is said", "[saslauthd.conf]")
{
    const std::string note = "has no effect, as with saslauthd, because of the blank behind it";
    const auto blank = GENERATE(as<std::string>{}, " ", "\t", " \t ");
    const SaslauthdConf read = conf("ldap_scope: One" + blank + "\nldap_deref: never" + blank + "\n");
    CHECK(read.options == Options{{"ldap_deref", "never"}});
    CHECK(said(read.notes) == Lines{"1 ldap_scope: One: " + note});
    const SaslauthdConf back = conf("ldap_scope: one\nldap_scope: sub" + blank);
    CHECK(back.options == Options{{"ldap_scope", "one"}});
    CHECK(said(back.notes) == Lines{"2 ldap_scope: sub: " + note});
    CHECK(said(conf("ldap_scope: subtree" + blank).notes) ==
          Lines{"1 ldap_scope: subtree: has no effect, as with saslauthd; sub, one or base was expected"});
}

TEST_CASE("of a key of kerberos5 the earlier line counts, and that is said", "[saslauthd.conf]")
{
    const SaslauthdConf read = conf("krb5_keytab: /x\nkrb5_keytab: MEMORY:y\nKRB5_IMAP_instance: mail\n"
                                    "krb5_imap_instance: post\nkrb5_smtp_instance: out\n");
    CHECK(read.options == Options{{"krb5_keytab", "/x"}, {"krb5_instances", "imap=mail smtp=out"}});
    CHECK(read.problems.empty());
    const std::string note = "has no effect, as with saslauthd: an earlier line counts";
    CHECK(said(read.notes) == Lines{"2 krb5_keytab: " + note, "4 krb5_imap_instance: " + note});
    CHECK(conf("krb5_keytab: MEMORY:y\nkrb5_keytab: /x\n").problems.size() == 1);
}

TEST_CASE("a word with a CR behind it has no effect, and that is said", "[saslauthd.conf]")
{
    const SaslauthdConf read = conf("# x\r\nldap_scope: one\r\nldap_deref: never\r\nldap_version: 2\n");
    CHECK(read.options == Options{{"ldap_deref", "never"}, {"ldap_version", "2"}});
    CHECK(said(read.notes).back() ==
          "2 ldap_scope: one: has no effect, as with saslauthd, because of the CR behind it");
}

TEST_CASE("of a value that would be refused a later line takes the place, and that is said",
          "[saslauthd.conf]")
{
    const auto [wrong, right] = GENERATE(table<std::string, std::string>({
        {"ldap_start_tls: perhaps", "ldap_start_tls: no"},
        {"ldap_servers: ldap://a:b/", "ldap_servers: ldap://a/"},
        {"ldap_tls_cert: x", "ldap_start_tls: yes\nldap_tls_cert: /x"},
    }));
    CAPTURE(wrong);
    const SaslauthdConf mended = conf(wrong + '\n' + right);
    CHECK(mended.problems.empty());
    REQUIRE(mended.notes.size() == 1);
    CHECK(mended.notes.front().line == 1);
    CHECK_THAT(mended.notes.front().text, Catch::EndsWith("expected; a later line counts") ||
                                              Catch::EndsWith("behind the host; a later line counts"));
    CHECK(conf(right + '\n' + wrong).problems.size() == 1);
    CHECK(conf(right + '\n' + wrong + '\n' + wrong).problems.size() == 2);
}

TEST_CASE("a CR at the end of a line is dropped, and that is said once", "[saslauthd.conf]")
{
    const SaslauthdConf read = conf("ldap_password: x\r\n\r\n# y\r\nldap_start_tls: yes\r");
    CHECK(read.options == Options{{"ldap_password", "x"}, {"ldap_start_tls", "yes"}});
    CHECK(read.problems.empty());
    CHECK(said(read.notes) == Lines{"1 : lines end in CR and newline here; the CR does not count, but "
                                    "saslauthd takes it for a part of the value"});
}

TEST_CASE("a file that saslauthd would refuse is refused, with the line and no value", "[saslauthd.conf]")
{
    const std::string shape = "key: value was expected, and the colon right behind the key";
    const std::string empty = "an empty value; one was expected, or no such line";
    const auto [line, problem] = GENERATE_REF(table<std::string, std::string>({
        {"ldap_password hunter2", "1 ldap_password: " + shape},
        {"ldap_password : hunter2", "1 ldap_password: " + shape},
        {"ldap_password=hunter2", "1 ldap_password: " + shape},
        {"LDAP_BIND_PW hunter2", "1 ldap_bind_pw: " + shape},
        {"hunter2", "1 : " + shape},
        {"hunter2 hunter2: x", "1 : " + shape},
        {": hunter2", "1 : " + shape},
        {"\xef\xbb\xbfldap_debug: 1", "1 : " + shape},
        {"ldap_password:", "1 ldap_password: " + empty},
        {"ldap_password: \t", "1 ldap_password: " + empty},
        {"ldap_password: \r", "1 ldap_password: " + empty},
        {"hunter2:", "1 : " + empty},
        {"ldap_password: hun\0ter2"s, "1 : the line holds a NUL byte; text was expected"},
        {"ldap_password: " + std::string(64 * 1024, 'x'),
         "1 : the line is longer than the 64 KiB that were expected at most"},
    }));
    CAPTURE(line);
    CHECK(said(conf(line).problems) == Lines{problem});
}

TEST_CASE("a saslauthd.conf has a bound", "[saslauthd.conf]")
{
    CHECK(conf(std::string(config_file_bytes_max, '\n')).problems.empty());
    CHECK(said(conf(std::string(config_file_bytes_max + 1, '\n')).problems) ==
          Lines{"0 : the file is larger than the 1 MiB that were expected at most"});
}

TEST_CASE("a boolean is read by its first letters, in any case", "[saslauthd.conf]")
{
    const auto [value, meaning, is_noted] = GENERATE(table<std::string, std::string, bool>({
        {"yes", "yes", false},  {"y", "yes", false},    {"1", "yes", false},    {"10", "yes", false},
        {"true", "yes", false}, {"on", "yes", false},   {"only", "yes", false}, {"no", "no", false},
        {"n", "no", false},     {"0", "no", false},     {"false", "no", false}, {"off", "no", false},
        {"No", "no", false},    {"FALSE", "no", false}, {"Off", "no", false},   {"oFF", "no", false},
        {"Yes", "yes", true},   {"TRUE", "yes", true},  {"On", "yes", true},    {"oN", "yes", true},
    }));
    const auto key = GENERATE(as<std::string>{}, "ldap_start_tls", "ldap_restart", "krb5_conv_krb4_instance");
    CAPTURE(key, value);
    const SaslauthdConf read = conf(key + ": " + value);
    CHECK(read.problems.empty());
    CHECK(read.options == Options{{key, meaning}});
    CHECK(said(read.notes) ==
          (is_noted ? Lines{"1 " + key + ": " + value + " means yes here; saslauthd takes it for no"}
                    : Lines{}));
}

TEST_CASE("what is neither yes nor no is refused where it guards a password, and else means no",
          "[saslauthd.conf]")
{
    const auto value = GENERATE(as<std::string>{}, "enabled", "o", "2", "demand", "+");
    CAPTURE(value);
    const auto guard = GENERATE(as<std::string>{}, "ldap_start_tls", "ldap_use_sasl");
    CHECK(said(conf(guard + ": " + value).problems) ==
          Lines{"1 " + guard + ": " + value + ": yes or no was expected"});
    const SaslauthdConf other = conf("ldap_restart: " + value);
    CHECK(other.problems.empty());
    CHECK(other.options == Options{{"ldap_restart", "no"}});
    CHECK(said(other.notes) ==
          Lines{"1 ldap_restart: " + value + " means no, as with saslauthd; yes or no was expected"});
}

TEST_CASE("the server's certificate is checked unless somebody says no", "[saslauthd.conf]")
{
    const auto [value, meaning, is_noted] = GENERATE(table<std::string, std::string, bool>({
        {"hard", "yes", true},
        {"demand", "yes", true},
        {"allow", "yes", true},
        {"Demand", "yes", true},
        {"2", "yes", true},
        {"try", "yes", false},
        {"never", "no", false},
    }));
    CAPTURE(value);
    const SaslauthdConf read = conf("ldap_tls_check_peer: " + value);
    CHECK(read.problems.empty());
    CHECK(read.options == Options{{"ldap_tls_check_peer", meaning}});
    CHECK(said(read.notes) ==
          (is_noted ? Lines{"1 ldap_tls_check_peer: " + value + " means yes here; saslauthd takes it for no"}
                    : Lines{}));
}

TEST_CASE("libldap may be asked to say all", "[saslauthd.conf]")
{
    CHECK(options("ldap_debug: -1") == Options{{"ldap_debug", "2147483647"}});
}

TEST_CASE("of a number the leading digits count, and more than that is noted", "[saslauthd.conf]")
{
    const auto [line, taken, note] = GENERATE(table<std::string, std::string, std::string>({
        {"ldap_debug: 7", "7", ""},
        {"ldap_debug: 2147483647", "2147483647", ""},
        {"ldap_debug: 2147483648", "2147483647", "a number from 0 to 2147483647 was expected"},
        {"ldap_debug: 99999999999999999999999", "2147483647", "a number from 0 to 2147483647 was expected"},
        {"ldap_debug: many", "0", "a number from 0 to 2147483647 was expected"},
        {"ldap_size_limit: 12x", "12", "a number from 0 to 2147483647 was expected"},
        {"ldap_size_limit: +12", "12", "a number from 0 to 2147483647 was expected"},
        {"ldap_size_limit: -1", "1", "a number from 0 to 2147483647 was expected"},
        {"ldap_timeout: 500ms", "500", "a number of seconds from 0 to 86400 was expected"},
        {"ldap_timeout: 86401", "86400", "a number of seconds from 0 to 86400 was expected"},
    }));
    CAPTURE(line);
    const SaslauthdConf read = conf(line);
    CHECK(read.problems.empty());
    CHECK(read.options.begin()->second == taken);
    const std::size_t colon = line.find(':');
    CHECK(said(read.notes) == (note.empty()
                                   ? Lines{}
                                   : Lines{"1 " + line.substr(0, colon) + ": " + line.substr(colon + 2) +
                                           ": " + note + "; " + taken + " is taken"}));
}

TEST_CASE("a word may be written in any case, and another one has no effect", "[saslauthd.conf]")
{
    CHECK(options("ldap_scope: One").at("ldap_scope") == "one");
    CHECK(options("ldap_auth_method: CUSTOM").at("ldap_auth_method") == "custom");
    CHECK(options("ldap_scope: one\nldap_scope: sub\n").at("ldap_scope") == "sub");
    const SaslauthdConf read = conf("ldap_scope: one\nldap_scope: subtree\nldap_version: 4\n");
    CHECK(read.problems.empty());
    CHECK(read.options == Options{{"ldap_scope", "one"}});
    CHECK(said(read.notes) ==
          Lines{"2 ldap_scope: subtree: has no effect, as with saslauthd; sub, one or base was expected",
                "3 ldap_version: 4: has no effect, as with saslauthd; 3 or 2 was expected; did you mean 3?"});
}

TEST_CASE("servers and files are checked", "[saslauthd.conf]")
{
    const auto [line, problem] = GENERATE(table<std::string, std::string>({
        {"ldap_servers: ldap://a ldap.example.org",
         "ldap_servers: ldap.example.org: ldap://..., ldaps://... or ldapi://... was expected"},
        {"krb5_keytab: x", "krb5_keytab: x: an absolute path was expected"},
        {"krb5_keytab: FILE:x", "krb5_keytab: x: an absolute path was expected"},
        {"krb5_keytab: FILE:",
         "krb5_keytab: FILE:: a keytab that is a file was expected, /path or FILE:/path"},
        {"krb5_keytab: MEMORY:/x",
         "krb5_keytab: MEMORY:/x: a keytab that is a file was expected, /path or FILE:/path"},
        {"krb5_keytab: file:/x",
         "krb5_keytab: file:/x: a keytab that is a file was expected, /path or FILE:/path"},
    }));
    CAPTURE(line);
    CHECK(said(conf(line).problems) == Lines{"1 " + problem});
    CHECK(options("krb5_keytab: FILE:/etc/x").at("krb5_keytab") == "/etc/x");
    CHECK(options("krb5_keytab: WRFILE:/etc/x").at("krb5_keytab") == "/etc/x");
    CHECK(options("krb5_keytab: /etc/x:y").at("krb5_keytab") == "/etc/x:y");
    CHECK(options("ldap_servers: LDAPS://a, ldapi:///").at("ldap_servers") == "LDAPS://a, ldapi:///");
}

TEST_CASE("a relative path has no effect where there is no TLS, and ends the start where there is",
          "[saslauthd.conf]")
{
    const auto key = GENERATE(as<std::string>{}, "ldap_tls_cacert_file", "ldap_tls_cert", "ldap_tls_key");
    const std::string line = key + ": x.pem\n";
    const std::string said_of_it = "1 " + key + ": x.pem: an absolute path was expected";
    const auto plain = GENERATE(as<std::string>{}, "", "ldap_servers: ldap://localhost/\n",
                                "ldap_servers: ldapi:///\nldap_start_tls: no\n");
    const SaslauthdConf without = conf(line + plain);
    CHECK(without.problems.empty());
    CHECK_FALSE(without.options.contains(key));
    CHECK(said(without.notes) == Lines{said_of_it + "; it has no effect, since TLS is not used"});
    CHECK(said(read_saslauthd_conf(line + plain, types("ldap"), true).problems) == Lines{said_of_it});
    const auto with_tls =
        GENERATE(as<std::string>{}, "ldap_start_tls: yes\n", "ldap_servers: ldap://a/ LDAPS://b/\n");
    CHECK(said(conf(line + with_tls).problems) == Lines{said_of_it});
}

TEST_CASE("an unknown key has no effect, and it is said what was meant", "[saslauthd.conf]")
{
    const std::string begin = "there is no such key: it has no effect, as with saslauthd";
    const auto [line, note] = GENERATE(table<std::string, std::string>({
        {"ldap_starttls: yes", "ldap_starttls: @; write ldap_start_tls: yes"},
        {"ldap_ssl: yes", "ldap_ssl: @; write ldap_start_tls: yes, or ldaps:// in ldap_servers"},
        {"LDAP_Port: 636", "ldap_port: @; write the port in ldap_servers: ldap://HOST:PORT/"},
        {"ldap_uri: ldap://x", "ldap_uri: @; write ldap_servers: ldap://HOST/"},
        {"ldap_passwrd: hunter2", "ldap_passwrd: @; did you mean ldap_password?"},
        {"krb5_keytabs: x", "krb5_keytabs: @; did you mean krb5_keytab?"},
        {"krb5__instance: x", "krb5__instance: @; did you mean krb5_instances?"},
        {"something-else: hunter2", ": an unknown key; it has no effect, as with saslauthd"},
    }));
    const SaslauthdConf read = conf(line);
    CHECK(read.problems.empty());
    CHECK(read.options.empty());
    CHECK(said(read.notes) == Lines{"1 " + std::regex_replace(note, std::regex{"@"}, begin)});
}

TEST_CASE("behind a line without a value no unknown key is shown", "[saslauthd.conf]")
{
    const auto line = GENERATE(as<std::string>{}, "ldap_password:", "ldap_password: \t", "ldap_password",
                               "ldap_passwort:", "hunter");
    CAPTURE(line);
    const SaslauthdConf read =
        conf(line + "\n# x\nldap_hunter2: x\nldap_ssl: x\nkrb5_hunter2_instance: a b\nldap_scope: x\n");
    REQUIRE(read.problems.size() == 2);
    CHECK(said(read.problems)[1] == "5 : an instance without blanks and commas in it was expected");
    CHECK(said(read.notes) ==
          Lines{"3 : an unknown key; it has no effect, as with saslauthd",
                "4 : an unknown key; it has no effect, as with saslauthd",
                "6 ldap_scope: x: has no effect, as with saslauthd; sub, one or base was expected"});
}

TEST_CASE("a thousand notes are a hundred lines and a number", "[saslauthd.conf]")
{
    std::string text;
    for (int i = 0; i < 1000; ++i)
        text += "ldap_passwrd: x\n";
    const Lines notes = File{text}.notes();
    REQUIRE(notes.size() == 101);
    CHECK_THAT(notes[99], Catch::StartsWith("FILE:100: ldap_passwrd: ") && Catch::Contains("did you mean"));
    CHECK(notes[100] == "FILE: and 900 more");
}

TEST_CASE("keys of saslauthd's other mechanisms may stand in the file", "[saslauthd.conf]")
{
    const std::string text =
        "ldap_debug: 1\nldap_starttls: x\nldap_x: y\nkrb5_keytab: /x\nkrb5_imap_instance: z\n"
        "krb5_x: y\nhttpform_host: x\n";
    CHECK(conf(text, "ldap").options == Options{{"ldap_debug", "1"}});
    CHECK(conf(text, "ldap").notes.size() == 2);
    CHECK(conf(text, "kerberos5").options == Options{{"krb5_keytab", "/x"}, {"krb5_instances", "imap=z"}});
    CHECK(conf(text, "kerberos5").notes.size() == 1);
    CHECK(conf(text).notes.size() == 3);
}

TEST_CASE("the instance of a service is one line for each", "[saslauthd.conf]")
{
    CHECK(options("krb5_imap_instance: mail \nKRB5_SMTP_Instance: Out\n") ==
          Options{{"krb5_instances", "imap=mail smtp=Out"}});
    CHECK(options("krb5_instances: pop=x\nkrb5_imap_instance: y\n") ==
          Options{{"krb5_instances", "pop=x imap=y"}});
    CHECK(said(conf("krb5_instances: pop\n").problems) ==
          Lines{"1 krb5_instances: pop: SERVICE=INSTANCE was expected"});
    for (const std::string instance : {"a b", "a,b", ","})
        CHECK(said(conf("krb5_imap_instance: " + instance + "\n").problems) ==
              Lines{"1 krb5_imap_instance: an instance without blanks and commas in it was expected"});
}

TEST_CASE("a value that saslauthd cuts is whole, and that is noted", "[saslauthd.conf]")
{
    const auto [key, bytes] = GENERATE(table<std::string, std::size_t>({
        {"ldap_password", 127},
        {"ldap_group_filter", 127},
        {"ldap_group_search_base", 127},
        {"ldap_tls_ciphers", 127},
        {"ldap_tls_cacert_dir", 1023},
    }));
    CAPTURE(key);
    CHECK(options(key + ": " + std::string(bytes, 'x')).at(key) == std::string(bytes, 'x'));
    const SaslauthdConf read = conf(key + ": " + std::string(bytes + 1, 'x'));
    CHECK(read.options.at(key) == std::string(bytes + 1, 'x'));
    CHECK(said(read.notes) == Lines{"1 " + key + ": the whole value counts; saslauthd reads only the first " +
                                    std::to_string(bytes) + " bytes of it"});
    CHECK(said(conf("ldap_filter: " + std::string(5000, 'x')).notes) ==
          Lines{"1 ldap_filter: saslauthd reads only the first 4095 bytes of a line as one"});
}

TEST_CASE("it is said that fastbind asks for each login", "[saslauthd.conf]")
{
    const auto [text, notes] = GENERATE(table<std::string, std::size_t>({
        {"ldap_auth_method: fastbind", 1},
        {"ldap_use_sasl: yes", 1},
        {"ldap_use_sasl: yes\nldap_auth_method: custom", 0},
        {"ldap_auth_method: bind", 0},
    }));
    CHECK(conf(text).notes.size() == notes);
}

TEST_CASE("what is wrong with a saslauthd.conf is said at once, and its notes behind it", "[saslauthd.conf]")
{
    const File file{"ldap_ssl: yes\nldap_start_tls: perhaps\nldap_password hunter2\n", 0644};
    CHECK(file.complaint() ==
          "FILE:2: ldap_start_tls: perhaps: yes or no was expected\n"
          "FILE:3: ldap_password: key: value was expected, and the colon right behind the key\n"
          "note: FILE:1: ldap_ssl: there is no such key: it has no effect, as with saslauthd; write "
          "ldap_start_tls: yes, or ldaps:// in ldap_servers");
}

TEST_CASE("a saslauthd.conf with a password that everybody may read works, with a note", "[saslauthd.conf]")
{
    CHECK(File{"# x\nldap_bind_pw: hunter2\n", 0644}.notes() ==
          Lines{"FILE: everybody may read it, and line 2 holds a password; chmod o-r FILE"});
    CHECK(File{"ldap_bind_pw: hunter2\n", 0640}.notes().empty());
    CHECK(File{"ldap_debug: 1\n", 0644}.notes().empty());
    CHECK(File{"ldap_debug: 1\n", 0660}.notes() ==
          Lines{"FILE: others than its owner may write it; chmod go-w FILE"});
}

TEST_CASE("a saslauthd.conf that nobody chose may be missing", "[saslauthd.conf]")
{
    const TemporaryDirectory directory;
    const std::string path = directory.file("none");
    const SaidOptions said = load_saslauthd_conf(path, false, types("ldap"));
    CHECK(said.options.empty());
    CHECK(said.notes == Lines{"there is no " + path +
                              ": the directory is asked with the defaults of all keys that no flag sets"});
    CHECK(load_saslauthd_conf(path, false, types("kerberos5")).notes.empty());
    CHECK_THROWS_WITH(load_saslauthd_conf(path, true, types("kerberos5")),
                      path + ": No such file or directory");
    CHECK_THROWS_WITH(load_saslauthd_conf(directory.file(""), false, types("ldap")),
                      Catch::Contains("a regular file was expected"));
}

TEST_CASE("a saslauthd.conf that was read may not vanish: its defaults would take its place",
          "[saslauthd.conf]")
{
    const TemporaryDirectory directory;
    const std::string path = directory.file("conf");
    const auto load = [&path] { return load_saslauthd_conf(path, false, types("ldap")); };
    CHECK(load().options.empty());
    std::ofstream{path} << "ldap_scope\n";
    CHECK_THROWS_AS(load(), ConfigFileError);
    std::filesystem::remove(path);
    CHECK(load().options.empty()); // it was never used
    std::ofstream{path} << "ldap_scope: one\n";
    CHECK(load().options == Options{{"ldap_scope", "one"}});
    std::filesystem::remove(path);
    CHECK_THROWS_WITH(load(), path + ": No such file or directory, and it was there before; an empty file "
                                     "takes back what it said");
    std::ofstream{path} << "";
    CHECK(load().options.empty());
}

TEST_CASE("the null device is a saslauthd.conf that says nothing", "[saslauthd.conf]")
{
    const SaidOptions said = load_saslauthd_conf("/dev/null", true, types("ldap"));
    CHECK(said.options.empty());
    CHECK(said.notes.empty());
    CHECK_THROWS_AS(load_saslauthd_conf("/dev/zero", true, types("ldap")), ConfigFileError);
}

TEST_CASE("no note and no complaint shows a password", "[saslauthd.conf]")
{
    const auto line =
        GENERATE(as<std::string>{}, "ldap_password: hunter2\x01", "ldap_password hunter2",
                 "ldap_passwort: hunter2", "hunter2", "=hunter2:", " hunter2 : x", "ldap_bind_pw: hunter2\0"s,
                 "ldap_servers: ldap://x:hunter2@y/", "ldap_servers: ldap://x:hunter2,z@y/",
                 "ldap_servers: x:hunter2 a@b", "x: hunter2", "ldap_password:\nhunter2-a: rest",
                 "ldap_password: x\nhunter2-a: rest", "ldap_password:\nldap_hunter2: rest",
                 "hunter2:", "hunter2: " + std::string(5000, 'x'),
                 "ldap_servers: ldap://h/????x-bindpw=hunter2", "ldap_servers: h?x-bindpw=hunter2");
    CAPTURE(line);
    const SaslauthdConf read = conf("ldap_use_sasl: yes\n" + line + std::string(4096, ' '));
    std::string all;
    for (const auto& list : {said(read.problems), said(read.notes)})
        all += joined_lines(list);
    CHECK_THAT(all, !Catch::Contains("hunter2"));
}
