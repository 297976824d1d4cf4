// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_answers.hpp"

#include <catch2/catch.hpp>

namespace postern {

namespace {

std::string active_directory(const std::string& data)
{
    return "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data " + data + ", v3839";
}

} // namespace

TEST_CASE("the number of a bind's answer, and what is said beside it, decide", "[ldap]")
{
    const auto [result, said, verdict,
                reason] = GENERATE(table<LdapResult, std::string, Verdict, std::string>({
        {LdapResult::success, "", Verdict::accepted, ""},
        {LdapResult::invalid_credentials, "", Verdict::rejected, "wrong password"},
        {LdapResult::invalid_credentials, active_directory("52e"), Verdict::rejected, "wrong password"},
        {LdapResult::invalid_credentials, active_directory("525"), Verdict::rejected, "wrong password"},
        {LdapResult::invalid_credentials, active_directory("775"), Verdict::barred, "the account is locked"},
        {LdapResult::invalid_credentials, active_directory("533"), Verdict::barred,
         "the account is disabled"},
        {LdapResult::invalid_credentials, active_directory("532"), Verdict::barred,
         "the password has expired"},
        {LdapResult::invalid_credentials, active_directory("701"), Verdict::barred,
         "the account has expired"},
        {LdapResult::invalid_credentials, active_directory("773"), Verdict::barred,
         "the password must be changed first"},
        {LdapResult::invalid_credentials, active_directory("530"), Verdict::barred,
         "the account may not log in at this time"},
        {LdapResult::unwilling_to_perform, "Account inactivated. Contact system administrator.",
         Verdict::barred, "the account is disabled"},
        {LdapResult::unwilling_to_perform, "Too many failed logins.\n", Verdict::barred,
         "the account is locked"},
        {LdapResult::unwilling_to_perform, "Entry permanently locked.\n", Verdict::barred,
         "the account is locked"},
        {LdapResult::unwilling_to_perform, "Account (Kerberos principal) is expired", Verdict::barred,
         "the account has expired"},
        {LdapResult::constraint_violation, "Exceed password retry limit. Please try later.", Verdict::barred,
         "the account is locked"},
        {LdapResult::inappropriate_authentication, "", Verdict::rejected, "the user has no password"},
        {LdapResult::no_such_object, "", Verdict::rejected, "there is no such DN"},
        {LdapResult::invalid_dn_syntax, "", Verdict::rejected, "the name makes no DN"},
    }));
    CAPTURE(said);
    const Decision decision = decide_bind({result, said});
    CHECK(decision.verdict == verdict);
    CHECK(decision.reason == reason);
    CHECK_FALSE(decision.password_was_right);
}

TEST_CASE("no other answer says anything about a password", "[ldap]")
{
    for (unsigned code = 1; code < 0x1000; ++code) {
        const auto result = static_cast<LdapResult>(code);
        if (result == LdapResult::invalid_credentials || result == LdapResult::inappropriate_authentication ||
            result == LdapResult::no_such_object || result == LdapResult::invalid_dn_syntax)
            continue;
        CAPTURE(code);
        CHECK(decide_bind({result, "something else"}).verdict == Verdict::unavailable);
        CHECK(decide_bind({result, "", PasswordPolicyError::account_locked}).verdict == Verdict::unavailable);
    }
}

TEST_CASE("the password policy bars whoever it names, also when the bind succeeded", "[ldap]")
{
    const auto [error, reason] = GENERATE(table<PasswordPolicyError, std::string>({
        {PasswordPolicyError::password_expired, "the password has expired"},
        {PasswordPolicyError::account_locked, "the account is locked"},
        {PasswordPolicyError::change_after_reset, "the password must be changed first"},
    }));
    for (const LdapResult result : {LdapResult::success, LdapResult::invalid_credentials}) {
        const Decision decision = decide_bind({result, "", error});
        CHECK(decision.verdict == Verdict::barred);
        CHECK(decision.reason == reason);
        CHECK(decision.password_was_right == (result == LdapResult::success));
    }
}

TEST_CASE("an answer is a text for the log, with what the server said", "[ldap]")
{
    CHECK(answer_text({LdapResult::busy, "too many"}) == "busy (51): too many");
    CHECK(answer_text({static_cast<LdapResult>(99)}) == "result (99)");
}

TEST_CASE("what a server repeats of a password decides, and is in no text", "[ldap]")
{
    const LdapAnswer barred{LdapResult::invalid_credentials, active_directory("533"), {}, true};
    CHECK(decide_bind(barred).reason == "the account is disabled");
    CHECK(answer_text({LdapResult::busy, "too many", {}, true}) == "busy (51)");
    CHECK(decide_bind({LdapResult::busy, "too many", {}, true}).reason.find("many") == std::string::npos);
}

} // namespace postern
