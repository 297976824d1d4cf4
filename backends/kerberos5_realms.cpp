// SPDX-License-Identifier: BSD-2-Clause
#include "backends/kerberos5_realms.hpp"

#include <profile.h>

#include <array>

namespace postern::kerberos5 {

namespace {

/// What krb5.conf says, as libkrb5 has read it.
class Profile {
public:
    explicit Profile(const Context& context) : context_{context}
    {
        context.must("krb5_get_profile", ::krb5_get_profile(context.get(), &profile_));
    }
    Profile(const Profile&) = delete;
    Profile& operator=(const Profile&) = delete;
    ~Profile() { ::profile_release(profile_); }

    /// Whether the section has a subsection of that name, or where `by_value` a relation with that value.
    [[nodiscard]] bool has(const char* section, std::string_view wanted, bool by_value) const
    {
        std::array<const char*, 2> path{section, nullptr};
        void* place = nullptr;
        context_.must("profile_iterator_create",
                      static_cast<krb5_error_code>(::profile_iterator_create(
                          profile_, path.data(),
                          PROFILE_ITER_LIST_SECTION |
                              (by_value ? PROFILE_ITER_RELATIONS_ONLY : PROFILE_ITER_SECTIONS_ONLY),
                          &place)));
        bool is_found = false;
        while (place != nullptr && !is_found) { // behind the last entry libkrb5 frees the place
            char* name = nullptr;
            char* value = nullptr;
            const auto answer = static_cast<krb5_error_code>(::profile_iterator(&place, &name, &value));
            const char* const text = by_value ? value : name;
            is_found = answer == 0 && text != nullptr && text == wanted;
            ::profile_release_string(name);
            ::profile_release_string(value);
            if (answer != 0)
                ::profile_iterator_free(&place);
            context_.must("profile_iterator", answer);
        }
        ::profile_iterator_free(&place);
        return is_found;
    }

private:
    const Context& context_;
    profile_t profile_ = nullptr;
};

/// Whether krb5.conf has a section for it, or hosts of it.
bool is_listed_realm(const Context& context, std::string_view realm)
{
    const Profile profile{context};
    return profile.has("realms", realm, false) || profile.has("domain_realm", realm, true);
}

bool is_default_realm(const Context& context, std::string_view realm)
{
    char* name = nullptr;
    context.must("krb5_get_default_realm", ::krb5_get_default_realm(context.get(), &name));
    const bool is_it = name == realm;
    ::krb5_free_default_realm(context.get(), name);
    return is_it;
}

} // namespace

bool is_realm_of_the_admin(const Context& context, std::string_view realm)
{
    return is_listed_realm(context, realm) || is_default_realm(context, realm);
}

} // namespace postern::kerberos5
