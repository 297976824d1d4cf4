// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

/// Writers of a sasldb.
///
/// The file is replaced whole: readers see the old one or the new one, and an error leaves the old one as it
/// was. Owner, mode, access list and every other entry are kept. Writers of ours wait for each other, for
/// `patience` at most. saslpasswd2 takes no lock: what it has written is kept, but it loses its change when
/// it is writing to the old file at the very moment in which the new one takes its place. A symbolic link
/// stays, its target is replaced. All throw SasldbError.
namespace postern {

inline constexpr std::chrono::milliseconds sasldb_patience = std::chrono::seconds{5};

enum class SasldbChange : std::uint8_t { created, changed };

/// Gives `user` in `realm` that password as it is, in a database that is made when there is none. The hash of
/// an earlier one goes.
SasldbChange set_sasldb_password(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password,
                                 std::chrono::milliseconds patience = sasldb_patience);

/// The same, but what is stored is the password's Argon2id hash, and the password as it was goes. Throws
/// std::bad_alloc too.
SasldbChange set_sasldb_argon2id(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password,
                                 std::chrono::milliseconds patience = sasldb_patience);

/// Takes password and hash away from `user` in `realm`. False: there was neither, and nothing was changed.
[[nodiscard]] bool delete_sasldb_password(const std::string& path, std::string_view user,
                                          std::string_view realm,
                                          std::chrono::milliseconds patience = sasldb_patience);

} // namespace postern
