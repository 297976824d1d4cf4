// SPDX-License-Identifier: BSD-2-Clause
#include "backends/ldap_problems.hpp"

#include "backends/ldap_connection.hpp"

namespace postern {

void check_answer(const LdapAnswer& answer, const std::string& what)
{
    if (is_server_fault(answer.result))
        throw ServerProblem{what + answer_text(answer)};
    if (is_server_limit(answer.result))
        throw Unasked{what + answer_text(answer)};
}

void check_search(const LdapFound& found, const std::string& what)
{
    check_answer(found.answer, what);
    if (found.entries > 0)
        return;
    if (found.answer.result == LdapResult::size_limit_exceeded)
        throw Unasked{what + answer_text(found.answer)};
    if (!found.is_whole)
        throw Unasked{what + "a server that it refers to could not be asked"};
}

} // namespace postern
