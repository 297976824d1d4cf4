// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_message.hpp"

#include "backends/backend.hpp"
#include "backends/ldap_problems.hpp"

#include <ldap.h>
#include <sodium.h>

#include <array>

namespace postern {

namespace {

constexpr std::size_t diagnostic_bytes_max = 160;

// Our numbers are libldap's.
static_assert(static_cast<int>(LdapResult::success) == LDAP_SUCCESS);
static_assert(static_cast<int>(LdapResult::size_limit_exceeded) == LDAP_SIZELIMIT_EXCEEDED);
static_assert(static_cast<int>(LdapResult::compare_true) == LDAP_COMPARE_TRUE);
static_assert(static_cast<int>(LdapResult::no_such_attribute) == LDAP_NO_SUCH_ATTRIBUTE);
static_assert(static_cast<int>(LdapResult::no_such_object) == LDAP_NO_SUCH_OBJECT);
static_assert(static_cast<int>(LdapResult::invalid_credentials) == LDAP_INVALID_CREDENTIALS);
static_assert(static_cast<int>(LdapResult::busy) == LDAP_BUSY);
static_assert(static_cast<int>(LdapResult::unavailable) == LDAP_UNAVAILABLE);
static_assert(static_cast<int>(LdapResult::other) == LDAP_OTHER);

ServerProblem nonsense(int error)
{
    return ServerProblem{std::string{"no answer that makes sense: "} + ::ldap_err2string(error)};
}

/// A word of the policy that cannot be read may be a no.
std::optional<PasswordPolicyError> policy_error_in(ldap* handle, LDAPControl& control)
{
    LDAPPasswordPolicyError error = PP_noError;
    if (const int result = ::ldap_parse_passwordpolicy_control(handle, &control, nullptr, nullptr, &error);
        result != LDAP_SUCCESS)
        throw nonsense(result);
    switch (error) {
    case PP_passwordExpired: return PasswordPolicyError::password_expired;
    case PP_accountLocked: return PasswordPolicyError::account_locked;
    case PP_changeAfterReset: return PasswordPolicyError::change_after_reset;
    default: return {}; // of changing passwords
    }
}

/// 389 Directory Server has a control of its own besides, whose presence says it all.
std::optional<PasswordPolicyError> policy_error_in(ldap* handle, LDAPControl** controls)
{
    std::optional<PasswordPolicyError> error;
    if (LDAPControl* const control =
            ::ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, nullptr))
        error = policy_error_in(handle, *control);
    if (!error && ::ldap_control_find(LDAP_CONTROL_X_PASSWORD_EXPIRED, controls, nullptr) != nullptr)
        error = PasswordPolicyError::password_expired;
    return error;
}

} // namespace

LDAPControl** bind_controls(int version)
{
    static LDAPControl policy{const_cast<char*>(LDAP_CONTROL_PASSWORDPOLICYREQUEST), {0, nullptr}, 0};
    static std::array<LDAPControl*, 2> controls{&policy, nullptr};
    return version == LDAP_VERSION3 ? controls.data() : nullptr;
}

LdapResult result_from(int code)
{
    constexpr int code_max = 0xfff;
    return code < 0 || code > code_max ? LdapResult::other : static_cast<LdapResult>(code);
}

LdapAnswer answer_of(LdapResult result, std::string_view diagnostic, const Secret* sent)
{
    const bool repeats_password = sent != nullptr && diagnostic.find(sent->view()) != std::string_view::npos;
    return {result, std::string{diagnostic.substr(0, diagnostic_bytes_max)}, {}, repeats_password};
}

void LdapMessage::Free::operator()(ldapmsg* message) const noexcept
{
    ::ldap_msgfree(message);
}

int LdapMessage::kind() const noexcept
{
    return ::ldap_msgtype(get());
}

LdapAnswer LdapMessage::answer(const LdapHandle& handle, const Secret* sent) const
{
    int code = LDAP_OTHER;
    char* diagnostic = nullptr;
    LDAPControl** controls = nullptr;
    const int error =
        ::ldap_parse_result(handle.get(), get(), &code, nullptr, &diagnostic, nullptr, &controls, 0);
    const LdapText text{diagnostic};
    const std::unique_ptr<LDAPControl*, decltype(&::ldap_controls_free)> owned{controls,
                                                                               ::ldap_controls_free};
    if (error != LDAP_SUCCESS)
        throw nonsense(error);
    LdapAnswer answer = answer_of(result_from(code), diagnostic == nullptr ? "" : diagnostic, sent);
    answer.policy_error = policy_error_in(handle.get(), controls);
    return answer;
}

std::string LdapMessage::dn(const LdapHandle& handle) const
{
    const LdapText dn{::ldap_get_dn(handle.get(), ::ldap_first_entry(handle.get(), get()))};
    if (!dn || *dn == '\0')
        throw ServerProblem{"an entry without a DN"};
    return dn.get();
}

void LdapMessage::show_values(const LdapHandle& handle, const std::string& attribute,
                              const std::function<void(std::string_view value)>& look) const
{
    LDAPMessage* const entry = ::ldap_first_entry(handle.get(), get());
    const std::unique_ptr<berval*, decltype(&::ldap_value_free_len)> values{
        ::ldap_get_values_len(handle.get(), entry, attribute.c_str()), ::ldap_value_free_len};
    for (berval** value = values.get(); value != nullptr && *value != nullptr; ++value) {
        look({(*value)->bv_val, (*value)->bv_len});
        ::sodium_memzero((*value)->bv_val, (*value)->bv_len);
    }
}

std::vector<std::string> LdapMessage::referred_servers(const LdapHandle& handle) const
{
    char** urls = nullptr;
    const int error = ::ldap_parse_reference(handle.get(), get(), &urls, nullptr, 0);
    const auto free_urls = [](char** memory) { ::ber_memvfree(reinterpret_cast<void**>(memory)); };
    const std::unique_ptr<char*, decltype(free_urls)> owned{urls, free_urls};
    if (error != LDAP_SUCCESS)
        throw nonsense(error);
    std::vector<std::string> servers;
    for (char** url = urls; url != nullptr && *url != nullptr; ++url)
        servers.emplace_back(*url);
    return servers;
}

std::string LdapMessage::identity(const LdapHandle& handle) const
{
    berval* name = nullptr;
    const int error = ::ldap_parse_whoami(handle.get(), get(), &name);
    const std::unique_ptr<berval, decltype(&::ber_bvfree)> owned{name, ::ber_bvfree};
    if (error != LDAP_SUCCESS || name == nullptr)
        throw BackendError{"the server does not say who the user is"};
    return {name->bv_val, name->bv_len};
}

} // namespace postern
