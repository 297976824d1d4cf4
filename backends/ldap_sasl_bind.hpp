// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/ldap_handle.hpp"
#include "backends/ldap_message.hpp"
#include "base/secret.hpp"

#include <string>
#include <string_view>

struct sasl_interact; // a question of the SASL library

namespace postern {

/// Whom a bind by SASL is for. Texts are empty when the mechanism or libldap shall decide.
struct SaslIdentity {
    std::string mechanism;
    std::string realm;
    std::string id;
    std::string authorization_id;
    const Secret& password;
};

/// The dialogue of one bind by SASL (RFC 4513, 5.2). The SASL library leads it; whoever holds this one waits
/// for the server's answers.
class LdapSaslBind {
public:
    /// Both are lent.
    LdapSaslBind(const LdapHandle& handle, const SaslIdentity& identity)
        : handle_{handle}, identity_{identity}
    {
    }

    /// Takes the answer to question(), or an empty one to begin. libldap's number for it: with
    /// LDAP_SASL_BIND_IN_PROGRESS there is another question().
    [[nodiscard]] int take(const LdapMessage& answer);
    [[nodiscard]] int question() const noexcept { return question_; }

    [[nodiscard]] bool has_asked_for_password() const noexcept { return has_asked_for_password_; }

private:
    static int interact(ldap* handle, unsigned flags, void* self, void* questions);
    [[nodiscard]] std::string_view answer_to(const sasl_interact& question);

    const LdapHandle& handle_;
    const SaslIdentity& identity_;
    const char* mechanism_ = nullptr; ///< libldap's own note, from one step to the next
    int question_ = 0;
    bool has_asked_for_password_ = false;
};

} // namespace postern
