// SPDX-License-Identifier: BSD-2-Clause
#include "tests/support/backend_contract.hpp"
#include "tests/support/dovecot_imap.hpp"

#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>

namespace postern {

namespace {

using namespace std::chrono_literals;

const Login alice{"alice", "s3cret pass"};
const Login latin{"al\xefs\xff", "\xc3\xa9\x80\xff"}; // control characters are more than Dovecot takes
const Login longest{std::string(500, 'u'), std::string(1000, 'p')}; // Dovecot has bounds of its own

DovecotImap::Users users()
{
    DovecotImap::Users all;
    for (const Login& login : {alice, latin, longest})
        all.emplace_back(login.user, login.password);
    return all;
}

BackendOptions options(const std::string& hosts, const std::string& tls = "none",
                       const std::string& ca_file = "")
{
    return {{"rimap_host", hosts},      {"rimap_port", ""},         {"rimap_tls", tls},
            {"rimap_ca_file", ca_file}, {"rimap_timeout", "5s"},    {"rimap_connect_timeout", "5s"},
            {"rimap_renew", "45s"},     {"rimap_keep_ready", "10m"}};
}

BackendOptions options_with(BackendOptions options, const std::string& key, const std::string& value)
{
    options.insert_or_assign(key, value);
    return options;
}

/// A real Dovecot with a passwd-file.
class DovecotSource final : public ContractSource {
public:
    explicit DovecotSource(std::string tls = "none") : tls_{std::move(tls)} {}

    [[nodiscard]] std::string type() const override { return "rimap"; }

    [[nodiscard]] BackendOptions options() const override
    {
        return postern::options(tls_ == "implicit" ? dovecot_.tls_host() : dovecot_.host(), tls_,
                                tls_ == "none" ? "" : dovecot_.ca_file());
    }

    [[nodiscard]] Login known() const override { return alice; }

    [[nodiscard]] Login unknown() const override { return {"nobody", "s3cret pass"}; }

    [[nodiscard]] Verdict unknown_verdict() const override { return Verdict::rejected; }

    [[nodiscard]] Login eight_bit() const override { return latin; }

    [[nodiscard]] Login maximal() const override { return longest; }

    [[nodiscard]] Login break_down() override
    {
        dovecot_.stop();
        return alice;
    }

private:
    std::string tls_;
    DovecotImap dovecot_{users()};
};

/// A host that the kernel connects to, and where nobody looks.
class SilentServer {
public:
    SilentServer() : socket_{check(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")}
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        check(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size), "bind");
        check(::listen(socket_.get(), 8), "listen");
        check(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), "getsockname");
        port_ = ntohs(address.sin_port);
    }

    [[nodiscard]] std::string host() const { return "127.0.0.1/" + std::to_string(port_); }

    [[nodiscard]] int socket() const { return socket_.get(); }

private:
    UniqueFd socket_;
    int port_ = 0;
};

/// A host that greets, and then goes on with lines that answer nothing.
class ChattyServer {
public:
    ChattyServer() : pid_{check(::fork(), "fork")}
    {
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::alarm(60); // who has not given up by then sees the end of the stream
            chat(::accept(listener_.socket(), nullptr, nullptr));
        }
    }
    ChattyServer(const ChattyServer&) = delete;
    ChattyServer& operator=(const ChattyServer&) = delete;
    ~ChattyServer()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] std::string host() const { return listener_.host(); }

private:
    [[noreturn]] static void chat(int connection)
    {
        constexpr std::string_view greeting = "* OK ready\r\n";
        constexpr std::string_view line = "* 5 EXISTS\r\n";
        ::send(connection, greeting.data(), greeting.size(), MSG_NOSIGNAL);
        while (::send(connection, line.data(), line.size(), MSG_NOSIGNAL) > 0) {
        }
        ::_exit(0);
    }

    SilentServer listener_;
    pid_t pid_;
};

std::string dead_host()
{
    return "127.0.0.1/" + std::to_string(free_port());
}

ServerSet only(std::size_t server)
{
    ServerSet set;
    set.add(server);
    return set;
}

} // namespace

// One Dovecot for all sections: the last of them ends it.
TEST_CASE("rimap keeps the backend contract", "[rimap]")
{
    static DovecotSource source;
    keeps_the_backend_contract(source);
}

TEST_CASE("rimap keeps the backend contract with STARTTLS", "[rimap]")
{
    static DovecotSource source{"starttls"};
    keeps_the_backend_contract(source);
}

TEST_CASE("rimap keeps the backend contract with TLS from the start", "[rimap]")
{
    static DovecotSource source{"implicit"};
    keeps_the_backend_contract(source);
}

TEST_CASE("a line break in a password is a byte of it", "[rimap]")
{
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dovecot.host())};
    const std::string injected = "x\r\na1 LOGIN \"alice\" \"s3cret pass\"\r\n";
    CHECK(verdict_of(backend, with_password(alice, injected)) == Verdict::rejected);
    CHECK(verdict_of(backend, with_user(alice, "alice\"\r\n")) == Verdict::rejected);
    CHECK(verdict_of(backend, with_password(alice, std::string{"s3cret pass\0", 12})) == Verdict::rejected);
}

TEST_CASE("a server that wants TLS gets no password without", "[rimap]")
{
    const DovecotImap dovecot{users(), "disable_plaintext_auth = yes\nssl = required"};
    LoadedBackend plain{"rimap", options(dovecot.remote_host())};
    LoadedBackend encrypted{"rimap", options(dovecot.host(), "starttls", dovecot.ca_file())};
    CHECK(verdict_of(encrypted, alice) == Verdict::accepted);
    CHECK(outage_of(plain, alice).find("LOGINDISABLED") != std::string::npos);
}

TEST_CASE("a certificate must be for the server's name, and from somebody who is trusted", "[rimap]")
{
    const DovecotImap dovecot{users()};
    const std::string tls = GENERATE("starttls", "implicit");
    const std::string host = tls == "implicit" ? dovecot.tls_host() : dovecot.host();
    const std::string by_address = "127.0.0.1" + host.substr(host.find('/'));

    LoadedBackend right{"rimap", options(host, tls, dovecot.ca_file())};
    CHECK(verdict_of(right, alice) == Verdict::accepted);
    LoadedBackend wrong_name{"rimap", options(by_address, tls, dovecot.ca_file())};
    CHECK(outage_of(wrong_name, alice).find("IP address mismatch") != std::string::npos);
    LoadedBackend untrusted{"rimap", options(host, tls)};
    CHECK(outage_of(untrusted, alice).find("certificate was refused: self-signed") != std::string::npos);
    CHECK(untrusted.servers.failures.size() == 1);
}

TEST_CASE("TLS at a port where none is spoken is an outage", "[rimap]")
{
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dovecot.host(), "implicit", dovecot.ca_file())};
    CHECK(outage_of(backend, alice).find("TLS could not be begun") != std::string::npos);
}

TEST_CASE("a file of certificates that is none is found at the start", "[rimap]")
{
    CHECK_THROWS_AS((LoadedBackend{"rimap", options("localhost", "starttls", "/etc/passwd")}), BackendError);
}

TEST_CASE("a server that is down is told of, and the next one is asked", "[rimap]")
{
    const DovecotImap dovecot{users()};
    const std::string dead = dead_host();
    LoadedBackend backend{"rimap", options(dead + " " + dovecot.host())};
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    REQUIRE(backend.servers.failures.size() == 1);
    CHECK(backend.servers.failures[0].first == 0);
    CHECK(backend.servers.failures[0].second.find("Connection refused") != std::string::npos);

    backend.servers.to_leave_alone = only(0);
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    CHECK(backend.servers.failures.size() == 1);

    backend.servers.to_leave_alone.add(1);
    CHECK(outage_of(backend, alice) == "every server has failed lately");
}

TEST_CASE("a silent server leaves time for the next", "[rimap]")
{
    const SilentServer silent;
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(silent.host() + "," + dovecot.host())};
    backend.servers.time = 4s;
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    REQUIRE(backend.servers.failures.size() == 1);
    CHECK(backend.servers.failures[0].second == "no answer in time; awaited was the greeting");
}

TEST_CASE("a server that talks without end has failed, and the next one is asked", "[rimap]")
{
    const ChattyServer chatty;
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(chatty.host() + "," + dovecot.host())};
    backend.servers.time = 4s;
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    REQUIRE(backend.servers.failures.size() == 1);
    CHECK(backend.servers.failures[0].second == "the server sends without end");
}

TEST_CASE("a server that lets a guess wait is in doubt, has not failed, and the next one is asked", "[rimap]")
{
    const DovecotImap slow{users(), "auth_failure_delay = 1 hours"};
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(slow.host() + " " + dovecot.host())};
    backend.servers.time = 4s;
    if (GENERATE(false, true))
        static_cast<void>(backend.backend().prepare());
    CHECK(verdict_of(backend, with_password(alice, "looking-glass")) == Verdict::rejected);
    REQUIRE(backend.servers.doubts.size() == 1);
    CHECK(backend.servers.doubts[0].first == 0);
    CHECK(backend.servers.doubts[0].second.starts_with("no answer in time"));
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    CHECK(backend.servers.doubts.size() == 1);
    CHECK(backend.servers.failures.empty());

    backend.servers.to_leave_alone = only(1);
    backend.servers.time = 2s;
    CHECK(outage_of(backend, with_password(alice, "looking-glass")).find("no answer in time") !=
          std::string::npos);
    CHECK(backend.servers.failures.empty());
}

TEST_CASE("a server that had next to no time for a guess is not in doubt", "[rimap]")
{
    const DovecotImap slow{users(), "auth_failure_delay = 1 hours"};
    LoadedBackend backend{"rimap", options(slow.host())};
    static_cast<void>(backend.backend().prepare());
    backend.servers.time = 20ms;
    outage_of(backend, with_password(alice, "looking-glass"));
    CHECK(backend.servers.doubts.empty());
}

TEST_CASE("a server that had next to no time has not failed", "[rimap]")
{
    const SilentServer silent;
    LoadedBackend backend{"rimap", options(silent.host())};
    backend.servers.time = 20ms;
    outage_of(backend, alice);
    CHECK(backend.servers.failures.empty());
    backend.servers.time = 1s;
    outage_of(backend, alice);
    CHECK(backend.servers.failures.size() == 1);
}

TEST_CASE("a host whose name nobody knows is an outage", "[rimap]")
{
    LoadedBackend backend{"rimap", options("no-such-host.invalid")};
    CHECK(outage_of(backend, alice).find("could not be resolved") != std::string::npos);
}

TEST_CASE("a server that comes back is asked without more ado", "[rimap]")
{
    DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dovecot.host())};
    dovecot.stop();
    outage_of(backend, alice);
    dovecot.start();
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
}

TEST_CASE("a connection is made ready, used up by a login, and made ready again", "[rimap]")
{
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dovecot.host(), "starttls", dovecot.ca_file())};
    CHECK_FALSE(backend.backend().is_prepared());
    CHECK(backend.backend().prepare() < 60s); // servers wait no longer
    CHECK(backend.backend().is_prepared());
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    CHECK_FALSE(backend.backend().is_prepared());
    static_cast<void>(backend.backend().prepare());
    CHECK(verdict_of(backend, with_password(alice, "x")) == Verdict::rejected);
    CHECK_FALSE(backend.backend().is_prepared());
}

TEST_CASE("a connection that waits is renewed as often as the admin says, or never", "[rimap]")
{
    const DovecotImap dovecot{users()};
    const auto [renew, expected] = GENERATE(table<std::string, std::chrono::milliseconds>({
        {"45s", 45s},
        {"500ms", 500ms},
        {"0", std::chrono::milliseconds::max()},
    }));
    CAPTURE(renew);
    LoadedBackend backend{"rimap", options_with(options(dovecot.host()), "rimap_renew", renew)};
    CHECK(backend.backend().prepare() == expected);
    CHECK(backend.backend().is_prepared());
}

TEST_CASE("connections are not kept ready any more when nobody has logged in for some time", "[rimap]")
{
    DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options_with(options(dovecot.host()), "rimap_keep_ready", "1s")};
    while (backend.backend().prepare() < std::chrono::milliseconds::max()) {
    }
    dovecot.stop();
    CHECK(backend.backend().is_prepared()); // as well as it will be: there is no connection that could end
    dovecot.start();
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
}

TEST_CASE("no connection is made ahead of time where the admin wants none", "[rimap]")
{
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options_with(options(dovecot.host()), "rimap_keep_ready", "0")};
    for (int logins = 0; logins < 2; ++logins) {
        CHECK(backend.backend().is_prepared());
        CHECK(backend.backend().prepare() == std::chrono::milliseconds::max());
        CHECK(verdict_of(backend, alice) == Verdict::accepted);
    }
}

TEST_CASE("a connection that was ready and is gone is replaced, and nobody is told", "[rimap]")
{
    DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dovecot.host())};
    static_cast<void>(backend.backend().prepare());
    REQUIRE(backend.backend().is_prepared());
    SECTION("when it has ended")
    {
        dovecot.stop();
        dovecot.start();
        CHECK_FALSE(backend.backend().is_prepared());
    }
    SECTION("when its server is an old one that has nobody to ask any more")
    {
        dovecot.restart();
    }
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
    CHECK(backend.servers.failures.empty());
}

TEST_CASE("a connection to a server that is to be left alone is not used", "[rimap]")
{
    const DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dovecot.host())};
    static_cast<void>(backend.backend().prepare());
    backend.servers.to_leave_alone = only(0);
    outage_of(backend, alice);
}

TEST_CASE("a connection to a later server is not used when an earlier one may be asked again", "[rimap]")
{
    const DovecotImap first{users()};
    const DovecotImap second{{{alice.user, "another"}}};
    LoadedBackend backend{"rimap", options(first.host() + " " + second.host())};
    backend.servers.to_leave_alone = only(0);
    static_cast<void>(backend.backend().prepare());
    backend.servers.to_leave_alone = {};
    CHECK(verdict_of(backend, alice) == Verdict::accepted);
}

TEST_CASE("a probe tells whether its server can be asked, and leaves a connection ready", "[rimap]")
{
    DovecotImap dovecot{users()};
    LoadedBackend backend{"rimap", options(dead_host() + " " + dovecot.host())};
    backend.servers.to_leave_alone = only(0);
    backend.backend().probe();
    CHECK(backend.backend().is_prepared());
    backend.servers.to_leave_alone = only(1);
    CHECK_THROWS_AS(backend.backend().probe(), BackendError);
}

TEST_CASE("what a server cannot be is found at the start", "[rimap]")
{
    const std::string host = GENERATE(as<std::string>{}, "", ",", "mail:143", "mail/", "/143", "mail/0",
                                      "mail/65536", "mail/99999999999", "[]", "ok.example /143");
    CAPTURE(host);
    CHECK_THROWS_AS((LoadedBackend{"rimap", options(host)}), BackendError);
}

TEST_CASE("servers are written in many ways", "[rimap]")
{
    const std::string host =
        GENERATE(as<std::string>{}, "mail", "mail/143", "mail/imap", "[::1]/143", "[::1]", "::1", "::1/143",
                 "192.0.2.1/imaps", "mail/143, other/144 third");
    CAPTURE(host);
    CHECK_NOTHROW((LoadedBackend{"rimap", options(host)}));
}

} // namespace postern
