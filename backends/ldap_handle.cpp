// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_handle.hpp"

#include "backends/backend.hpp"
#include "backends/ldap_problems.hpp"

#include <ldap.h>
#include <openldap.h>

namespace postern {

using std::chrono::milliseconds;

void FreeLdapMemory::operator()(char* memory) const noexcept
{
    ::ldap_memfree(memory);
}

timeval timeval_of(milliseconds time)
{
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {seconds.count(), std::chrono::microseconds{time - seconds}.count()};
}

void LdapHandle::Unbind::operator()(ldap* handle) const noexcept
{
    ::ldap_unbind_ext(handle, nullptr, nullptr);
}

LdapHandle::LdapHandle(UniqueFd connection, const LdapServer& server)
{
    const int protocol = server.scheme == LdapServer::Scheme::ldapi ? LDAP_PROTO_IPC : LDAP_PROTO_TCP;
    ldap* made = nullptr;
    if (const int error = ::ldap_init_fd(connection.get(), protocol, server.uri.c_str(), &made);
        error != LDAP_SUCCESS)
        throw ServerProblem{::ldap_err2string(error)};
    static_cast<void>(connection.release()); // only now it is the handle's
    handle_.reset(made);
}

int LdapHandle::descriptor() const noexcept
{
    int fd = -1;
    ::ldap_get_option(get(), LDAP_OPT_DESC, &fd);
    return fd;
}

sockbuf* LdapHandle::buffer() const noexcept
{
    Sockbuf* buffer = nullptr;
    return ::ldap_get_option(get(), LDAP_OPT_SOCKBUF, &buffer) == LDAP_OPT_SUCCESS ? buffer : nullptr;
}

void LdapHandle::set_option(int option, const void* value, const char* name)
{
    if (::ldap_set_option(get(), option, value) != LDAP_OPT_SUCCESS)
        throw BackendError{std::string{"libldap does not take the value of "} + name};
}

void LdapHandle::set_time(int option, milliseconds time)
{
    const timeval value = timeval_of(time);
    set_option(option, &value, "ldap_timeout");
}

std::string LdapHandle::text_option(int option) const
{
    char* text = nullptr;
    ::ldap_get_option(get(), option, &text);
    const LdapText owned{text};
    return text == nullptr ? "" : text;
}

std::string LdapHandle::diagnostic() const
{
    return text_option(LDAP_OPT_DIAGNOSTIC_MESSAGE);
}

} // namespace postern
