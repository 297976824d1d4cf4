// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_group.hpp"

#include "backends/backend.hpp"
#include "backends/ldap_problems.hpp"

namespace postern {

namespace {

Decision not_in_group(const std::string& reason)
{
    return {Verdict::barred, reason, true};
}

/// A group that is missing is the admin's mistake, unless its name depends on who logs in.
Decision without_group(const LdapTemplate& named, const LdapAnswer& answer)
{
    const bool is_missing =
        answer.result == LdapResult::no_such_object || answer.result == LdapResult::invalid_dn_syntax;
    if (is_missing && named.has_tokens())
        return not_in_group("there is no such group");
    check_answer(answer, "the group: ");
    throw BackendError{"the group: " + answer_text(answer)};
}

Decision compare_group(LdapConnection& connection, const LdapSettings& settings, const LdapNames& names)
{
    const LdapAnswer answer =
        connection.compare(settings.group_dn.expand(names), settings.group_attribute, names.user_dn);
    switch (answer.result) {
    case LdapResult::compare_true: return {Verdict::accepted, ""};
    case LdapResult::compare_false:
    case LdapResult::no_such_attribute: return not_in_group("not in the group");
    default: return without_group(settings.group_dn, answer);
    }
}

Decision search_group(LdapConnection& connection, const LdapSettings& settings, const LdapNames& names)
{
    const LdapQuestion question{settings.group.base.expand(names), settings.group.filter.expand(names),
                                settings.group.scope, ""};
    const LdapFound found = connection.search(question, settings.size_limit, {});
    check_search(found, "the group: ");
    switch (found.answer.result) {
    case LdapResult::success:
    case LdapResult::size_limit_exceeded:
        return found.entries > 0 ? Decision{Verdict::accepted, ""} : not_in_group("not in the group");
    default: return without_group(settings.group.base, found.answer);
    }
}

} // namespace

Decision check_ldap_group(LdapConnection& connection, const LdapSettings& settings, const LdapNames& names)
{
    switch (settings.group_check) {
    case LdapGroupCheck::none: break;
    case LdapGroupCheck::attribute: return compare_group(connection, settings, names);
    case LdapGroupCheck::search: return search_group(connection, settings, names);
    }
    return {Verdict::accepted, ""};
}

} // namespace postern
