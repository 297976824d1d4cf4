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
/// stays, its target is replaced; a file with two names (hard links) is refused. Root writes in no directory
/// that others can write to. All throw SasldbError.
///
/// An LMDB file is changed in place, by a transaction that waits for liblmdb's other writers however long
/// they take. A file that is made is a Berkeley file, so that Debian's libsasl2 reads it.
///
/// A user has one of password, verifier and hash: whichever is set, the others go, and what libsasl2 of old
/// kept for single mechanisms too.
namespace postern {

inline constexpr std::chrono::milliseconds sasldb_patience = std::chrono::seconds{5};

enum class SasldbChange : std::uint8_t { created, changed };

/// Gives `user` in `realm` that password as it is, in a database that is made when there is none.
SasldbChange set_sasldb_password(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password,
                                 std::chrono::milliseconds patience = sasldb_patience);

/// The same, but what is stored is a verifier for SCRAM-SHA-256. Throws what ScramVerifier::make() does too.
SasldbChange set_sasldb_scram(const std::string& path, std::string_view user, std::string_view realm,
                              const Secret& password, std::chrono::milliseconds patience = sasldb_patience);

/// The same, but what is stored is the password's Argon2id hash. Throws std::bad_alloc too.
SasldbChange set_sasldb_argon2id(const std::string& path, std::string_view user, std::string_view realm,
                                 const Secret& password,
                                 std::chrono::milliseconds patience = sasldb_patience);

/// Takes password, verifier and hash away from `user` in `realm`. False: there was none, and nothing was
/// changed.
[[nodiscard]] bool delete_sasldb_password(const std::string& path, std::string_view user,
                                          std::string_view realm,
                                          std::chrono::milliseconds patience = sasldb_patience);

} // namespace postern
