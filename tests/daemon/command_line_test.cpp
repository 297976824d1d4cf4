// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/command_line.hpp"
#include "daemon/config_file.hpp"
#include "daemon/config_values.hpp"
#include "tests/support/temporary_directory.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

using namespace postern;
using namespace std::chrono_literals;

namespace {

/// The command line as it is typed, behind the name of the program.
CommandLine parse(const std::string& typed, const std::string& program = "saslauthd")
{
    std::vector<std::string> arguments{program};
    std::istringstream words{typed};
    for (std::string word; words >> word;)
        arguments.push_back(word);
    return parse_command_line(arguments);
}

Config config(const std::string& typed)
{
    return std::get<Config>(parse(typed));
}

std::string text(const std::string& typed)
{
    return std::get<CommandLineText>(parse(typed)).text;
}

/// What is said of a command line that is refused.
std::string complaint(const std::string& typed, const std::string& program = "saslauthd")
{
    try {
        static_cast<void>(parse(typed, program));
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "none";
}

/// A saslauthd.conf of its own for a test.
class SharedFile {
public:
    explicit SharedFile(const std::string& text) { write(text); }

    void write(const std::string& text) { std::ofstream{path()} << text; }

    [[nodiscard]] std::string path() const { return directory_.file("saslauthd.conf"); }

    /// -O and this file.
    [[nodiscard]] std::string flag() const { return "-O " + path(); }

private:
    TemporaryDirectory directory_;
};

/// A postern.conf of its own for a test.
class File {
public:
    File() { write("sasldb"); }

    void write(const std::string& type, const std::string& more = "")
    {
        std::ofstream{path()} << "[listener a]\nsocket = /run/a\n[backend b]\ntype = " << type
                              << "\n[route]\ndefault = b\n"
                              << more;
    }

    [[nodiscard]] std::string path() const { return directory_.file("postern.conf"); }

    /// --config and this file.
    [[nodiscard]] std::string flag() const { return "--config " + path(); }

private:
    TemporaryDirectory directory_;
};

} // namespace

TEST_CASE("without options Postern is what Debian's saslauthd is", "[flags]")
{
    const Config c = config("-a sasldb");
    CHECK(c.run_directory == "/var/run/saslauthd");
    CHECK(c.listeners.at(0).socket == "/var/run/saslauthd/mux");
    CHECK(c.backends.at(0).pool.workers == 5);
    CHECK(c.backends.at(0).options.at("sasldb_path") == "/etc/sasldb2");
    CHECK(c.listeners.at(0).deadline == 8s);
    CHECK(c.listeners.at(0).field_bytes_max == 1024);
    CHECK(c.routes.at(0).failure_delay == 1s);
    CHECK_FALSE(c.stays_in_foreground);
    CHECK_FALSE(c.is_verbose);
    CHECK(c.log == LogTarget::syslog);
    CHECK(c.notes.empty());
}

TEST_CASE("flags may be attached to their value and to each other, as getopt has it", "[flags]")
{
    const auto typed =
        GENERATE(as<std::string>{}, "-a sasldb -m /run/x -n 7 -V -d -r", "-asasldb -m/run/x -n7 -Vdr",
                 "-Vdra sasldb -m/run/x -n 7", "-rVdn7 -m /run/x -asasldb");
    CAPTURE(typed);
    const Config c = config(typed);
    CHECK(c.backends.at(0).name == "sasldb");
    CHECK(c.listeners.at(0).socket == "/run/x/mux");
    CHECK(c.backends.at(0).pool.workers == 7);
    CHECK(c.is_verbose);
    CHECK(c.stays_in_foreground);
    CHECK(c.listeners.at(0).names.joins_realm);
}

TEST_CASE("a flag may be repeated, and the last one counts", "[flags]")
{
    const Config c =
        config("-V -a sasldb -n 3 -m /one -V --deadline 1s -n 7 -m /two --deadline 2s -O x -O y");
    CHECK(c.backends.at(0).pool.workers == 7);
    CHECK(c.run_directory == "/two");
    CHECK(c.listeners.at(0).deadline == 2s);
    CHECK(c.is_verbose);
}

TEST_CASE("the mechanism may be written in any case", "[flags]")
{
    CHECK(config("-a SaslDB").backends.at(0).name == "sasldb");
}

TEST_CASE("the flag -d says more and -f does not; both stay and write to the terminal too", "[flags]")
{
    CHECK(config("-a sasldb -d").is_verbose);
    CHECK_FALSE(config("-a sasldb -f").is_verbose);
    CHECK(config("-a sasldb -f").stays_in_foreground);
    CHECK(config("-a sasldb -f").log == LogTarget::syslog_and_stderr);
    CHECK(config("-a sasldb -f --log stderr").log == LogTarget::stderr_only);
    CHECK(config("-a sasldb -f --log syslog").log == LogTarget::syslog);
    CHECK(config("-a sasldb --log syslog").log == LogTarget::syslog);
}

TEST_CASE("every key of the listener, the route and the backend is a long option", "[flags]")
{
    const Config c =
        config("-a sasldb --deadline 2s --failure-delay=0 --when-unavailable say_no --field-bytes-max 256 "
               "-n 6 --workers-max 20 --worker-requests-max 30 --worker-idle 40s --queue-max 7 --delayed-max "
               "8 --sessions-max 9 --user nobody --sasldb-path /tmp/db");
    CHECK(c.listeners.at(0).deadline == 2s);
    CHECK(c.listeners.at(0).when_unavailable == saslauthd::WhenUnavailable::say_no);
    CHECK(c.listeners.at(0).field_bytes_max == 256);
    CHECK(c.routes.at(0).failure_delay == 0s);
    CHECK(c.backends.at(0).pool == PoolConfig{6, 20, 30, 40s, 7});
    CHECK(c.delayed_max == 8);
    CHECK(c.sessions_max == 9);
    CHECK(c.user == "nobody");
    CHECK(c.backends.at(0).options.at("sasldb_path") == "/tmp/db");
}

TEST_CASE("a time has a unit, or means seconds", "[flags]")
{
    const auto [typed, time] = GENERATE(table<std::string, std::chrono::milliseconds>(
        {{"2", 2s}, {"2s", 2s}, {"1500ms", 1500ms}, {"1m", 60s}}));
    CHECK(config("-a sasldb --deadline " + typed).listeners.at(0).deadline == time);
}

#ifdef POSTERN_TESTING
TEST_CASE("several mechanisms are asked in the order of the list", "[flags]")
{
    const Config c = config("-a fault,sasldb");
    REQUIRE(c.backends.size() == 2);
    CHECK(c.backends[0].name == "fault");
    CHECK(c.backends[1].name == "sasldb");
    CHECK(c.routes.at(0).chain.at(1).backend == 1);
}
#endif

TEST_CASE("the pool of a backend grows to what its type can use, and is never smaller than -n", "[flags]")
{
    const BackendConfig backend = config("-a sasldb -n 2").backends.at(0);
    CHECK(backend.pool.workers_max == std::max(2U, default_workers_max(*backend.type)));
    CHECK(config("-a sasldb -n 7 --workers-max 3").backends.at(0).pool.workers_max == 7);
}

TEST_CASE("the flag -n 0 is a fresh worker for each request", "[flags]")
{
    const PoolConfig pool = config("-a sasldb -n 0").backends.at(0).pool;
    CHECK(pool.workers == 1);
    CHECK(pool.worker_requests_max == 1);
    CHECK(pool.workers_max >= 2);
}

TEST_CASE("the flags -c, -s and -t have logins kept as saslauthd keeps them", "[flags]")
{
    CHECK_FALSE(config("-a sasldb").cache.is_on);
    CHECK_FALSE(config("-a sasldb -s 100 -t 60").cache.is_on);
    CHECK(config("-a sasldb -c").cache == CacheConfig{true, 963, 28'800s});
    CHECK(config("-a sasldb -c -s 100 -t 60").cache == CacheConfig{true, 100, 60s});
    CHECK(config("-a sasldb -c -s 1 -t 1").cache == CacheConfig{true, 1, 1s});
    CHECK(config("-c -s 64 -s 128 -t 60 -t 120 -a sasldb").cache == CacheConfig{true, 128, 120s});
    CHECK(config("-a sasldb -c -s 1073741824 -t 1073741824").cache ==
          CacheConfig{true, 2'097'152, 1'073'741'824s});
    CHECK(config("-a sasldb -c -s 100").notes.empty());
}

TEST_CASE("with -c the logins of every mechanism are kept, as with saslauthd", "[flags]")
{
    for (const BackendConfig& backend : config("-a pam,shadow,getpwent,sasldb,ldap -c").backends)
        CHECK(backend.keeps_logins());
}

TEST_CASE("what has no effect in this version is said at start", "[flags]")
{
    CHECK(config("-a sasldb -O x -O y").notes.size() == 1);
    CHECK(config("-a sasldb -T -H host").notes.size() == 1);
    CHECK(config("-a sasldb -l").notes.empty());
}

TEST_CASE("the flag -O names the file of ldap and kerberos5, and both read the same one", "[flags]")
{
    const SharedFile file{"ldap_bind_pw: hunter2\nkrb5_servername: x\n"};
    const Config c = config("-a ldap,kerberos5 " + file.flag());
    CHECK(c.backends.at(0).options.at("ldap_password") == "hunter2");
    CHECK(c.backends.at(0).options.at("ldap_scope") == "sub");
    CHECK(c.backends.at(0).options.size() == find_backend_type("ldap")->options.size());
    CHECK(c.backends.at(1).options.at("krb5_servername") == "x");
    CHECK(c.backends.at(1).options.size() == find_backend_type("kerberos5")->options.size());
    CHECK(config("-a ldap -O relative " + file.flag()).backends.at(0).options.at("ldap_password") ==
          "hunter2");
}

TEST_CASE("a flag counts more than the file", "[flags]")
{
    const SharedFile file{"ldap_servers: ldap://a\nldap_scope: one\n"};
    const Config c = config("-a ldap --ldap-servers ldap://b " + file.flag());
    CHECK(c.backends.at(0).options.at("ldap_servers") == "ldap://b");
    CHECK(c.backends.at(0).options.at("ldap_scope") == "one");
}

TEST_CASE("a saslauthd.conf is read anew each time", "[flags]")
{
    SharedFile file{"ldap_scope: one\n"};
    CHECK(config("-a ldap " + file.flag()).backends.at(0).options.at("ldap_scope") == "one");
    file.write("ldap_scope: base\n");
    CHECK(config("-a ldap " + file.flag()).backends.at(0).options.at("ldap_scope") == "base");
    file.write("ldap_scope\n");
    CHECK_THROWS_AS(parse("-a ldap " + file.flag()), ConfigFileError);
}

TEST_CASE("a saslauthd.conf may have as many options as a worker can be told", "[flags]")
{
    const SharedFile file{"ldap_filter: " + std::string(33'000, 'x') + "\n"};
    CHECK(complaint("-a ldap " + file.flag()) ==
          "-a ldap: its options are longer than the 32 KiB that were expected at most");
}

TEST_CASE("options that are well by themselves, and not together, start nothing", "[flags]")
{
    CHECK(complaint("-a ldap -O /dev/null --ldap-auth-method fastbind") ==
          "-a ldap: ldap_filter is a filter, and fastbind needs a DN there, such as "
          "uid=%u,ou=people,dc=example,dc=org");
    CHECK(complaint("-a rimap -O imap --rimap-timeout 0") ==
          "-a rimap: rimap_timeout is 0, and nobody could log in; a time was expected");
    CHECK(complaint("-a rimap -O imap --rimap-ca-file /proc/self/stat") ==
          "-a rimap: rimap_ca_file is set, and rimap_tls is none: passwords would travel in clear; "
          "rimap_tls = starttls or implicit was expected");
}

TEST_CASE("a file of certificates must be there", "[flags]")
{
    CHECK(complaint("-a rimap -O imap --rimap-tls implicit --rimap-ca-file /nonexistent") ==
          "--rimap-ca-file /nonexistent: No such file or directory");
    CHECK(config("-a rimap -O imap --rimap-tls implicit --rimap-ca-file /proc/self/stat").notes.empty());
}

TEST_CASE("who names the port of IMAP with TLS, and no TLS, is told", "[flags]")
{
    CHECK(config("-a rimap -O imap/993").notes ==
          std::vector<std::string>{
              "rimap: rimap_tls is none, and the port is that of IMAP with TLS; implicit was expected"});
}

TEST_CASE("the flag -O names the server of rimap, as HOST or HOST/PORT", "[flags]")
{
    const auto [typed, host, port] = GENERATE(table<std::string, std::string, std::string>({
        {"-O imap", "imap", ""},
        {"-O one -O imap/1143", "imap", "1143"},
        {"-O /x -O imap", "imap", ""},
        {"-O imap/imaps --rimap-tls implicit", "imap", "imaps"},
        {"-O [::1]/143", "::1", "143"},
        {"-O ::1", "::1", ""},
        {"-O imap --rimap-port 143", "imap", "143"},
        {"--rimap-host a,b/993 --rimap-tls implicit", "a,b/993", ""},
    }));
    CAPTURE(typed);
    const Config c = config("-a rimap " + typed);
    CHECK(c.backends.at(0).options.at("rimap_host") == host);
    CHECK(c.backends.at(0).options.at("rimap_port") == port);
    CHECK(c.notes.empty());
}

TEST_CASE("where -O may be a file and a host, an absolute path is the file", "[flags]")
{
    const SharedFile file{"ldap_scope: one\n"};
    const auto before_and_behind = GENERATE(table<std::string, std::string>(
        {{"", " -O imap/143"}, {"-O imap/143 ", ""}, {"-O x -O /nonexistent ", " -O imap/143"}}));
    const std::string typed = std::get<0>(before_and_behind) + file.flag() + std::get<1>(before_and_behind);
    CAPTURE(typed);
    const Config c = config("-a ldap,rimap " + typed);
    CHECK(c.backends.at(0).options.at("ldap_scope") == "one");
    CHECK(c.backends.at(1).options.at("rimap_host") == "imap");
    CHECK(c.backends.at(1).options.at("rimap_port") == "143");
    CHECK(c.notes.empty());
}

TEST_CASE("the relative path of a file begins in the run directory, as with saslauthd", "[flags]")
{
    const SharedFile file{"ldap_scope: one\n"};
    const std::string directory = std::filesystem::path{file.path()}.parent_path();
    const Config c = config("-a ldap -O saslauthd.conf -m " + directory);
    CHECK(c.backends.at(0).options.at("ldap_scope") == "one");
    CHECK(c.notes == std::vector<std::string>{"-O saslauthd.conf is taken for " + file.path() +
                                              ", as with saslauthd; an absolute path was expected"});
}

TEST_CASE("the flag -O may name a file that says nothing", "[flags]")
{
    const Config c = config("-a ldap -O /dev/null");
    CHECK(c.backends.at(0).options == default_options(*find_backend_type("ldap")));
    CHECK(c.notes.empty());
}

TEST_CASE("a relative path in the file is refused when a flag asks for TLS", "[flags]")
{
    const SharedFile file{"ldap_tls_cert: x.pem\n"};
    CHECK(config("-a ldap " + file.flag()).notes.size() == 1);
    const auto flag = GENERATE(as<std::string>{}, "--ldap-start-tls yes ", "--ldap-servers ldaps://a ");
    CHECK_THROWS_AS(parse("-a ldap " + flag + file.flag()), ConfigFileError);
}

TEST_CASE("where -O might have been meant for a file, it is said that it is a host", "[flags]")
{
    CHECK(config("-a kerberos5,rimap -O saslauthd.conf").notes ==
          std::vector<std::string>{"-O saslauthd.conf is taken for a host; -O FILE, the absolute path of a "
                                   "file, may stand beside it, and is /etc/saslauthd.conf without it"});
}

TEST_CASE("saslauthd's reply texts are kept where they are those of one mechanism", "[flags]")
{
    const auto texts = [](const std::string& typed) { return config(typed).listeners.at(0).reply_texts; };
    CHECK(texts("-a rimap -O imap") == saslauthd::ReplyTexts{"remote authentication successful",
                                                             "remote server rejected your credentials"});
    CHECK(texts("-a sasldb") == saslauthd::ReplyTexts{});
    CHECK(texts("-a rimap,sasldb -O imap") == saslauthd::ReplyTexts{});
}

TEST_CASE("the reply text of every type fits a reply", "[flags]")
{
    for (const BackendType& type : backend_types()) {
        CAPTURE(type.name);
        CHECK(type.accepted_text.size() <= saslauthd::reply_text_bytes_max);
        CHECK(type.refused_text.size() <= saslauthd::reply_text_bytes_max);
    }
}

TEST_CASE("a check says what is only worth a note, too", "[flags]")
{
    const SharedFile file{"ldap_port: 636\n"};
    CHECK(text("-a ldap --check -T " + file.flag()) ==
          "note: " + file.path() +
              ":1: ldap_port: there is no such key: it has no effect, as with saslauthd; write the port in "
              "ldap_servers: ldap://HOST:PORT/\nnote: -T and -H have no effect, as with saslauthd\n"
              "the flags are OK\n");
}

TEST_CASE("what makes no sense is refused, and the complaint says what was expected", "[flags]")
{
    const auto [typed, part] = GENERATE(table<std::string, std::string>({
        {"", "-a says whom to ask"},
        {"-a sasldb -a sasldb", "-a was given twice"},
        {"-a sasldb,sasldb", "named twice"},
        {"-a nonsense", "unknown authentication mechanism: nonsense"},
        {"-a sasldc", "did you mean sasldb?"},
        {"-a rimap", "-a rimap needs the server that it asks: -O HOST or -O HOST/PORT"},
        {"-a rimap,ldap -O /x", "-a rimap needs the server that it asks"},
        {"-a rimap -O /143", "-O /143: HOST or HOST/PORT was expected"},
        {"-a rimap -O imap/", "-O imap/: HOST or HOST/PORT was expected"},
        {"-a rimap -O imap -O user:hunter2@imap", "-O: HOST or HOST/PORT was expected"},
        {"-a rimap -O imap --rimap-host imap",
         "-O imap and --rimap-host say the same; one of them was expected"},
        {"-a rimap -O imap/1 --rimap-port 2",
         "-O imap/1 and --rimap-port say the same; one of them was expected"},
        {"-a rimap --rimap-host a@b", "--rimap-host an @; servers without a user"},
        {"-a kerberos5,ldap -O none.conf", "/var/run/saslauthd/none.conf: No such file or directory"},
        {"-a ldap -m /x -O a/none.conf", "/x/a/none.conf: No such file or directory"},
        {"-a rimap -O imap.example.org:143", "-O imap.example.org:143: HOST or HOST/PORT was expected"},
        {"-a rimap -O imap --rimap-port 0",
         "--rimap-port 0: a port from 1 to 65535 or the name of a service was expected"},
        {"-a ldap -O /nonexistent/conf", "/nonexistent/conf: No such file or directory"},
        {"-a ldap -m /x -O /nonexistent/x -O conf", "/x/conf: No such file or directory"},
        {"-a ldap --ldap-servers directory", "--ldap-servers directory: ldap://..., ldaps://..."},
        {"-a httpform", "not offered"},
        {"-a sasldb -m run", "-m requires an absolute pathname"},
        {"-a sasldb -m /" + std::string(103, 'x'), "longer than the 107 bytes"},
        {"-a sasldb -n -1", "-n -1: a number from 0 to 512 was expected"},
        {"-a sasldb -n abc", "a number from 0 to 512"},
        {"-a sasldb -n 5x", "a number from 0 to 512"},
        {"-a sasldb -s 0", "-s 0: a number from 1"},
        {"-a sasldb -s big", "-s big: a number from 1"},
        {"-a sasldb -t 0", "-t 0: a number from 1"},
        {"-a sasldb --workers-max 0", "--workers-max 0: a number from 1 to 512"},
        {"-a sasldb --worker-idle long", "--worker-idle long: a time such as 8s"},
        {"-a sasldb --sasldb-path db", "--sasldb-path db: an absolute path was expected"},
        {"-a sasldb --user nobdy", "--user nobdy: there is no such user; did you mean nobody?"},
        {"-a sasldb --user root", "--user root: an unprivileged account was expected"},
        {"-a sasldb,,pam", "-a sasldb,,pam: an empty name; the name of a mechanism was expected"},
        {"-a sasldb,", "-a sasldb,: an empty name"},
        {"-a sasldb --deadline soon", "a time such as 8s"},
        {"-a sasldb --deadline 3h", "a time such as 8s"},
        {"-a sasldb --deadline 0", "nothing could ever be answered"},
        {"-a sasldb --field-bytes-max 65536", "from 1 to 16384"},
        {"-a sasldb --when-unavailable close", "empty_reply or say_no"},
        {"-a sasldb --log file", "syslog, stderr or json"},
        {"-a sasldb --log stderr", "needs -f or -d"},
        {"-a sasldb --dedline 2s", "did you mean --deadline?"},
        {"-a sasldb --dead 2s", "unknown option"},
        {"-a sasldb --deadline", "--deadline needs a value"},
        {"-a sasldb -x", "unknown option -x"},
        {"-a sasldb stray", "stray arguments"},
        {"-a", "-a needs a value"},
        {"-a sasldb -n", "-n needs a value"},
    }));
    CAPTURE(typed);
    CHECK_THAT(complaint(typed), Catch::Contains(part));
}

TEST_CASE("numbers are checked before the mechanism is looked at, as saslauthd does", "[flags]")
{
    CHECK_THAT(complaint("-a nonsense -n -1"), Catch::StartsWith("-n -1"));
}

TEST_CASE("the flags -v and -h say something and start nothing, whatever else is given", "[flags]")
{
    CHECK_THAT(text("-v"), Catch::StartsWith("postern ") && Catch::Contains("authentication mechanisms: ") &&
                               Catch::Contains(" sasldb"));
    CHECK(text("--version") == text("-v"));
    CHECK(text("--help") == text("-h"));
    CHECK_THAT(text("-h -n -1"), Catch::Contains("--sasldb-path FILE") && Catch::Contains("/etc/sasldb2"));
    CHECK_THAT(text("-h"), Catch::Contains("Options of ldap, an LDAP directory:") &&
                               Catch::Contains("(default ldap://localhost/)") &&
                               !Catch::Contains("(default )") && !Catch::Contains("Options of shadow"));
}

TEST_CASE("a file says what flags cannot", "[flags]")
{
    const File file;
    const auto program = GENERATE(as<std::string>{}, "posternd", "saslauthd", "/usr/sbin/posternd");
    const Config c = std::get<Config>(parse(file.flag(), program));
    CHECK_FALSE(c.is_drop_in);
    CHECK(c.run_directory == "/run/postern");
    CHECK(c.listeners.at(0).socket == "/run/a");
    CHECK(c.log == LogTarget::syslog);
}

TEST_CASE("beside a file the flags say how it runs and where the log goes", "[flags]")
{
    const File file;
    CHECK(config(file.flag() + " -d").is_verbose);
    CHECK(config(file.flag() + " -V").is_verbose);
    CHECK(config(file.flag() + " -f").stays_in_foreground);
    CHECK(config(file.flag() + " -f").log == LogTarget::syslog_and_stderr);
    CHECK(config(file.flag() + " -f --log stderr").log == LogTarget::stderr_only);
}

TEST_CASE("the log of the file counts unless a flag says another", "[flags]")
{
    File file;
    file.write("sasldb", "[daemon]\nlog = stderr\n");
    CHECK(config(file.flag() + " -f").log == LogTarget::stderr_only);
    CHECK(config(file.flag() + " -f --log syslog").log == LogTarget::syslog);
    CHECK(complaint(file.flag()) ==
          file.path() + ": [daemon] log: stderr needs -f or -d: in the background there is no "
                        "terminal to write to");
    CHECK(text(file.flag() + " --check") == file.path() + ": OK\n");
}

TEST_CASE("the log may be JSON, where a target is named and where none is", "[flags]")
{
    const auto [line, flag, target, is_json] = GENERATE(table<std::string, std::string, LogTarget, bool>({
        {"log = json", "", LogTarget::syslog_and_stderr, true},
        {"log = stderr json", "", LogTarget::stderr_only, true},
        {"log = json syslog", "", LogTarget::syslog, true},
        {"log = syslog", "", LogTarget::syslog, false},
        {"log = stderr", "json", LogTarget::stderr_only, true},
        {"log = json", "stderr", LogTarget::stderr_only, false},
    }));
    CAPTURE(line, flag);
    File file;
    file.write("sasldb", "[daemon]\n" + line + "\n");
    const Config read = config(file.flag() + " -f" + (flag.empty() ? "" : " --log " + flag));
    CHECK(read.log == target);
    CHECK(read.logs_json == is_json);
    CHECK(config("-a sasldb --log json").logs_json);
    CHECK(config("-a sasldb --log json").log == LogTarget::syslog);
}

TEST_CASE("a log of two targets, or of none, is refused", "[flags]")
{
    File file;
    const auto [value, problem] = GENERATE(table<std::string, std::string>({
        {"syslog stderr", "syslog stderr: syslog or stderr, json, or one of the two and json was expected"},
        {"json jsno", "jsno: syslog, stderr or json was expected; did you mean json?"},
    }));
    file.write("sasldb", "[daemon]\nlog = " + value + "\n");
    CHECK_THAT(complaint(file.flag()), Catch::EndsWith(problem));
}

TEST_CASE("a file is read anew each time", "[flags]")
{
    File file;
    CHECK(config(file.flag()).listeners.size() == 1);
    file.write("sasldb", "[listener c]\nsocket = /run/c\n");
    CHECK(config(file.flag()).listeners.size() == 2);
    file.write("nonsense");
    CHECK_THROWS_AS(parse(file.flag()), ConfigFileError);
}

TEST_CASE("a check says what is wrong, or that nothing is", "[flags]")
{
    File file;
    CHECK(text(file.flag() + " --check") == file.path() + ": OK\n");
    CHECK(text("-a sasldb --check") == "the flags are OK\n");
    CHECK(complaint("-a sasldb --check -n x") == "-n x: a number from 0 to 512 was expected");
    file.write("sasldc");
    CHECK(complaint(file.flag() + " --check") ==
          file.path() +
              ":4: [backend b] type: unknown authentication mechanism: sasldc; did you mean sasldb?");
}

TEST_CASE("what belongs into a file is refused beside it, with its place", "[flags]")
{
    const auto [flags, place] = GENERATE(table<std::string, std::string>({
        {"-a sasldb", "-a and --config exclude each other: one of them says whom to ask"},
        {"-m /run/x", "-m goes into /f as run_directory of [daemon] and socket of a [listener NAME]"},
        {"-n 5", "-n goes into /f as workers of a [backend NAME]"},
        {"-O x", "-O goes into /f as the options of a [backend NAME]"},
        {"-r", "-r goes into /f as join_realm of a [listener NAME]"},
        {"-c", "-c has no meaning beside /f"},
        {"-l", "-l has no meaning beside /f"},
        {"--deadline 2s", "--deadline goes into /f as deadline of [listener NAME]"},
        {"--when-unavailable say_no",
         "--when-unavailable goes into /f as when_unavailable of [listener NAME]"},
        {"--worker-idle 2s", "--worker-idle goes into /f as worker_idle of [backend NAME]"},
        {"--failure-delay 0", "--failure-delay goes into /f as failure_delay of [route]"},
        {"--user nobody", "--user goes into /f as user of [daemon]"},
        {"--sasldb-path /x", "--sasldb-path goes into /f as sasldb_path of a [backend NAME] of type sasldb"},
    }));
    CHECK(complaint("--config /f " + flags) == place);
}

TEST_CASE("without -a and --config there is one file, unless the name is saslauthd", "[flags]")
{
    const TemporaryDirectory directory;
    CHECK(complaint("-n 3", "posternd") ==
          std::string{"-n goes into "} + default_config_file +
              " as workers of a [backend NAME]; without a file, -a LIST is required");
    CHECK_THAT(complaint("-n 3", "/usr/sbin/saslauthd"), Catch::StartsWith("-a says whom to ask"));
    CHECK_THAT(complaint("--config postern.conf", "posternd"),
               Catch::Contains("an absolute path was expected"));
    CHECK_THROWS_WITH(parse("--config " + directory.file("none"), "posternd"),
                      directory.file("none") + ": No such file or directory");
}

TEST_CASE("the password of a directory goes into a file, whatever it is called", "[flags]")
{
    const auto flag = GENERATE(as<std::string>{}, "--ldap-password=hunter2", "--ldap-bind-pw=hunter2");
    CHECK_THAT(complaint("-a ldap " + flag),
               Catch::Contains("as ldap_password of a [backend NAME]: --config FILE, or of "
                               "/etc/saslauthd.conf") &&
                   !Catch::Contains("hunter2"));
}

#ifdef POSTERN_TESTING
TEST_CASE("a password is no flag, since everybody can list processes", "[flags]")
{
    CHECK_THAT(complaint("-a fault --fault-password=hunter2"),
               Catch::Contains("as fault_password of a [backend NAME]") && !Catch::Contains("hunter2"));
    CHECK_THAT(text("-h"), !Catch::Contains("fault-password"));
}
#endif
