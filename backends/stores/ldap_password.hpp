// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <string_view>

namespace postern {

/// Whether `stored`, a value of userPassword as directories have it (RFC 2307), is that of the password:
/// {CRYPT} and {UNIX}, {MD5}, {SHA}, {SHA256}, {SHA384}, {SHA512}, the same with salt ({SMD5}, {SSHA}, …),
/// {ARGON2}, {PBKDF2} and {PBKDF2-SHA1}, -SHA256, -SHA512 as OpenLDAP writes them, {CLEARTEXT}, or the
/// password as it is.
///
/// A scheme that is none of these is matched by nothing: taken as it is, the hash would be the password.
///
/// Blocks for as long as the hash costs. Throws std::bad_alloc when it could not be computed for want of
/// memory, and what digest.hpp says.
[[nodiscard]] bool ldap_password_matches(std::string_view stored, const Secret& password);

} // namespace postern
