// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_answers.hpp"
#include "backends/ldap_settings.hpp"
#include "backends/server_socket.hpp"
#include "base/log.hpp"
#include "base/secret.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

struct ldap; // libldap's handle

namespace postern {

/// A server could not be asked: another one may do better. Whether this one has failed nobody can tell. The
/// text is for the log and holds no password.
class Unasked : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// That is its fault.
class ServerProblem : public Unasked {
public:
    using Unasked::Unasked;
};

/// It did not answer in time.
class ServerSilence final : public ServerProblem {
public:
    using ServerProblem::ServerProblem;
};

/// The server has closed the connection, perhaps long ago.
class ConnectionLost : public ServerProblem {
public:
    using ServerProblem::ServerProblem;
};

/// One of ldap_servers.
struct LdapServer {
    enum class Scheme : std::uint8_t { ldap, ldaps, ldapi };
    std::string uri; ///< as the admin wrote it
    Scheme scheme;
    std::string host; ///< of ldapi: the path of the socket
    std::string port;
};

/// Throws BackendError when it is none that we can connect to.
[[nodiscard]] LdapServer parse_ldap_uri(const std::string& uri);

/// Whom a bind by SASL is for. Texts are empty when the mechanism or libldap shall decide.
struct SaslIdentity {
    std::string mechanism;
    std::string realm;
    std::string id;
    std::string authorization_id;
    const Secret& password;
};

/// What a search found.
struct LdapFound {
    LdapAnswer answer;
    std::size_t entries = 0; ///< two stand for more
    std::string dn;          ///< of the first
    std::size_t values = 0;  ///< of its attribute
    bool is_matched = false; ///< by one of them
};

struct LdapQuestion {
    std::string base;
    std::string filter;
    LdapScope scope;
    std::string attribute; ///< whose values are wanted; empty: none
};

/// Whether a value of an attribute is the one that is looked for. The value is wiped afterwards.
using ValueMatcher = std::function<bool(std::string_view value)>;

/// A connection to a directory, one question at a time. This alone talks to libldap.
///
/// Every question throws ServerProblem when no answer came in time or none that makes sense; the connection
/// is to be closed then, so that a late answer is not taken for the next one's.
class LdapConnection {
public:
    enum class Referrals : std::uint8_t {
        as_set, ///< followed if the settings say so; as nobody, since no server we were sent to gets a
                ///< password
        never,
    };

    LdapConnection(const LdapSettings& settings, Referrals referrals);
    LdapConnection(const LdapConnection&) = delete;
    LdapConnection& operator=(const LdapConnection&) = delete;
    ~LdapConnection() { close(); }

    /// All that is done from here on has to be done by then.
    void set_end(TimePoint end) noexcept { end_ = end; }

    /// Connects, and begins TLS if that is wanted. Throws ServerProblem; BackendError when an option is
    /// wrong. Is closed then.
    void open(const LdapServer& server);
    void close() noexcept;
    [[nodiscard]] bool is_open() const noexcept { return handle_ != nullptr; }

    /// The password of the last bind is lent until then: what a server says is not told while it is in it.
    void forget_password() noexcept { sent_ = nullptr; }

    /// A simple bind. Never with a DN and no password, which servers take for anybody's (RFC 4513, 5.1.2):
    /// that is invalid_credentials without a question.
    [[nodiscard]] LdapAnswer bind(const std::string& dn, const Secret& password);

    /// A bind by SASL. Throws BackendError when the mechanism cannot be used, and with `must_prove_password`
    /// when it succeeded without asking for the password.
    [[nodiscard]] LdapAnswer bind_by_sasl(const SaslIdentity& identity, bool must_prove_password);

    [[nodiscard]] LdapFound search(const LdapQuestion& question, int size_limit, const ValueMatcher& matches);
    [[nodiscard]] LdapAnswer compare(const std::string& dn, const std::string& attribute,
                                     std::string_view value);

    /// Who the server says we are: "dn:…" or "u:…".
    [[nodiscard]] std::string ask_who_we_are();

private:
    struct Unbind {
        void operator()(ldap* handle) const noexcept;
    };
    class Message;

    void attach(const LdapServer& server);
    void prepare(const LdapServer& server);
    void read_ahead() noexcept;
    void set_options();
    void refuse_plain_referrals();
    void set_tls();
    void begin_tls(const LdapServer& server);
    void shake_hands();
    [[nodiscard]] int install_tls(int fd);
    [[nodiscard]] Message wait_for(int question, int kind);
    [[nodiscard]] Message wait_for_any(int question, bool wants_whole);
    [[nodiscard]] LdapAnswer read_answer(const Message& message);
    [[nodiscard]] std::chrono::milliseconds time_left() const;
    void set_option(int option, const void* value, const char* name);
    void set_time(int option, std::chrono::milliseconds time);
    void check_sent(int error);
    [[nodiscard]] LdapAnswer answer_of(LdapResult result, const char* diagnostic) const;
    [[nodiscard]] LdapAnswer answer_of(LdapResult result) const;
    [[nodiscard]] std::string last_diagnostic() const;
    void note_entry(LdapFound& found, const Message& message, const LdapQuestion& question,
                    const ValueMatcher& matches);

    const LdapSettings& settings_;
    const Referrals referrals_;
    std::unique_ptr<ldap, Unbind> handle_;
    const Secret* sent_ = nullptr; ///< the last password
    TimePoint end_{};
};

/// Has libldap write what it does to `log`, for as long as the process lives.
void debug_libldap(std::uint32_t level, Log& log);

} // namespace postern
