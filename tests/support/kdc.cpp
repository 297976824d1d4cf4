// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/kdc.hpp"

#include "base/posix_error.hpp"
#include "tests/support/program.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace postern {

namespace {

sockaddr_in loopback(std::uint16_t port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A socket that has a port and does not listen there, beside which another may.
UniqueFd hold_port()
{
    UniqueFd holder{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const int yes = 1;
    check(::setsockopt(holder.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), "SO_REUSEADDR");
    const sockaddr_in address = loopback(0);
    check(::bind(holder.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), "bind");
    return holder;
}

std::uint16_t port_of(const UniqueFd& socket)
{
    sockaddr_in address{};
    socklen_t size = sizeof(address);
    check(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
    return ntohs(address.sin_port);
}

} // namespace

Kdc::Kdc() : port_holder_{hold_port()}, port_{port_of(port_holder_)}
{
    write_files();
    run("/usr/sbin/kdb5_util", {"kdb5_util", "create", "-s", "-P", "master"});
    add_with_random_key(host_principal);
    write_keytab(keytab(), host_principal);
    start();
    be_asked();
}

Kdc::~Kdc()
{
    stop();
}

void Kdc::write_files() const
{
    const std::string address = "127.0.0.1:" + std::to_string(port_);
    std::ofstream{directory_.file("krb5.conf")} << "[libdefaults]\n"
                                                << "default_realm = " << realm << '\n'
                                                << "dns_lookup_kdc = false\ndns_lookup_realm = false\n"
                                                << "udp_preference_limit = 1\n"
                                                << "[realms]\n"
                                                << realm << " = { \n kdc = " << address << "\n}\n";
    std::ofstream{directory_.file("kdc.conf")}
        << "[kdcdefaults]\nkdc_listen = \"\"\nkdc_tcp_listen = " << address << '\n'
        << "[realms]\n"
        << realm << " = {\n database_name = " << directory_.file("principal") << '\n'
        << " key_stash_file = " << directory_.file("stash") << "\n}\n"
        << "[logging]\nkdc = FILE:" << directory_.file("kdc.log") << '\n';
}

void Kdc::point_out() const
{
    ::setenv("KRB5_CONFIG", directory_.file("krb5.conf").c_str(), 1);
    ::setenv("KRB5_KDC_PROFILE", directory_.file("kdc.conf").c_str(), 1);
}

void Kdc::be_asked() const
{
    point_out();
}

void Kdc::run(const std::string& program, std::vector<std::string> arguments) const
{
    std::vector<char*> argv;
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    const ProgramRun run = run_child("", [&] {
        point_out();
        ::execv(program.c_str(), argv.data());
        return 127;
    });
    if (run.status != 0 || run.errors.find("while") != std::string::npos) // kadmin.local fails with status 0
        throw std::runtime_error{program + ": " + run.errors};
}

void Kdc::start()
{
    process_ = check(::fork(), "fork");
    if (process_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const int nowhere = ::open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; ++fd)
            ::dup2(nowhere, fd);
        point_out();
        ::execl("/usr/sbin/krb5kdc", "krb5kdc", "-n", nullptr);
        ::_exit(127);
    }
    while (!answers()) {
        if (int status = 0; ::waitpid(process_, &status, WNOHANG) != 0)
            throw std::runtime_error{"krb5kdc does not start"};
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
}

void Kdc::stop()
{
    if (process_ == 0)
        return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
}

bool Kdc::answers() const
{
    const UniqueFd client{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    const sockaddr_in address = loopback(port_);
    return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

void Kdc::kadmin(std::vector<std::string> arguments) const
{
    arguments.insert(arguments.begin(), "kadmin.local");
    run("/usr/sbin/kadmin.local", std::move(arguments));
}

void Kdc::add(const std::string& principal, const std::string& password,
              const std::vector<std::string>& options) const
{
    std::vector<std::string> arguments{"addprinc", "-pw", password};
    arguments.insert(arguments.end(), options.begin(), options.end());
    arguments.push_back(principal);
    kadmin(std::move(arguments));
}

void Kdc::add_with_random_key(const std::string& principal) const
{
    kadmin({"addprinc", "-randkey", principal});
}

void Kdc::write_keytab(const std::string& file, const std::string& principal) const
{
    kadmin({"ktadd", "-k", file, principal});
}

} // namespace postern
