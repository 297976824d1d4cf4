// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/slapd.hpp"

#include "base/posix_error.hpp"
#include "tests/support/program.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 60s;
constexpr const char* slapd_program = "/usr/sbin/slapd";

std::uint16_t free_port()
{
    const UniqueFd fd{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    check(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), "bind");
    check(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    return ntohs(address.sin_port);
}

template <typename Condition>
void wait_until(Condition condition, const std::string& what)
{
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            throw std::runtime_error{"in vain: " + what};
        std::this_thread::sleep_for(5ms);
    }
}

void run(const std::string& path, std::vector<std::string> arguments)
{
    const ProgramRun done = run_program(path, std::move(arguments));
    if (done.status != 0)
        throw std::runtime_error{path + ": " + done.output + done.errors};
}

std::string content_of(const std::string& file)
{
    std::ifstream stream{file};
    return {std::istreambuf_iterator<char>{stream}, {}};
}

} // namespace

std::string ldapi_uri_of(std::string_view path)
{
    std::string uri = "ldapi://";
    for (const char c : path)
        uri += c == '/' ? std::string{"%2f"} : std::string{c};
    return uri + '/';
}

Slapd::Slapd(const SlapdSetup& setup) : has_tls_{setup.has_tls}, port_{free_port()}, tls_port_{free_port()}
{
    if (has_tls_)
        make_certificates();
    write_files(setup);
    run("/usr/sbin/slapadd",
        {"slapadd", "-q", "-f", directory_.file("slapd.conf"), "-l", directory_.file("entries.ldif")});
    start();
}

void Slapd::write_files(const SlapdSetup& setup)
{
    std::filesystem::create_directory(directory_.file("database"));
    std::ofstream conf{directory_.file("slapd.conf")};
    for (const char* schema : {"core", "cosine", "inetorgperson"})
        conf << "include /etc/ldap/schema/" << schema << ".schema\n";
    conf << "modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n"
         << "pidfile " << directory_.file("pid") << "\nthreads 2\n"
         << setup.global_lines;
    if (has_tls_)
        conf << "TLSCACertificateFile " << ca_file() << "\nTLSCertificateFile "
             << directory_.file("server.pem") << "\nTLSCertificateKeyFile " << directory_.file("server.key")
             << '\n';
    conf << "database mdb\nmaxsize 16777216\ndbnosync\ndirectory " << directory_.file("database")
         << "\nsuffix dc=example,dc=org\nrootdn cn=root,dc=example,dc=org\nrootpw root\n"
         << setup.database_lines;
    std::ofstream{directory_.file("entries.ldif")}
        << "dn: dc=example,dc=org\nobjectClass: domain\ndc: example\n\n"
        << setup.entries;
}

/// An authority, and a certificate that it has signed.
void Slapd::make_certificates()
{
    const auto openssl = [this](std::vector<std::string> arguments, const std::string& key,
                                const std::string& certificate) {
        arguments.insert(arguments.begin(), {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                                             "ec_paramgen_curve:P-256", "-nodes", "-days", "2"});
        arguments.insert(arguments.end(), {"-keyout", key, "-out", certificate});
        run("/usr/bin/openssl", arguments);
    };
    openssl({"-subj", "/CN=Test CA"}, directory_.file("ca.key"), ca_file());
    openssl({"-subj", "/CN=directory", "-addext", "subjectAltName=IP:127.0.0.1", "-addext",
             "basicConstraints=critical,CA:FALSE", "-CA", ca_file(), "-CAkey", directory_.file("ca.key")},
            directory_.file("server.key"), directory_.file("server.pem"));
}

std::string Slapd::ldapi_uri() const
{
    return ldapi_uri_of(directory_.file("socket"));
}

void Slapd::start()
{
    std::string listeners = uri();
    if (has_tls_)
        listeners += ' ' + ldaps_uri();
    listeners += ' ' + ldapi_uri();
    const std::string conf = directory_.file("slapd.conf");
    ::unlink(directory_.file("socket").c_str());
    pid_ = check(::fork(), "fork");
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int log = ::open(log_file().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        ::dup2(log, STDOUT_FILENO);
        ::dup2(log, STDERR_FILENO);
        ::execl(slapd_program, "slapd", "-h", listeners.c_str(), "-f", conf.c_str(), "-d", "stats", nullptr);
        ::_exit(127);
    }
    wait_until([this] { return answers(); }, "slapd does not answer");
}

/// Whether it listens at the last of its sockets. No connection is made: tests count them.
bool Slapd::answers() const
{
    if (::waitpid(pid_, nullptr, WNOHANG) != 0)
        throw std::runtime_error{"slapd has ended: " + content_of(log_file())};
    const std::string listening = " 00010000 0001 01 "; // of a stream socket (proc(5))
    std::ifstream sockets{"/proc/net/unix"};
    for (std::string line; std::getline(sockets, line);)
        if (line.ends_with(directory_.file("socket")) && line.find(listening) != std::string::npos)
            return true;
    return false;
}

std::size_t Slapd::times_logged(std::string_view text) const
{
    const std::string log = content_of(log_file());
    std::size_t times = 0;
    for (std::size_t at = 0; (at = log.find(text, at)) != std::string::npos; at += text.size())
        ++times;
    return times;
}

void Slapd::wait_for_log(std::string_view text, std::size_t times) const
{
    wait_until([&] { return times_logged(text) >= times; }, std::string{text});
}

void Slapd::stop() const
{
    check(::kill(pid_, SIGSTOP), "kill");
    int status = 0;
    check(::waitpid(pid_, &status, WUNTRACED), "waitpid");
}

void Slapd::go_on() const
{
    check(::kill(pid_, SIGCONT), "kill");
}

void Slapd::kill()
{
    if (pid_ < 0)
        return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}

} // namespace postern
