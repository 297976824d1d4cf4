// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "tools/bench_logins.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace postern {

/// Writes the logins of a load as they go on the wire, each over the one before.
///
/// All users have one password; the wrong one is that with a letter behind it. Throws std::length_error when
/// a login does not fit.
class BenchWriter {
public:
    /// `secrets` outlives the writer, and has three free slots of login_bytes_max.
    BenchWriter(std::string service, std::string realm, Secret password, SecretArena& secrets);

    /// A request of saslauthd's protocol.
    [[nodiscard]] std::string_view saslauthd_request(const BenchLogin& login);

    /// A login by PLAIN over Dovecot's, said to come from an encrypted connection.
    [[nodiscard]] std::string_view dovecot_auth(std::uint32_t id, const BenchLogin& login);

private:
    std::string_view password_for(const BenchLogin& login);
    std::string_view plain_message(const BenchLogin& login);

    std::string service_;
    std::string realm_;
    Secret password_; ///< the wrong one, which the right one begins
    Secret message_;  ///< of PLAIN
    Secret request_;
};

} // namespace postern
