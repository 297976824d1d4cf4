// SPDX-License-Identifier: BSD-2-Clause
//
// libldap keeps the time of a handshake only when it believes that it connects asynchronously, waits in a
// busy loop otherwise, and on its way makes the socket a blocking one, which therefore has a limit of its
// own. That limit is for each write; the reads have one together (ldap_timed_reads.hpp).
#include "backends/ldap_tls.hpp"

#include "backends/backend.hpp"
#include "backends/ldap_message.hpp"
#include "backends/ldap_problems.hpp"
#include "backends/ldap_timed_reads.hpp"
#include "base/clock.hpp"

#include <fcntl.h>
#include <ldap.h>
#include <openldap.h>
#include <sys/socket.h>

namespace postern {

namespace {

using std::chrono::milliseconds;

/// What ldap.conf says. libldap itself gives no handle that begins TLS anew the files that are named there.
std::string text_of_ldap_conf(int option)
{
    char* text = nullptr;
    ::ldap_get_option(nullptr, option, &text);
    const LdapText owned{text};
    return text == nullptr ? "" : text;
}

class TimedReads {
public:
    TimedReads(Sockbuf* buffer, milliseconds time)
        : buffer_{buffer}, end_{std::chrono::steady_clock::now() + time}
    {
        limit_reads(buffer_, end_);
    }
    TimedReads(const TimedReads&) = delete;
    TimedReads& operator=(const TimedReads&) = delete;
    ~TimedReads() { unlimit_reads(buffer_); }

private:
    Sockbuf* buffer_;
    TimePoint end_;
};

int install_tls(const LdapHandle& handle, milliseconds time)
{
    Sockbuf* const buffer = handle.buffer();
    if (buffer == nullptr)
        return LDAP_LOCAL_ERROR;
    const TimedReads reads{buffer, time};
    return ::ldap_install_tls(handle.get());
}

} // namespace

void prepare_tls(LdapHandle& handle, const LdapTls& settings)
{
    const auto set_text = [&handle](int option, const std::string& own, const char* name) {
        const std::string text = own.empty() ? text_of_ldap_conf(option) : own;
        if (!text.empty())
            handle.set_option(option, text.c_str(), name);
    };
    set_text(LDAP_OPT_X_TLS_CACERTFILE, settings.ca_file, "ldap_tls_cacert_file");
    set_text(LDAP_OPT_X_TLS_CACERTDIR, settings.ca_directory, "ldap_tls_cacert_dir");
    set_text(LDAP_OPT_X_TLS_CERTFILE, settings.certificate, "ldap_tls_cert");
    set_text(LDAP_OPT_X_TLS_KEYFILE, settings.key, "ldap_tls_key");
    set_text(LDAP_OPT_X_TLS_CIPHER_SUITE, settings.ciphers, "ldap_tls_ciphers");
    set_text(LDAP_OPT_X_TLS_CRLFILE, "", "TLS_CRLFILE of ldap.conf");
    int least = 0;
    if (::ldap_get_option(nullptr, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) == LDAP_OPT_SUCCESS && least != 0)
        handle.set_option(LDAP_OPT_X_TLS_PROTOCOL_MIN, &least, "TLS_PROTOCOL_MIN of ldap.conf");
    if (settings.checks_peer) {
        const int check = *settings.checks_peer ? LDAP_OPT_X_TLS_HARD : LDAP_OPT_X_TLS_NEVER;
        handle.set_option(LDAP_OPT_X_TLS_REQUIRE_CERT, &check, "ldap_tls_check_peer");
    }
    const int is_server = 0;
    if (::ldap_set_option(handle.get(), LDAP_OPT_X_TLS_NEWCTX, &is_server) != LDAP_OPT_SUCCESS)
        throw BackendError{"TLS cannot be prepared: is one of the files of ldap_tls_… unreadable, or "
                           "ldap_tls_ciphers not what libldap's TLS library takes?"};
}

void shake_hands(LdapHandle& handle, milliseconds time)
{
    const timeval limit = timeval_of(time);
    const int fd = handle.descriptor();
    handle.set_time(LDAP_OPT_NETWORK_TIMEOUT, time);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    handle.set_option(LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_ON, "ldap_timeout");
    const int error = install_tls(handle, time);
    handle.set_option(LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_OFF, "ldap_timeout");
    if (error != LDAP_SUCCESS)
        throw ServerProblem{std::string{"TLS failed: "} + ::ldap_err2string(error) + ": " +
                            answer_of(LdapResult::other, handle.diagnostic(), nullptr).diagnostic};
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

} // namespace postern
