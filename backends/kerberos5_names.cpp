// SPDX-License-Identifier: BSD-2-Clause
//
// A user may name an instance or a realm of his own, and quote with a backslash. What we add is added in
// front of the realm and never behind an open quote. A realm that stands at the end of the user already, as
// the flag -r puts it there, is not added twice.
#include "backends/kerberos5_names.hpp"

#include "backends/backend.hpp"
#include "base/lower_case.hpp"
#include "base/nul_byte.hpp"

namespace postern::kerberos5 {

namespace {

constexpr std::size_t principal_bytes_max = 2047; // nobody has a longer one

bool ends_in_open_quote(std::string_view name)
{
    const std::size_t last_other = name.find_last_not_of('\\');
    return (name.size() - (last_other == std::string_view::npos ? 0 : last_other + 1)) % 2 == 1;
}

} // namespace

std::size_t find_unquoted(std::string_view name, char wanted)
{
    for (std::size_t i = 0; i < name.size(); ++i)
        if (name[i] == '\\')
            ++i;
        else if (name[i] == wanted)
            return i;
    return std::string_view::npos;
}

PrincipalNames::PrincipalNames(std::string_view instances, bool dot_is_slash)
    : instances_{parse_instances(instances)}, dot_is_slash_{dot_is_slash}
{
}

/// Whatever case a service is asked for in, its instance counts.
PrincipalNames::Instances PrincipalNames::parse_instances(std::string_view text)
{
    Instances instances;
    for (const std::string& entry : split_servers(text)) {
        const std::size_t equals = entry.find('=');
        if (equals == std::string::npos || equals == 0 || equals + 1 == entry.size())
            throw BackendError{"krb5_instances: SERVICE=INSTANCE was expected, and not '" + entry + "'"};
        instances.emplace(in_lower_case(entry.substr(0, equals)), entry.substr(equals + 1));
    }
    return instances;
}

/// A user who has a realm, and gets another, is what the parser finds malformed.
std::optional<std::string> PrincipalNames::name_of(const Request& request) const
{
    if (has_nul(request.user) || has_nul(request.realm) || ends_in_open_quote(request.user))
        return std::nullopt;
    const std::size_t at = find_unquoted(request.user, '@');
    std::optional<std::string> name = with_instance(request.user.substr(0, at), request.service);
    if (!name)
        return std::nullopt;
    const std::string_view own_realm =
        at == std::string::npos ? std::string_view{} : std::string_view{request.user}.substr(at);
    *name += own_realm;
    const std::string realm = request.realm.empty() ? "" : '@' + request.realm;
    if (own_realm != realm)
        *name += realm;
    return name->size() <= principal_bytes_max ? name : std::nullopt;
}

/// The user with the instance that the admin wants for the service. Nothing when the user names another.
std::optional<std::string> PrincipalNames::with_instance(std::string user, const std::string& service) const
{
    if (const std::size_t dot = user.find('.'); dot_is_slash_ && dot != std::string::npos)
        user[dot] = '/';
    const auto wanted = instances_.find(in_lower_case(service));
    if (wanted == instances_.end())
        return user;
    const std::size_t slash = find_unquoted(user, '/');
    if (slash == std::string::npos)
        return user + '/' + wanted->second;
    return user.substr(slash + 1) == wanted->second ? std::optional{user} : std::nullopt;
}

} // namespace postern::kerberos5
