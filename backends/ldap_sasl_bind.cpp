// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_sasl_bind.hpp"

#include <ldap.h>
#include <sasl/sasl.h>

namespace postern {

namespace {

const char* or_null(const std::string& text)
{
    return text.empty() ? nullptr : text.c_str();
}

} // namespace

int LdapSaslBind::take(const LdapMessage& answer)
{
    return ::ldap_sasl_interactive_bind(handle_.get(), nullptr, or_null(identity_.mechanism),
                                        bind_controls(LDAP_VERSION3), nullptr, LDAP_SASL_QUIET, interact,
                                        this, answer.get(), &mechanism_, &question_);
}

int LdapSaslBind::interact(ldap*, unsigned, void* self, void* questions)
{
    for (auto* question = static_cast<sasl_interact_t*>(questions); question->id != SASL_CB_LIST_END;
         ++question) {
        const std::string_view answer = static_cast<LdapSaslBind*>(self)->answer_to(*question);
        question->result = answer.empty() ? "" : answer.data();
        question->len = static_cast<unsigned>(answer.size());
    }
    return LDAP_SUCCESS;
}

std::string_view LdapSaslBind::answer_to(const sasl_interact& question)
{
    switch (question.id) {
    case SASL_CB_AUTHNAME: return identity_.id;
    case SASL_CB_USER: return identity_.authorization_id;
    case SASL_CB_GETREALM:
        return !identity_.realm.empty()        ? std::string_view{identity_.realm}
               : question.defresult != nullptr ? std::string_view{question.defresult}
                                               : std::string_view{""};
    case SASL_CB_PASS: has_asked_for_password_ = true; return identity_.password.view();
    default: return "";
    }
}

} // namespace postern
