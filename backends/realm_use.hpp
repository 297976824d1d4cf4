// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/option_rules.hpp"

#include <cstdint>

namespace postern {

/// What a backend makes of the realm of a login. One that makes nothing of it takes the password of alice for
/// that of alice in any realm, and who logs in by the Dovecot protocol names the realm himself.
///
/// In their order: each looks at the realm wherever those before it do.
enum class RealmUse : std::uint8_t {
    never,             ///< it cuts off what stands behind the @ of the user
    in_user,           ///< as a part of the user, where join_realm has put it
    beside_plain_user, ///< also as the realm, unless the user has an @ of its own
    always,
};

/// Pure: the use that a backend with these options makes of it.
using RealmRule = RealmUse (*)(const BackendOptions& options);

[[nodiscard]] RealmUse uses_realm_always(const BackendOptions& options) noexcept;

/// By the tokens of its templates. Whether a filter has a way around them, as `(|(uid=%u)(mail=%u@%r))`
/// has, is not known.
[[nodiscard]] RealmUse ldap_realm_use(const BackendOptions& options);

} // namespace postern
