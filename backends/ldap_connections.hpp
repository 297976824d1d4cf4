// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_connection.hpp"
#include "backends/ldap_problems.hpp"
#include "backends/ldap_server.hpp"
#include "backends/ldap_settings.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"

#include <chrono>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

namespace postern {

/// A worker's two connections to one directory: the service identity searches on the first and stays bound,
/// users bind on the second. So a login is two questions, and a wrong password costs no new connection.
///
/// Which directory that is the caller says, and with it how long all may take. A connection that the server
/// has closed meanwhile is opened once more, without further ado. What goes wrong is thrown
/// (ldap_problems.hpp), and both are to be closed then.
class LdapConnections {
public:
    /// Throws BackendError when ldap_servers has what is no server.
    LdapConnections(const LdapSettings& settings, const std::string& service_password, Log& log);

    /// Asks that server from here on, for so long.
    void use(std::size_t server, std::chrono::milliseconds time);
    void close() noexcept;

    /// Opened and bound, or users would be searched as nobody.
    LdapConnection& service();

    /// Open, and bound as the last user or as nobody.
    LdapConnection& user();

    /// `ask` is given service(), and a new one when the old one had been closed.
    template <typename Ask>
    std::invoke_result_t<Ask, LdapConnection&> as_service(Ask ask)
    {
        return on_kept(service_, [&] { return ask(service()); });
    }

    /// `bind` is given user(). A server that was there, and is silent or gone when a user binds, is so to
    /// that user at least. One that is silent to everybody would cost each of them the time: so that is a
    /// doubt.
    template <typename Bind>
    LdapAnswer as_user(Bind bind)
    {
        return on_kept(user_, [&] {
            const bool was_kept = user_.is_open();
            LdapConnection& connection = user();
            try {
                return bind(connection);
            } catch (const ServerSilence& silence) {
                throw ServerDoubt{std::string{"the user's bind: "} + silence.what()};
            } catch (const ConnectionLost& loss) {
                if (was_kept)
                    throw; // it may have been closed long ago
                throw Unasked{std::string{"the user's bind: "} + loss.what()};
            }
        });
    }

    /// A bind as nobody, which shows whether the server answers.
    [[nodiscard]] LdapAnswer bind_as_nobody();

    void close_service() noexcept { service_.close(); }
    void close_user() noexcept { user_.close(); }
    /// The password of a request is lent to the connection for as long as the request.
    void forget_user_password() noexcept { user_.forget_password(); }

private:
    /// The password of the service identity lives as long as the backend. Its arena is its own, so that what
    /// a request leaves behind in the worker's can be counted.
    class ServicePassword {
    public:
        explicit ServicePassword(const std::string& text);

        [[nodiscard]] const Secret& get() const noexcept { return secret_; }

    private:
        SecretArena arena_;
        Secret secret_;
    };

    /// Servers close what was idle for long, and say so only to the next question.
    template <typename Ask>
    static std::invoke_result_t<Ask> on_kept(LdapConnection& connection, Ask ask)
    {
        const bool was_kept = connection.is_open();
        try {
            return ask();
        } catch (const ConnectionLost&) {
            connection.close();
            if (!was_kept)
                throw;
        }
        return ask();
    }

    [[nodiscard]] LdapAnswer bind_as_service();

    const LdapSettings& settings_;
    const ServicePassword service_password_;
    const std::string service_dn_;
    std::vector<LdapServer> addresses_;
    std::size_t server_ = 0; ///< whose connections these are
    LdapConnection service_;
    LdapConnection user_;
};

} // namespace postern
