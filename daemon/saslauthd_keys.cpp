// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/saslauthd_keys.hpp"

#include "base/spelling.hpp"
#include "daemon/config_values.hpp"

#include <algorithm>
#include <array>

namespace postern {

namespace {

/// Whose keys those with such a beginning are.
struct KeyOwner {
    std::string_view beginning;
    std::string_view type;
};

constexpr std::array owners{
    KeyOwner{"ldap_", "ldap"},
    KeyOwner{"krb5_", "kerberos5"},
    KeyOwner{"httpform_", "httpform"},
};

constexpr std::string_view instance_beginning = "krb5_";
constexpr std::string_view instance_end = "_instance";

/// Keys that people write, and that nobody has ever read.
struct WrongKey {
    std::string_view key;
    std::string_view instead;
};

constexpr std::array wrong_keys{
    WrongKey{"ldap_starttls", "ldap_start_tls: yes"},
    WrongKey{"ldap_tls", "ldap_start_tls: yes"},
    WrongKey{"ldap_ssl", "ldap_start_tls: yes, or ldaps:// in ldap_servers"},
    WrongKey{"ldap_port", "the port in ldap_servers: ldap://HOST:PORT/"},
    WrongKey{"ldap_host", "ldap_servers: ldap://HOST/"},
    WrongKey{"ldap_uri", "ldap_servers: ldap://HOST/"},
    WrongKey{"ldap_base", "ldap_search_base"},
};

} // namespace

bool SaslauthdKeys::has_type(std::string_view name) const noexcept
{
    return std::ranges::any_of(types_, [name](const BackendType* type) { return type->name == name; });
}

const BackendOption* SaslauthdKeys::find(std::string_view key) const noexcept
{
    for (const BackendType* const type : types_)
        if (const BackendOption* const option = find_option(*type, key))
            return option;
    return nullptr;
}

std::optional<std::string> SaslauthdKeys::service_of(std::string_view key) const
{
    if (find(instances_key) == nullptr || key.size() <= instance_beginning.size() + instance_end.size() ||
        !key.starts_with(instance_beginning) || !key.ends_with(instance_end))
        return std::nullopt;
    key.remove_prefix(instance_beginning.size());
    key.remove_suffix(instance_end.size());
    return std::string{key};
}

bool SaslauthdKeys::is_for_others(std::string_view key) const noexcept
{
    return std::ranges::any_of(owners, [this, key](const KeyOwner& owner) {
        return key.starts_with(owner.beginning) && !has_type(owner.type);
    });
}

bool SaslauthdKeys::looks_like_one(std::string_view key) noexcept
{
    return std::ranges::any_of(owners,
                               [key](const KeyOwner& owner) { return key.starts_with(owner.beginning); });
}

std::string SaslauthdKeys::advice_on(std::string_view key) const
{
    const auto* const wrong = std::ranges::find(wrong_keys, key, &WrongKey::key);
    if (wrong != wrong_keys.end() && has_type("ldap"))
        return std::string{"; write "}.append(wrong->instead);
    std::vector<std::string> known;
    for (const BackendType* const type : types_)
        for (const BackendOption& option : type->options)
            known.emplace_back(option.key);
    return did_you_mean(std::string{key}, known);
}

} // namespace postern
