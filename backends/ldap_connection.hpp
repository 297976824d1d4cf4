// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_handle.hpp"
#include "backends/ldap_message.hpp"
#include "backends/ldap_referrals.hpp"
#include "backends/ldap_sasl_bind.hpp"
#include "backends/ldap_settings.hpp"
#include "base/clock.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

/// What a search found.
struct LdapFound {
    LdapAnswer answer;
    std::size_t entries = 0; ///< two stand for more
    std::string dn;          ///< of the first
    std::size_t values = 0;  ///< of its attribute
    bool is_matched = false; ///< by one of them
    bool is_whole = true;    ///< every server that it was to be looked for at was asked
};

struct LdapQuestion {
    std::string base;
    std::string filter;
    LdapScope scope;
    std::string attribute; ///< whose values are wanted; empty: none
};

/// Whether a value of an attribute is the one that is looked for. The value is wiped afterwards.
using ValueMatcher = std::function<bool(std::string_view value)>;

/// A connection to a directory, one question at a time.
///
/// Every question throws ServerProblem when no answer came in time or none that makes sense; the connection
/// is to be closed then, so that a late answer is not taken for the next one's.
class LdapConnection {
public:
    enum class Referrals : std::uint8_t {
        as_set, ///< followed if the settings say so
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
    [[nodiscard]] bool is_open() const noexcept { return handle_.has_value(); }

    /// The password of the last bind is lent until then: what a server says is not told while it is in it.
    void forget_password() noexcept { sent_ = nullptr; }

    /// A simple bind. Never with a DN and no password, which servers take for anybody's (RFC 4513, 5.1.2):
    /// that is invalid_credentials without a question.
    [[nodiscard]] LdapAnswer bind(const std::string& dn, const Secret& password);

    /// The mechanisms that a bind by SASL may use, with blanks between them: as set, or what the server
    /// shows. Throws BackendError when that is none.
    [[nodiscard]] std::string sasl_mechanisms();

    /// A bind by SASL. Throws BackendError when no mechanism can be used, and with `must_prove_password`
    /// when it succeeded without asking for the password.
    [[nodiscard]] LdapAnswer bind_by_sasl(const SaslIdentity& identity, bool must_prove_password);

    [[nodiscard]] LdapFound search(const LdapQuestion& question, int size_limit, const ValueMatcher& matches);
    [[nodiscard]] LdapAnswer compare(const std::string& dn, const std::string& attribute,
                                     std::string_view value);

    /// Who the server says we are: "dn:…" or "u:…".
    [[nodiscard]] std::string ask_who_we_are();

private:
    void prepare(const LdapServer& server);
    void read_ahead() noexcept;
    void set_options();
    void begin_tls(const LdapServer& server);
    [[nodiscard]] LdapMessage wait_for(int question, int kind);
    [[nodiscard]] LdapMessage wait_for_any(int question);
    [[nodiscard]] LdapAnswer answer_to(int question, int kind);
    [[nodiscard]] LdapAnswer last_answer(LdapResult result, const LdapMessage& message) const;
    [[nodiscard]] std::chrono::milliseconds time_left() const;
    void check_sent(int error) const;
    void check_server(int error) const;
    [[nodiscard]] int ask_search(const LdapQuestion& question, int size_limit);
    [[nodiscard]] bool has_followed(const LdapMessage& reference) const;
    void note_entry(LdapFound& found, const LdapMessage& message, const LdapQuestion& question,
                    const ValueMatcher& matches) const;

    const LdapSettings& settings_;
    const bool follows_referrals_;
    LdapReferrals referrals_;
    std::optional<LdapHandle> handle_;
    const Secret* sent_ = nullptr; ///< the last password
    bool is_tls_new_ = false;      ///< nothing was answered over it
    TimePoint end_{};
};

} // namespace postern
