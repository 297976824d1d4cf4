// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/config_file.hpp"
#include "daemon/config_keys.hpp"
#include "daemon/setup.hpp"
#include "tests/support/decisions.hpp"
#include "tests/support/temporary_directory.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

using namespace postern;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

/// A file that is read, with whatever is in it.
class File {
public:
    explicit File(const std::string& text, mode_t mode = 0600)
    {
        std::ofstream{path(), std::ios::binary} << text;
        REQUIRE(::chmod(path().c_str(), mode) == 0);
    }
    [[nodiscard]] std::string path() const { return directory_.file("postern.conf"); }
    [[nodiscard]] Config read() const { return read_config_file(path(), {}); }

    /// What is said of it, with FILE for its path.
    [[nodiscard]] std::string complaint() const
    {
        try {
            static_cast<void>(read());
        } catch (const ConfigFileError& error) {
            return std::regex_replace(error.what(), std::regex{path()}, "FILE");
        }
        return "none";
    }

private:
    TemporaryDirectory directory_;
};

Config config(const std::string& text)
{
    return File{text}.read();
}

std::string complaint(const std::string& text)
{
    return File{text}.complaint();
}

/// A listener that speaks Dovecot's protocol, with these lines from line 4, and backends of which db and db2
/// serve challenge mechanisms.
std::string dovecot_listener(const std::string& lines = "")
{
    return "[listener a]\nsocket = /run/a\nprotocol = dovecot\n" + lines +
           "[backend host]\ntype = pam\n[backend db]\ntype = sasldb\n[backend db2]\ntype = sasldb\n";
}

/// What any file needs, on lines 1 to 6. A test puts its own below.
const std::string sound = "[listener a]\n"
                          "socket = /run/a\n"
                          "[backend local]\n"
                          "type = sasldb\n"
                          "[route]\n"
                          "default = local\n";

/// The same, but for the lines of one section, which begin on line 7.
std::string with_listener(const std::string& lines)
{
    return sound + "[listener b]\n" + lines;
}

std::string with_backend(const std::string& lines)
{
    return sound + "[backend b]\n" + lines;
}

/// Three backends, and a route of them on line 9.
std::string with_route(const std::string& lines)
{
    return "[listener a]\n"
           "socket = /run/a\n"
           "[backend one]\n"
           "type = sasldb\n"
           "[backend two]\n"
           "type = sasldb\n"
           "[backend three]\n"
           "type = sasldb\n"
           "[route]\n" +
           lines;
}

} // namespace

TEST_CASE("a short file is a whole configuration", "[config]")
{
    const Config c = config(sound);
    CHECK_FALSE(c.is_drop_in);
    CHECK(c.ident == "postern");
    CHECK(c.run_directory == "/run/postern");
    CHECK(c.user == "postern");
    CHECK(c.delayed_max == 1024);
    CHECK(c.sessions_max == 16'384);
    CHECK(c.notes.empty());
    CHECK_FALSE(c.cache.is_on);
    REQUIRE(c.listeners.size() == 1);
    const ListenerConfig& listener = c.listeners[0];
    CHECK(listener.name == "a");
    CHECK(listener.socket == "/run/a");
    CHECK_FALSE(listener.owner);
    CHECK(listener.mode == 0660);
    CHECK(listener.deadline == 8s);
    CHECK(listener.field_bytes_max == 1024);
    CHECK(listener.when_unavailable == saslauthd::WhenUnavailable::empty_reply);
    CHECK_FALSE(listener.names.joins_realm);
    CHECK(listener.route == 0);
    REQUIRE(c.backends.size() == 1);
    CHECK(c.backends[0].name == "local");
    CHECK(c.backends[0].type == find_backend_type("sasldb"));
    CHECK(c.backends[0].options == BackendOptions{{"sasldb_path", "/etc/sasldb2"}});
    CHECK(c.backends[0].pool.workers == 5);
    CHECK(c.backends[0].pool.workers_max == std::max(5U, default_workers_max(*c.backends[0].type)));
    REQUIRE(c.routes.size() == 1);
    CHECK(c.routes[0].name == "default");
    CHECK(c.routes[0].chain.at(0).backend == 0);
    CHECK(c.routes[0].failure_delay == 1s);
}

TEST_CASE("a listener of the Dovecot protocol has keys of its own", "[config]")
{
    const Config c = config("[daemon]\n"
                            "state_directory = /var/lib/other\n" +
                            sound +
                            "[listener b]\n"
                            "when_unavailable = fail\n" // what it means is known before the next line
                            "protocol = dovecot\n"
                            "socket = /run/b\n"
                            "mechanisms = plain Scram-Sha-1 CRAM-MD5\n"
                            "default_realm = example.org\n"
                            "fold_case = yes\n"
                            "plaintext_without_tls = refuse\n"
                            "refusal_reason = Ask postmaster@example.org\n");
    CHECK(c.state_directory == "/var/lib/other");
    const ListenerConfig& b = c.listeners.at(1);
    CHECK(b.protocol == ListenerProtocol::dovecot);
    CHECK(b.names == NameRules{true, "example.org", true, false});
    CHECK(b.dovecot == DovecotConfig{{"PLAIN", "SCRAM-SHA-1", "CRAM-MD5"},
                                     DovecotUnavailable::fail,
                                     true,
                                     "Ask postmaster@example.org"});
    CHECK(c.listeners.at(0).protocol == ListenerProtocol::saslauthd);
    CHECK(c.listeners.at(0).names == NameRules{});
}

TEST_CASE("a listener that says nothing offers SCRAM where every backend of its route can serve it",
          "[config]")
{
    const auto [chains, is_offered] = GENERATE(table<std::string, bool>({
        {"default = db\n", true},
        {"default = db db2\nexample.org = db2\n", true},
        {"default = host\n", false},
        {"default = db host\n", false},
        {"default = host db\n", false},
        {"default = db\nexample.org = host\n", false},
        {"default = host\nexample.org = db\n", false},
        {"default = db\nexample.org = db2 host\n", false},
    }));
    CAPTURE(chains);
    const Config c = config(dovecot_listener() + "[route]\n" + chains);
    std::vector<std::string> mechanisms{"PLAIN", "LOGIN"};
    if (is_offered)
        mechanisms.emplace_back("SCRAM-SHA-256");
    CHECK(c.listeners.at(0).dovecot.mechanisms == mechanisms);
    CHECK(c.listeners.at(0).dovecot.when_unavailable == DovecotUnavailable::close);
}

TEST_CASE("a mechanism that is named is offered where one list of the route begins with who serves it",
          "[config]")
{
    const std::string listener = dovecot_listener("mechanisms = PLAIN CRAM-MD5\n");
    const auto chains = GENERATE(values<std::string>(
        {"default = db\n", "default = db host\n", "default = host\nexample.org = db host\n"}));
    CAPTURE(chains);
    const Config c = config(listener + "[route]\n" + chains);
    CHECK(c.listeners.at(0).dovecot.mechanisms == std::vector<std::string>{"PLAIN", "CRAM-MD5"});
}

TEST_CASE("a mechanism that nobody of the route can be asked about is a mistake", "[config]")
{
    const std::string listener = dovecot_listener("mechanisms = PLAIN CRAM-MD5\n");
    const auto chains = GENERATE(values<std::string>(
        {"default = host\n", "default = host db\n", "default = host\nexample.org = host db\n"}));
    CAPTURE(chains);
    CHECK(complaint(listener + "[route]\n" + chains) ==
          "FILE:4: [listener a] mechanisms: CRAM-MD5: no list of backends in this listener's route begins "
          "with one that can serve it; one of type sasldb was expected in front");
}

TEST_CASE("the group of a socket is sasl, where there is one and it may be given away", "[config]")
{
    const group* const sasl = ::geteuid() == 0 ? ::getgrnam("sasl") : nullptr;
    const auto expected = sasl == nullptr ? std::nullopt : std::optional<std::uint32_t>{sasl->gr_gid};
    CHECK(config(sound).listeners[0].group == expected);
}

TEST_CASE("every key says what it is called", "[config]")
{
    const Config c = config("[daemon]\n"
                            "user = nobody\n"
                            "run_directory = /run/other\n"
                            "log = stderr\n"
                            "delayed_max = 7\n"
                            "sessions_max = 8\n"
                            "[listener a]\n"
                            "protocol = saslauthd\n"
                            "socket = /run/a  \n"
                            "owner = nobody\n"
                            "group = daemon\n"
                            "mode = 0600\n"
                            "deadline = 2s\n"
                            "field_bytes_max = 256\n"
                            "when_unavailable = say_no\n"
                            "join_realm = yes\n"
                            "route = special\n"
                            "[listener b]\n"
                            "socket = /run/b\n"
                            "owner = 12\n"
                            "group = 13\n"
                            "[backend local]\n"
                            "type = SASLDB\n"
                            "sasldb_path =   /etc/other db\t\n"
                            "workers = 3\n"
                            "workers_max = 9\n"
                            "worker_requests_max = 0\n"
                            "worker_idle = 5m\n"
                            "queue_max = 11\n"
                            "[backend few]\n"
                            "type = sasldb\n"
                            "workers = 100\n"
                            "workers_max = 1\n"
                            "[route]\n"
                            "default = local few\n"
                            "[route special]\n"
                            "default = few\n"
                            "failure_delay = 250ms\n");
    CHECK(c.user == "nobody");
    CHECK(c.run_directory == "/run/other");
    CHECK(c.log == LogTarget::stderr_only);
    CHECK(c.delayed_max == 7);
    CHECK(c.sessions_max == 8);
    REQUIRE(c.listeners.size() == 2);
    const ListenerConfig& a = c.listeners[0];
    CHECK(a.socket == "/run/a");
    CHECK(a.owner == ::getpwnam("nobody")->pw_uid);
    CHECK(a.group == ::getgrnam("daemon")->gr_gid);
    CHECK(a.mode == 0600);
    CHECK(a.deadline == 2s);
    CHECK(a.field_bytes_max == 256);
    CHECK(a.when_unavailable == saslauthd::WhenUnavailable::say_no);
    CHECK(a.names.joins_realm);
    CHECK(c.routes.at(a.route).name == "special");
    CHECK(c.listeners[1].owner == 12U);
    CHECK(c.listeners[1].group == 13U);
    CHECK(c.routes.at(c.listeners[1].route).name == "default");
    REQUIRE(c.backends.size() == 2);
    CHECK(c.backends[0].options.at("sasldb_path") == "/etc/other db");
    CHECK(c.backends[0].pool == PoolConfig{3, 9, 0, 300s, 11});
    CHECK(c.backends[1].pool.workers_max == 100);
    REQUIRE(c.routes.size() == 2);
    CHECK(c.routes[1].failure_delay == 250ms);
    CHECK(c.routes[1].chain.at(0).backend == 1);
}

TEST_CASE("a section [cache] has logins kept, and each backend may say otherwise", "[config]")
{
    const std::string backends =
        sound + "[backend open]\ntype = sasldb\ncache = yes\n[backend closed]\ntype = sasldb\n"
                "cache = no\n[backend host]\ntype = pam\n[backend otp]\ntype = pam\n"
                "cache = yes\n";
    const Config c = config(backends + "[cache]\n");
    CHECK(c.cache == CacheConfig{true, 1024, 60min});
    REQUIRE(c.backends.size() == 5);
    std::vector<bool> keeps;
    for (const BackendConfig& backend : c.backends)
        keeps.push_back(backend.keeps_logins());
    CHECK(keeps == std::vector{true, true, false, false, true});
    CHECK(config(sound + "[cache]\nlifetime = 5m\nsize_kib = 64\n").cache == CacheConfig{true, 64, 5min});
    CHECK(config(sound + "[cache]\nsize_kib = 2097152\nlifetime = 1ms\n").cache ==
          CacheConfig{true, 2097152, 1ms});
}

TEST_CASE("what the file leaves open is as it was", "[config]")
{
    Config defaults;
    defaults.is_verbose = true;
    defaults.stays_in_foreground = true;
    defaults.log = LogTarget::syslog_and_stderr;
    const File file{sound};
    const Config c = read_config_file(file.path(), defaults);
    CHECK(c.is_verbose);
    CHECK(c.stays_in_foreground);
    CHECK(c.log == LogTarget::syslog_and_stderr);
}

#ifdef POSTERN_TESTING
TEST_CASE("a password is what stands behind the =, byte for byte", "[config]")
{
    const auto password = GENERATE(as<std::string>{}, "secret", " begins with a blank", "\tor a tab",
                                   "ends with blanks  ", "#sharp", "a # b ; c", "; = [x]", "\"quoted\"", "'",
                                   "=", "a=b", "\\", "\xff\xfe\x01", "  ", "[backend c]");
    CAPTURE(password);
    const std::string text = with_backend("type = fault\nfault_password = " + password + "\nworkers = 2\n");
    CHECK(config(text).backends.at(1).options.at("fault_password") == password);
}

TEST_CASE("a file with a password may not be read by everybody", "[config]")
{
    const std::string text = with_backend("type = fault\nfault_password = hunter2\n");
    CHECK(File{text, 0644}.complaint() ==
          "FILE: everybody may read it, and line 9 holds a password; a file that "
          "others may not read was expected: chmod o-r FILE");
    CHECK(File{text, 0640}.complaint() == "none");
    CHECK(File{with_backend("type = fault\nfault_password =\n"), 0644}.complaint() == "none");
}

TEST_CASE("no complaint shows a password", "[config]")
{
    const std::string text = with_backend("type = fault\nfault_password = hunter2\nfault_password = hunter2\n"
                                          "fault_pasword = hunter2\nfault_password hunter2\n"
                                          "fault_password hunter2==\nfault_password: hunter2=\n"
                                          "fault_password:hunter2=\n  hunter 2 hunter2=\n") +
                             "[backend c]\ntype = sasldb\nfault_password = hunter2\n"
                             "[route r]\ndefault = local\nfault_password = hunter2\nfault_pasword = hunter2\n"
                             "fault_password hunter2==\nfault_password: hunter2=\n";
    const std::string said = File{text, 0644}.complaint();
    CHECK(std::ranges::count(said, '\n') == 12);
    CHECK_THAT(said, !Catch::Contains("hunter2"));
    CHECK_THAT(said, Catch::Contains("FILE:13: [backend b] fault_password: key = value was expected\n"));
    CHECK_THAT(said, Catch::Contains("FILE:16: [backend b] hunter: key = value was expected\n"));
}
#endif

TEST_CASE("a file without a password may be read by everybody, and written by its owner alone", "[config]")
{
    CHECK(File{sound, 0644}.complaint() == "none");
    for (const mode_t mode : {0646, 0664, 0666})
        CHECK(File{sound, mode}.complaint() ==
              "FILE: others than its owner may write it; a file that its owner alone may write was expected: "
              "chmod go-w FILE");
}

TEST_CASE("a file belongs to root or to who starts the daemon", "[config]")
{
    const File file{sound};
    if (::geteuid() == 0) {
        REQUIRE(::chown(file.path().c_str(), 12345, 0) == 0);
        CHECK(file.complaint() ==
              "FILE: it belongs to account 12345; a file of root or of who starts the daemon "
              "was expected: chown root FILE");
    } else {
        CHECK(file.complaint() == "none");
    }
}

TEST_CASE("two names of one socket are one socket", "[config]")
{
    const TemporaryDirectory directory;
    std::filesystem::create_directory(directory.file("run"));
    std::filesystem::create_symlink("run", directory.file("var"));
    const std::string run = directory.file("run");
    const std::string var = directory.file("var");
    const auto file = [&](const std::string& socket) {
        return "[daemon]\nrun_directory = " + run + "\n" + with_listener("socket = " + socket + "\n");
    };
    const auto wrong = [](const std::string& what) { return "FILE:10: [listener b] socket: " + what; };
    const std::string names = ("[listener c]\nsocket = " + run).append("/mux\n");
    CHECK(complaint(file(var + "/mux") + names) == "FILE:12: [listener c] socket: is the socket of line 10 "
                                                   "too; one of its own was expected for each listener");
    for (const auto& [name, what] : {std::pair{"control", "control socket"},
                                     {"posternd.pid", "pid file"},
                                     {"posternd.pid.lock", "lock file"}})
        CHECK(complaint(file(var + '/' + name)) ==
              wrong(std::string{"is the "} + what + " of the run directory; another path was expected"));
    CHECK(complaint(file(var + "/none")) == "none");
}

TEST_CASE("no file is in a listener's way, unless it is a socket", "[config]")
{
    const TemporaryDirectory directory;
    const std::string path = directory.file("precious");
    const std::string text = with_listener("socket = " + path + "\n");
    CHECK(complaint(text) == "none");
    const std::string said = "FILE:8: [listener b] socket: something that is no socket stands at " + path +
                             "; a socket that is left, or nothing, was expected";
    std::ofstream{path} << "precious";
    CHECK(complaint(text) == said);
    std::filesystem::remove(path);
    std::filesystem::create_directory(path);
    CHECK(complaint(text) == said);
    std::filesystem::remove(path);
    std::filesystem::create_symlink("nowhere", path);
    CHECK(complaint(text) == said);
    std::filesystem::remove(path);
    REQUIRE(::mknod(path.c_str(), S_IFSOCK | 0600, 0) == 0);
    CHECK(complaint(text) == "none");
}

TEST_CASE("what is no file, or not ours to read, is said", "[config]")
{
    const TemporaryDirectory directory;
    CHECK_THROWS_WITH(read_config_file("/nonexistent/file", {}),
                      "/nonexistent/file: No such file or directory");
    CHECK_THROWS_WITH(read_config_file(directory.path(), {}),
                      directory.path().string() + ": a regular file was expected");
    REQUIRE(::mkfifo(directory.file("pipe").c_str(), 0600) == 0);
    CHECK_THROWS_WITH(read_config_file(directory.file("pipe"), {}),
                      directory.file("pipe") + ": a regular file was expected");
    CHECK_THROWS_WITH(read_config_file("/proc/self/mem", {}), Catch::StartsWith("/proc/self/mem: "));
}

TEST_CASE("what is wrong is said with its line, its section, its key, and what was expected", "[config]")
{
    const auto [text, line] = GENERATE(table<std::string, std::string>({
        // the file as a whole
        {"", "FILE: there is no listener; at least one [listener NAME] was expected\n"
             "FILE: there is no backend; at least one [backend NAME] was expected"},
        {"[listener a]\nsocket = /run/a\n[backend b]\ntype = sasldb\n",
         "FILE:1: [listener a] route: is required where there is no [route]: the NAME of a [route NAME]"},
        // sections
        {sound + "[deamon]\nuser = x\n",
         "FILE:7: [deamon]: there is no such section; [daemon], [cache], [listener NAME], "
         "[backend NAME], [route] or [route NAME] was expected; did you mean daemon?"},
        {sound + "[listener]\n", "FILE:7: [listener]: a name was expected: [listener NAME]"},
        {sound + "[backend]\n", "FILE:7: [backend]: a name was expected: [backend NAME]"},
        {sound + "[daemon x]\n",
         "FILE:7: [daemon x]: there is one of these, and no name was expected: [daemon]"},
        {sound + "[route default]\n", "FILE:7: [route default]: the route that listeners have unless they "
                                      "name another is written [route]"},
        {sound + "[backend local]\ntype = sasldb\n",
         "FILE:7: [backend local]: this section stands twice; its keys were expected in one place"},
        {"x = 1\n" + sound, "FILE:1: x: a [section] was expected before the first key"},
        // keys
        {sound + "[daemon]\nusr = x\n", "FILE:8: [daemon] usr: there is no such key in a [daemon]; another "
                                        "one was expected; did you mean user?"},
        {sound + "[daemon]\nworkers = 5\n",
         "FILE:8: [daemon] workers: belongs to [backend NAME], and not here"},
        {sound + "[daemon]\ndeadline = 5\n",
         "FILE:8: [daemon] deadline: belongs to [listener NAME], and not here"},
        {sound + "[daemon]\nfailure_delay = 5\n",
         "FILE:8: [daemon] failure_delay: belongs to [route], and not here"},
        // the cache
        {sound + "[cach]\n", "FILE:7: [cach]: there is no such section; [daemon], [cache], [listener NAME], "
                             "[backend NAME], [route] or [route NAME] was expected; did you mean cache?"},
        {sound + "[cache x]\n",
         "FILE:7: [cache x]: there is one of these, and no name was expected: [cache]"},
        {sound + "[cache]\nlifetme = 5m\n",
         "FILE:8: [cache] lifetme: there is no such key in a [cache]; another "
         "one was expected; did you mean lifetime?"},
        {sound + "[cache]\nlifetime = 0\n",
         "FILE:8: [cache] lifetime: 0: nothing would ever be kept; a time such as 60m was expected"},
        {sound + "[cache]\nlifetime = 1h\n",
         "FILE:8: [cache] lifetime: 1h: a time such as 8s, 500ms or 1m was expected"},
        {sound + "[cache]\nsize_kib = 0\n",
         "FILE:8: [cache] size_kib: 0: a number from 1 to 2097152 was expected"},
        {sound + "[cache]\nsize_kib = 2097153\n",
         "FILE:8: [cache] size_kib: 2097153: a number from 1 to 2097152 was expected"},
        {sound + "[cache]\ncache = yes\n", "FILE:8: [cache] cache: belongs to [backend NAME], and not here"},
        {sound + "[daemon]\nlifetime = 5m\n", "FILE:8: [daemon] lifetime: belongs to [cache], and not here"},
        {with_backend("type = sasldb\ncache = perhaps\n"),
         "FILE:9: [backend b] cache: perhaps: yes or no was expected"},
        {with_backend("type = sasldb\ncahe = no\n"),
         "FILE:9: [backend b] cahe: there is no such key in a [backend]; another one was "
         "expected; did "
         "you mean cache?"},
        {with_backend("type = sasldb\ncache = yes\n"),
         "FILE:9: [backend b] cache: has no effect without a section [cache]"},
        {with_listener("socket = /b\nsockt = /b\n"),
         "FILE:9: [listener b] sockt: there is no such key in a [listener]; another one was expected; did "
         "you mean socket?"},
        {with_listener("socket = /b\nsasldb_path = /b\n"),
         "FILE:9: [listener b] sasldb_path: belongs to a [backend NAME] of type sasldb, and not here"},
        {with_listener("socket = /b\nlog = syslog\n"),
         "FILE:9: [listener b] log: belongs to [daemon], and not here"},
        {with_backend("type = sasldb\nsasldb_pth = /b\n"),
         "FILE:9: [backend b] sasldb_pth: there is no such key in a [backend]; another one was expected; did "
         "you mean sasldb_path?"},
        {with_backend("type = sasldb\nworker = 1\n"),
         "FILE:9: [backend b] worker: there is no such key in a [backend]; another one was expected; did you "
         "mean workers?"},
        {with_backend("type = sasldb\nx\x1b[2J]y = 1\n"),
         "FILE:9: [backend b] x\\x1b[2J\\x5dy: there is no such key in a [backend]; another one was "
         "expected"},
        {with_backend("type = sasldb\nworkers = 1\nworkers = 2\n"),
         "FILE:10: [backend b] workers: this key stands twice in its section; it was expected once"},
        // values
        {sound + "[daemon]\nuser = nobdy\n",
         "FILE:8: [daemon] user: nobdy: there is no such user; did you mean nobody?"},
        {sound + "[daemon]\nuser = root\n",
         "FILE:8: [daemon] user: root: an unprivileged account was expected"},
        {sound + "[daemon]\nlog = sylog\n",
         "FILE:8: [daemon] log: sylog: syslog, stderr or json was expected; did you mean syslog?"},
        {sound + "[daemon]\nrun_directory = run\n",
         "FILE:8: [daemon] run_directory: run: an absolute path was expected"},
        {sound + "[daemon]\nrun_directory = /" + std::string(100, 'x') + "\n",
         "FILE:8: [daemon] run_directory: /" + std::string(100, 'x') +
             "/control: the path is longer than the 107 bytes that a socket's address can hold"},
        {sound + "[daemon]\ndelayed_max = 0\n",
         "FILE:8: [daemon] delayed_max: 0: a number from 1 to 65536 was expected"},
        {sound + "[daemon]\nsessions_max =\n",
         "FILE:8: [daemon] sessions_max: an empty value; a number from 1 to 65536 was expected"},
        {with_listener("socket = b\n"), "FILE:8: [listener b] socket: b: an absolute path was expected"},
        {with_listener("socket = /" + std::string(107, 'x') + "\n"),
         "FILE:8: [listener b] socket: /" + std::string(107, 'x') +
             ": the path is longer than the 107 bytes that a socket's address can hold"},
        {with_listener("mode = 0660\n"),
         "FILE:7: [listener b] socket: is required: the absolute path of its socket"},
        {with_listener("socket = /run/a\n"), "FILE:8: [listener b] socket: is the socket of line 2 too; "
                                             "one of its own was expected for each listener"},
        {with_listener("socket = //run/a\n"),
         "FILE:8: [listener b] socket: //run/a: the path of a file without //, /./ and /../ was expected"},
        {with_listener("socket = /run/./b\n"),
         "FILE:8: [listener b] socket: /run/./b: the path of a file without //, /./ and /../ was expected"},
        {with_listener("socket = /run/x/..\n"),
         "FILE:8: [listener b] socket: /run/x/..: the path of a file without //, /./ and /../ was expected"},
        {with_listener("socket = /run/b/\n"),
         "FILE:8: [listener b] socket: /run/b/: the path of a file without //, /./ and /../ was expected"},
        {with_listener("socket =\n"),
         "FILE:8: [listener b] socket: an empty value; an absolute path was expected"},
        {with_listener("socket = /b\ngroup =\n"),
         "FILE:9: [listener b] group: an empty value; there is no such group"},
        {with_listener("socket = /b\njoin_realm =\n"),
         "FILE:9: [listener b] join_realm: an empty value; yes or no was expected"},
        {with_listener("socket = /b\ndeadline =\n"),
         "FILE:9: [listener b] deadline: an empty value; a time such as 8s, 500ms or 1m was expected"},
        {with_listener("socket = /b\nroute =\n"),
         "FILE:9: [listener b] route: an empty value; the NAME of a [route NAME] was expected"},
        {with_backend("type =\n"), "FILE:8: [backend b] type: an empty name; the name of an authentication "
                                   "mechanism was expected"},
        {with_backend("type = sasldb\nsasldb_path =\n"),
         "FILE:9: [backend b] sasldb_path: an empty value; an absolute path was expected"},
        {with_listener("socket = /run/postern/control\n"),
         "FILE:8: [listener b] socket: is the control socket of the run directory; another path was "
         "expected"},
        {with_listener("socket = /b\nprotocol = saslauth\n"),
         "FILE:9: [listener b] protocol: saslauth: saslauthd or dovecot was expected; did you mean "
         "saslauthd?"},
        {with_listener("socket = /b\nmechanisms = PLAIN\n"),
         "FILE:9: [listener b] mechanisms: makes no sense for protocol = saslauthd; protocol = dovecot was "
         "expected"},
        {with_listener("socket = /b\nwhen_unavailable = close\n"),
         "FILE:9: [listener b] when_unavailable: close: empty_reply or say_no was expected"},
        {with_listener("socket = /b\nprotocol = dovecot\nwhen_unavailable = say_no\n"),
         "FILE:10: [listener b] when_unavailable: say_no: close or fail was expected"},
        {with_listener("socket = /b\nprotocol = dovecot\nmechanisms =\n"),
         "FILE:10: [listener b] mechanisms: no mechanism is named; PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 or "
         "SCRAM-SHA-256 was expected"},
        {with_listener("socket = /b\nprotocol = dovecot\nmechanisms = PLAIN plain\n"),
         "FILE:10: [listener b] mechanisms: plain: is named twice"},
        {with_listener("socket = /b\nprotocol = dovecot\nmechanisms = SCRAM-SHA-265\n"),
         "FILE:10: [listener b] mechanisms: SCRAM-SHA-265: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1 or "
         "SCRAM-SHA-256 "
         "was expected; did you mean SCRAM-SHA-256?"},
        {with_listener("socket = /b\nprotocol = dovecot\nmechanisms = DIGEST-MD5\n"),
         "FILE:10: [listener b] mechanisms: DIGEST-MD5 is not offered (RFC 6331); one of PLAIN, LOGIN, "
         "CRAM-MD5, "
         "SCRAM-SHA-1 or SCRAM-SHA-256 was expected"},
        {with_listener("socket = /b\ndefault_realm = a@b\n"),
         "FILE:9: [listener b] default_realm: a@b: a realm of at most 255 bytes was expected, without @ and "
         "control bytes"},
        {with_listener("socket = /b\nprotocol = dovecot\nrefusal_reason =\n"),
         "FILE:10: [listener b] refusal_reason: an empty value; a text of 1 to 200 bytes was expected, "
         "without "
         "control bytes"},
        {with_listener("socket = /b\nowner = rooot\n"),
         "FILE:9: [listener b] owner: rooot: there is no such user; did you mean root?"},
        {with_listener("socket = /b\ngroup = daemn\n"),
         "FILE:9: [listener b] group: daemn: there is no such group; did you mean daemon?"},
        {with_listener("socket = /b\ngroup = 4294967295\n"),
         "FILE:9: [listener b] group: 4294967295: a number from 0 to 4294967294 was expected"},
        {with_listener("socket = /b\nmode = 0668\n"),
         "FILE:9: [listener b] mode: 0668: an octal mode from 0000 to 0777 was expected, such as 0660"},
        {with_listener("socket = /b\nmode = 4755\n"),
         "FILE:9: [listener b] mode: 4755: an octal mode from 0000 to 0777 was expected, such as 0660"},
        {with_listener("socket = /b\ndeadline = soon\n"),
         "FILE:9: [listener b] deadline: soon: a time such as 8s, 500ms or 1m was expected"},
        {with_listener("socket = /b\ndeadline = 0\n"), "FILE:9: [listener b] deadline: 0: nothing could ever "
                                                       "be answered in time; a time such as 8s was expected"},
        {with_listener("socket = /b\nfield_bytes_max = 16385\n"),
         "FILE:9: [listener b] field_bytes_max: 16385: a number from 1 to 16384 was expected"},
        {with_listener("socket = /b\nwhen_unavailable = say_on\n"),
         "FILE:9: [listener b] when_unavailable: say_on: empty_reply or say_no was expected; did you mean "
         "say_no?"},
        {with_listener("socket = /b\njoin_realm = true\n"),
         "FILE:9: [listener b] join_realm: true: yes or no was expected"},
        {with_listener("socket = /b\nroute = defualt\n"),
         "FILE:9: [listener b] route: there is no [route defualt]; the name of one was expected; did you "
         "mean default?"},
        {with_backend("workers = 1\n"),
         "FILE:7: [backend b] type: is required: what kind of place it is where these passwords live"},
        {with_backend("type = sasldc\n"),
         "FILE:8: [backend b] type: unknown authentication mechanism: sasldc; did you mean sasldb?"},
        {with_backend("type = httpform\n"),
         "FILE:8: [backend b] type: authentication mechanism httpform is not offered by Postern"},
        {with_backend("type = sasldb\nsasldb_path = db\n"),
         "FILE:9: [backend b] sasldb_path: db: an absolute path was expected"},
        {with_backend("type = sasldb\nworkers = 0\n"),
         "FILE:9: [backend b] workers: 0: a number from 1 to 512 was expected"},
        {with_backend("type = sasldb\nworkers_max = 513\n"),
         "FILE:9: [backend b] workers_max: 513: a number from 1 to 512 was expected"},
        {with_backend("type = sasldb\nworker_requests_max = -1\n"),
         "FILE:9: [backend b] worker_requests_max: -1: a number from 0 to 1073741824 was expected"},
        {with_backend("type = sasldb\nworker_idle = 1h\n"),
         "FILE:9: [backend b] worker_idle: 1h: a time such as 8s, 500ms or 1m was expected"},
        {with_backend("type = sasldb\nqueue_max = many\n"),
         "FILE:9: [backend b] queue_max: many: a number from 1 to 65536 was expected"},
        {with_backend("type = sasldb\nsasldb_path = /" + std::string(33'000, 'x') + "\n"),
         "FILE:7: [backend b]: its options are longer than the 32 KiB that were expected at most"},
        // routes
        {with_route(""), "FILE:9: [route] default: is required: the backends that are asked, in this order"},
        {with_route("default =\n"),
         "FILE:10: [route] default: the name of at least one backend was expected"},
        {with_route("default = one twoo\n"), "FILE:10: [route] default: there is no [backend twoo]; the name "
                                             "of one was expected; did you mean two?"},
        {with_route("default = one two one\n"),
         "FILE:10: [route] default: one is named twice; each backend was expected once"},
        {with_route("default = one\nexample.org = thre\n"),
         "FILE:11: [route] example.org: there is no [backend thre]; the name of one was expected; did you "
         "mean three?"},
        {with_route("defualt = one\n"),
         "FILE:10: [route] defualt: is too much like a key to be a realm's name; did you mean default?"},
        {with_route("default = one\ndeafult = two\n"),
         "FILE:11: [route] deafult: is too much like a key to be a realm's name; did you mean default?"},
        {with_route("default = one\nfailure_dely = 0\n"),
         "FILE:11: [route] failure_dely: is too much like a key to be a realm's name; did you mean "
         "failure_delay?"},
        {with_route("default = one\nnexton = barred\n"),
         "FILE:11: [route] nexton: is too much like a key to be a realm's name; did you mean next_on?"},
        {with_route("default = one\nsasldb_pth = /b\n"),
         "FILE:11: [route] sasldb_pth: is too much like a key to be a realm's name; did you mean "
         "sasldb_path?"},
        {with_route("default = one\nfailure_delay = 1 s\n"),
         "FILE:11: [route] failure_delay: 1 s: a time such as 8s, 500ms or 1m was expected"},
        {with_route("default = one\ndeadline = 5s\n"),
         "FILE:11: [route] deadline: belongs to [listener NAME], and not here"},
        {with_route("default = one\nnext_on one = accepted\n"),
         "FILE:11: [route] next_on one: accepted: nobody else is asked after an OK; rejected, unknown_user, "
         "barred "
         "or unavailable was expected"},
        {with_route("default = one\nnext_on one = rejectd barred\n"),
         "FILE:11: [route] next_on one: rejectd: rejected, unknown_user, barred or unavailable was expected; "
         "did you "
         "mean rejected?"},
        {with_route("default = one\nnext_on one =\n"),
         "FILE:11: [route] next_on one: at least one of rejected, unknown_user, barred or unavailable was "
         "expected"},
        {with_route("default = one\nnext_on on = barred\n"),
         "FILE:11: [route] next_on on: there is no [backend on]; the name of one was expected; did you mean "
         "one?"},
        {with_route("default = one\nnext_on two = barred\n"),
         "FILE:11: [route] next_on two: a backend that this route asks was expected"},
        {with_route("default = one\nnext_on = barred\n"),
         "FILE:11: [route] next_on: there is no such key in a [route]; a realm or next_on BACKEND was "
         "expected; did "
         "you mean next_on?"},
        {with_route("default = one\nnexton one = barred\n"),
         "FILE:11: [route] nexton: there is no such key in a [route]; a realm or next_on BACKEND was "
         "expected; "
         "did you mean next_on?"},
        {with_route("example.org = one\nExample.ORG = two\n"),
         "FILE:11: [route] Example.ORG: is example.org again: realms are the same in any case"},
        {with_route("default = one\n" + std::string(256, 'x') + " = one\n"),
         "FILE:11: [route] " + std::string(256, 'x') + ": a realm of at most 255 bytes was expected"},
    }));
    CAPTURE(text);
    CHECK(complaint(text) == line);
}

TEST_CASE("an option may be called by its other name, but not by both", "[config]")
{
    const Config c = config(with_backend("type = ldap\nldap_bind_pw =  hunter2 \nldap_default_domain = x\n"));
    CHECK(c.backends.at(1).options.at("ldap_password") == " hunter2 ");
    CHECK(c.backends.at(1).options.at("ldap_default_realm") == "x");
    CHECK(c.backends.at(1).options.size() == find_backend_type("ldap")->options.size());
    CHECK(complaint(with_backend("type = ldap\nldap_bind_pw = hunter2\nldap_password = hunter2\n")) ==
          "FILE:9: [backend b] ldap_bind_pw: is another name of ldap_password; one of them was expected");
    CHECK(complaint(sound + "ldap_bind_pw = hunter2\n") ==
          "FILE:7: [route] ldap_bind_pw: belongs to a [backend NAME] of type ldap, and not here");
}

TEST_CASE("a password by its other name may not be read by everybody either", "[config]")
{
    const File file{with_backend("type = ldap\nldap_bind_pw = hunter2\n"), 0644};
    CHECK_THAT(file.complaint(), Catch::Contains("line 9 holds a password"));
}

TEST_CASE("in a section the instances of kerberos5 are checked", "[config]")
{
    const auto of = [](const std::string& list) {
        return complaint(with_backend("type = kerberos5\nkrb5_instances = " + list + "\n"));
    };
    for (const char* const good : {"", "imap=mail", "imap=mail smtp=out", "imap=mail, smtp=a=b"})
        CHECK(of(good) == "none");
    for (const char* const bad : {"imap", "=mail", "imap=", "="})
        for (const std::string& list : {std::string{bad}, "pop=x, "s + bad})
            CHECK(of(list) ==
                  "FILE:9: [backend b] krb5_instances: "s + bad + ": SERVICE=INSTANCE was expected");
}

TEST_CASE("in a section a boolean is yes or no, and servers are checked", "[config]")
{
    CHECK(complaint(with_backend("type = ldap\nldap_start_tls = on\nldap_servers = a ldap://b\n")) ==
          "FILE:9: [backend b] ldap_start_tls: on: yes or no was expected\n"
          "FILE:10: [backend b] ldap_servers: a: ldap://..., ldaps://... or ldapi://... was expected");
    CHECK(
        complaint(with_backend("type = ldap\nldap_servers = ldap://x:hunter2@b\n")) ==
        "FILE:9: [backend b] ldap_servers: an @; servers without a user and a password in front of them were "
        "expected");
    CHECK(complaint(with_backend("type = rimap\nrimap_host = imap/\nrimap_tls = yes\n")) ==
          "FILE:9: [backend b] rimap_host: imap/: HOST or HOST/PORT was expected\n"
          "FILE:10: [backend b] rimap_tls: yes: none, starttls or implicit was expected");
    CHECK(config(with_backend("type = rimap\n")).listeners.at(0).reply_texts == saslauthd::ReplyTexts{});
    CHECK(
        complaint(with_backend("type = rimap\nrimap_ca_file = /proc/self/stat\n")) ==
        "FILE:7: [backend b]: rimap_ca_file is set, and rimap_tls is none: passwords would travel in clear; "
        "rimap_tls = starttls or implicit was expected");
    CHECK(config(with_backend("type = rimap\nrimap_port = 993\n")).notes ==
          std::vector<std::string>{
              "[backend b] rimap_tls is none, and the port is that of IMAP with TLS; implicit was expected"});
}

TEST_CASE("all that is wrong is said at once, in the order of lines", "[config]")
{
    CHECK(complaint("[listener a]\n"
                    "socket = run\n"
                    "route = x\n"
                    "[backend b]\n"
                    "type = no\n"
                    "words\n"
                    "[route]\n"
                    "default = c\n"
                    "[demon]\n") ==
          "FILE:2: [listener a] socket: run: an absolute path was expected\n"
          "FILE:3: [listener a] route: there is no [route x]; the name of one was expected\n"
          "FILE:5: [backend b] type: unknown authentication mechanism: no\n"
          "FILE:6: [backend b]: key = value was expected\n"
          "FILE:8: [route] default: there is no [backend c]; the name of one was expected; did you mean b?\n"
          "FILE:9: [demon]: there is no such section; [daemon], [cache], [listener NAME], [backend NAME], "
          "[route] or "
          "[route "
          "NAME] was expected; did you mean daemon?");
}

TEST_CASE("a thousand problems are a hundred lines and a number", "[config]")
{
    std::string text = sound + "[daemon]\n";
    for (int i = 0; i < 1'000; ++i)
        text += "words\n";
    const std::string said = complaint(text);
    CHECK(std::ranges::count(said, '\n') == 100);
    CHECK_THAT(said, Catch::EndsWith("FILE: and 900 more"));
}

TEST_CASE("a route says whom to ask next, by realm and by what was said", "[config]")
{
    const Config c = config(with_route("default = one two\n"
                                       "example.org = three\n"
                                       "example.net = two one three\n"
                                       "log = two\n"
                                       "logs = two\n"
                                       "defau.lt = two\n"
                                       "next_on one = rejected barred\n"
                                       "next_on two = unavailable\n"));
    const RouteConfig& route = c.routes.at(0);
    using enum Verdict;
    const std::string nobody = "nobody";
    const auto [realm, verdicts, next] = GENERATE_COPY(table<std::string, std::vector<Verdict>, std::string>({
        {"", {}, "one"},
        {"", {rejected}, "two"},
        {"", {barred}, "two"},
        {"", {unknown_user}, nobody},
        {"", {unavailable}, nobody},
        {"", {accepted}, nobody},
        {"", {rejected, unavailable}, nobody},
        {"anything", {}, "one"},
        {"default", {}, "one"},
        {"failure_delay", {}, "one"},
        {"example.org", {}, "three"},
        {"EXAMPLE.org", {}, "three"},
        {"example.org", {unknown_user}, nobody},
        {"example.net", {}, "two"},
        {"example.net", {rejected}, nobody},
        {"example.net", {unknown_user}, nobody},
        {"example.net", {unavailable}, "one"},
        {"example.net", {unavailable, rejected}, "three"},
        {"example.net", {unavailable, unknown_user}, nobody},
        {"log", {}, "two"},
        {"logs", {}, "two"},
        {"defau.lt", {}, "two"},
    }));
    CAPTURE(realm, verdicts.size());
    const Chain& chain = route.chain_for(realm);
    const ChainStep step = next_step(chain, decisions(verdicts));
    const auto* const ask = std::get_if<AskLink>(&step);
    CHECK((ask == nullptr ? nobody : c.backends.at(chain.at(ask->link).backend).name) == next);
}

TEST_CASE("without next_on the next one is asked after unknown_user and unavailable", "[config]")
{
    const Config c = config(with_route("default = one two\n"));
    for (const Verdict verdict : all_verdicts) {
        const ChainStep step = next_step(c.routes.at(0).chain, decisions({verdict}));
        const bool asks_on = verdict == Verdict::unknown_user || verdict == Verdict::unavailable;
        CHECK(std::holds_alternative<AskLink>(step) == asks_on);
    }
}

TEST_CASE("a route may know some realms only", "[config]")
{
    const Config c = config(with_route("example.org = one\n"));
    CHECK(c.routes.at(0).chain.empty());
    CHECK(c.routes.at(0).chain_for("example.org").size() == 1);
}

TEST_CASE("listeners and backends have a bound, and what is within it can be told to a front", "[config]")
{
    const auto text = [](std::size_t listeners, std::size_t backends, std::size_t realms) {
        const auto name = [](const char* what, std::size_t i) {
            std::string number = std::to_string(i);
            return what + std::string(63 - number.size(), 'x') + number;
        };
        std::string lines;
        for (std::size_t i = 0; i < listeners; ++i)
            lines += "[listener " + name("l", i) + "]\nsocket = /" + std::string(42, 'x') + name("s", i) +
                     "\njoin_realm = yes\nroute = r\n";
        std::string all;
        for (std::size_t i = 0; i < backends; ++i) {
            lines += "[backend b" + std::to_string(i) + "]\ntype = sasldb\n";
            all += " b" + std::to_string(i);
        }
        lines += "[route r]\ndefault =" + all + "\n";
        for (std::size_t i = 0; i < realms; ++i)
            lines += std::to_string(i) + ".example.org =" + all + "\n";
        return lines;
    };
    CHECK(complaint(text(101, 1, 1)) ==
          "FILE:401: [listener l" + std::string(60, 'x') + "100]: at most 100 listeners were expected");
    CHECK_THAT(complaint(text(1, 65, 1)), Catch::Contains("at most 64 backends were expected"));
    CHECK_THAT(complaint(text(1, 64, 600)),
               Catch::StartsWith("FILE: the routes are larger than a front can be told"));

    std::size_t realms = 495;
    while (complaint(text(100, 64, realms)) != "none")
        --realms;
    CHECK(realms > 450);
    const Config c = config(text(100, 64, realms));
    FrontSetup setup;
    setup.listeners = c.listeners;
    setup.routes = c.routes;
    for (const BackendConfig& backend : c.backends)
        setup.pools.push_back({backend.name, std::string{backend.type->name}, backend.pool});
    auto [ours, theirs] = make_message_sockets();
    send_setup(ours, setup, {});
    const FrontSetup got = receive_front_setup(theirs).first;
    CHECK(got.listeners.back().socket == c.listeners.back().socket);
    CHECK(got.routes.back().realms.size() == realms);
}

TEST_CASE("the reference has every section and key, and no other", "[config]")
{
    std::ifstream file{POSTERN_SOURCE_DIRECTORY "/docs/postern.conf.md"};
    REQUIRE(file);
    std::map<std::string, std::set<std::string>> documented; // by the first word of a section's heading
    std::string section;
    for (std::string line; std::getline(file, line);) {
        std::smatch match;
        if (std::regex_search(line, match, std::regex{"^##+ `\\[(\\w+)"}) ||
            std::regex_search(line, match, std::regex{"^##+ `type = (\\w+)`"}))
            section = match[1];
        else if (std::regex_search(line, match, std::regex{"^\\| `([^`]+)`"}))
            documented[section].insert(match[1]);
    }
    std::map<std::string, std::set<std::string>> expected;
    for (const SectionKind& kind : section_kinds()) {
        const std::vector<std::string> keys = keys_of_section(kind.name);
        expected[std::string{kind.name}] = {keys.begin(), keys.end()};
    }
    for (const BackendType& type : backend_types())
        for (const BackendOption& option : type.options)
            if (type.name != "fault") // which no admin has
                expected[std::string{type.name}].emplace(option.key);
    CHECK(documented == expected);
}
