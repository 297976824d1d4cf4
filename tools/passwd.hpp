// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

#include <string>
#include <string_view>

namespace postern {

/// Who is given a password: a user in a realm.
struct AccountName {
    std::string user;
    std::string realm;
};

/// USER, or USER@REALM split at the last @; nothing behind it counts as no realm. Without one: that of the
/// flag, else the host's name, which is where saslauthd looks for a login without a realm. Throws UsageError
/// when both name a realm, or nobody is named.
[[nodiscard]] AccountName parse_account_name(std::string_view text, std::string_view realm_flag);

/// `postern passwd`: creates, changes or deletes one password of a sasldb, and says which. What is stored is
/// a verifier for SCRAM-SHA-256, which Cyrus SASL reads too; with --argon2 a hash that only Postern can
/// check; with --plain the password as it is.
///
/// The password comes from the terminal, asked for twice, or is one line from a pipe; never an argument.
int run_passwd(Arguments arguments);

} // namespace postern
