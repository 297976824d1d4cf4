// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <string>
#include <string_view>

/// Passwords kept as hashes: libcrypt's, as /etc/shadow has them (crypt(3), crypt(5), shadow(5)), and
/// Argon2id's (RFC 9106) as libsodium spells them.
///
/// Blocks for as long as the hash costs, milliseconds to seconds. Any thread. That a hash could not be
/// computed for want of memory is an outage and not a wrong password: std::bad_alloc.
namespace postern {

/// Whether `stored`, the field of a shadow or passwd file as it stands there, is the hash of the password.
///
/// Never for a field that is no hash of a method this host knows: empty, locked (`!…`, `*…`), `x`, cut,
/// unknown. Such a field costs as much as spend_crypt(), so that time does not tell who is locked.
[[nodiscard]] bool crypt_matches(std::string_view stored, const Secret& password);

/// Costs what a check with the host's default method does: for a user whom nobody knows.
void spend_crypt(const Secret& password) noexcept;

/// A new hash of the password under a salt of its own. Throws std::bad_alloc.
[[nodiscard]] std::string make_argon2id(const Secret& password);

/// Whether `stored` is a hash of make_argon2id() for that password; any costs will do.
[[nodiscard]] bool argon2id_matches(std::string_view stored, const Secret& password);

/// The same of a hash that others have made: Argon2id's or Argon2i's, as their reference implementation
/// spells them.
[[nodiscard]] bool argon2_matches(std::string_view stored, const Secret& password);

/// Costs what a check of a hash from make_argon2id() does.
void spend_argon2id(const Secret& password) noexcept;

} // namespace postern
