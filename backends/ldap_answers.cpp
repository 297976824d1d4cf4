// SPDX-License-Identifier: BSD-2-Clause
//
// A directory says with a number whether a password was right. Why an account may not log in it says in three
// ways: by the password policy control (OpenLDAP, 389 Directory Server), by a hexadecimal number in the
// diagnostic message (Active Directory), or by the words of that message (389 Directory Server, FreeIPA). An
// account that may not log in is not taken for a wrong password, and a server's trouble not for either.
//
// The control decides also when the bind succeeded: servers have accepted binds with expired passwords
// (CVE-2022-0996), and one that only lets the user change the password calls that a success.
#include "backends/ldap_answers.hpp"

#include "base/lower_case.hpp"

#include <algorithm>
#include <array>

namespace postern {

namespace {

struct PolicyMeaning {
    PasswordPolicyError error;
    std::string_view reason;
};

constexpr std::array policy_meanings{
    PolicyMeaning{PasswordPolicyError::password_expired, "the password has expired"},
    PolicyMeaning{PasswordPolicyError::account_locked, "the account is locked"},
    PolicyMeaning{PasswordPolicyError::change_after_reset, "the password must be changed first"},
};

/// A result, what must be in the diagnostic message beside it, and what both mean.
struct BindMeaning {
    LdapResult result;
    std::string_view said;
    Verdict verdict;
    std::string_view reason;
};

/// The first that fits counts.
constexpr std::array bind_meanings{
    BindMeaning{LdapResult::success, "", Verdict::accepted, ""},
    BindMeaning{LdapResult::invalid_credentials, ", data 530,", Verdict::barred,
                "the account may not log in at this time"},
    BindMeaning{LdapResult::invalid_credentials, ", data 531,", Verdict::barred,
                "the account may not log in from here"},
    BindMeaning{LdapResult::invalid_credentials, ", data 532,", Verdict::barred, "the password has expired"},
    BindMeaning{LdapResult::invalid_credentials, ", data 533,", Verdict::barred, "the account is disabled"},
    BindMeaning{LdapResult::invalid_credentials, ", data 701,", Verdict::barred, "the account has expired"},
    BindMeaning{LdapResult::invalid_credentials, ", data 773,", Verdict::barred,
                "the password must be changed first"},
    BindMeaning{LdapResult::invalid_credentials, ", data 775,", Verdict::barred, "the account is locked"},
    BindMeaning{LdapResult::invalid_credentials, "", Verdict::rejected, "wrong password"},
    BindMeaning{LdapResult::unwilling_to_perform, "inactivated", Verdict::barred, "the account is disabled"},
    BindMeaning{LdapResult::unwilling_to_perform, "too many failed logins", Verdict::barred,
                "the account is locked"},
    BindMeaning{LdapResult::unwilling_to_perform, "permanently locked", Verdict::barred,
                "the account is locked"},
    BindMeaning{LdapResult::unwilling_to_perform, "principal) is expired", Verdict::barred,
                "the account has expired"},
    BindMeaning{LdapResult::constraint_violation, "retry limit", Verdict::barred, "the account is locked"},
    BindMeaning{LdapResult::inappropriate_authentication, "", Verdict::rejected, "the user has no password"},
    BindMeaning{LdapResult::no_such_object, "", Verdict::rejected, "there is no such DN"},
    BindMeaning{LdapResult::invalid_dn_syntax, "", Verdict::rejected, "the name makes no DN"},
};

struct ResultName {
    LdapResult result;
    std::string_view name;
};

constexpr std::array result_names{
    ResultName{LdapResult::success, "success"},
    ResultName{LdapResult::operations_error, "operations error"},
    ResultName{LdapResult::time_limit_exceeded, "time limit exceeded"},
    ResultName{LdapResult::size_limit_exceeded, "size limit exceeded"},
    ResultName{LdapResult::compare_false, "compare false"},
    ResultName{LdapResult::compare_true, "compare true"},
    ResultName{LdapResult::referral, "referral"},
    ResultName{LdapResult::admin_limit_exceeded, "admin limit exceeded"},
    ResultName{LdapResult::no_such_attribute, "no such attribute"},
    ResultName{LdapResult::constraint_violation, "constraint violation"},
    ResultName{LdapResult::no_such_object, "no such object"},
    ResultName{LdapResult::invalid_dn_syntax, "invalid DN syntax"},
    ResultName{LdapResult::inappropriate_authentication, "inappropriate authentication"},
    ResultName{LdapResult::invalid_credentials, "invalid credentials"},
    ResultName{LdapResult::insufficient_access, "insufficient access"},
    ResultName{LdapResult::busy, "busy"},
    ResultName{LdapResult::unavailable, "unavailable"},
    ResultName{LdapResult::unwilling_to_perform, "unwilling to perform"},
};

/// Servers differ in the case of what they say.
bool says(std::string_view diagnostic, std::string_view words)
{
    return std::search(diagnostic.begin(), diagnostic.end(), words.begin(), words.end(),
                       [](char a, char b) { return lower(a) == lower(b); }) != diagnostic.end() ||
           words.empty();
}

bool decides_by_policy(LdapResult result)
{
    return result == LdapResult::success || result == LdapResult::invalid_credentials;
}

} // namespace

Decision decide_bind(const LdapAnswer& answer)
{
    const bool was_right = answer.result == LdapResult::success;
    if (answer.policy_error && decides_by_policy(answer.result)) {
        const auto* const meaning =
            std::ranges::find(policy_meanings, *answer.policy_error, &PolicyMeaning::error);
        const bool is_known = meaning != policy_meanings.end();
        return {Verdict::barred, std::string{is_known ? meaning->reason : "the password policy"}, was_right};
    }
    const auto* const meaning = std::ranges::find_if(bind_meanings, [&](const BindMeaning& candidate) {
        return candidate.result == answer.result && says(answer.diagnostic, candidate.said);
    });
    if (meaning == bind_meanings.end())
        return {Verdict::unavailable, "the user's bind: " + answer_text(answer)};
    return {meaning->verdict, std::string{meaning->reason}};
}

bool is_server_fault(LdapResult result) noexcept
{
    return result == LdapResult::busy || result == LdapResult::unavailable || result == LdapResult::other;
}

bool is_server_limit(LdapResult result) noexcept
{
    return result == LdapResult::time_limit_exceeded || result == LdapResult::admin_limit_exceeded;
}

std::string answer_text(const LdapAnswer& answer)
{
    const auto* const found = std::ranges::find(result_names, answer.result, &ResultName::result);
    const auto name = found == result_names.end() ? std::string_view{"result"} : found->name;
    std::string text = std::string{name} + " (" + std::to_string(static_cast<unsigned>(answer.result)) + ')';
    if (!answer.diagnostic.empty() && !answer.repeats_password)
        text += ": " + answer.diagnostic;
    return text;
}

} // namespace postern
