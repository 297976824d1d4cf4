// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/normalise.hpp"

#include "base/lower_case.hpp"

#include <utility>

namespace postern {

namespace {

void split_realm(Request& request)
{
    const std::size_t at = request.user.rfind('@');
    if (at == std::string::npos)
        return;
    request.realm = request.user.substr(at + 1);
    request.user.resize(at);
}

void apply(const NameRules& rules, Request& request)
{
    if (rules.splits_realm)
        split_realm(request);
    if (request.realm.empty() || is_default_realm(request.realm, rules))
        request.realm = rules.default_realm;
    if (rules.folds_case) {
        request.user = in_lower_case(request.user);
        request.realm = in_lower_case(request.realm);
    }
    if (rules.joins_realm && !request.realm.empty())
        request.user += '@' + request.realm;
}

std::string account_name(const Request& request, const NameRules& rules)
{
    return request.realm.empty() || rules.joins_realm ? request.user : request.user + '@' + request.realm;
}

} // namespace

NormalisedRequest normalise(Request request, const NameRules& rules)
{
    NormalisedRequest normalised{{}, {}, request.user, request.realm};
    apply(rules, request);
    normalised.account = account_name(request, rules);
    normalised.request = std::move(request);
    return normalised;
}

bool is_default_realm(std::string_view realm, const NameRules& rules) noexcept
{
    return is_same_word(realm, rules.default_realm);
}

} // namespace postern
