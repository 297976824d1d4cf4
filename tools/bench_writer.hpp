// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/secret.hpp"
#include "tools/bench_logins.hpp"
#include "tools/login_outcome.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace postern {

/// Writes the logins of a load as they go on the wire, into memory of whoever makes them.
///
/// All users have one password; the wrong one is that with a letter behind it. Threads may share a writer.
/// What is written has a password in it. Throws std::length_error when a login does not fit.
class BenchWriter {
public:
    static constexpr std::size_t memory_bytes = 2 * login_bytes_max; ///< a login, and what it is made from

    /// `secrets` outlives the writer, and has a free slot.
    BenchWriter(std::string service, std::string realm, const Secret& password, SecretArena& secrets);

    /// A request of saslauthd's protocol.
    [[nodiscard]] std::string_view saslauthd_request(std::span<char> memory, const BenchLogin& login) const;

    /// A login by PLAIN over Dovecot's, said to come from an encrypted connection.
    [[nodiscard]] std::string_view dovecot_auth(std::span<char> memory, std::uint32_t id,
                                                const BenchLogin& login) const;

private:
    [[nodiscard]] std::string_view password_for(const BenchLogin& login) const;
    std::string_view plain_message(std::span<char> memory, const BenchLogin& login) const;

    std::string service_;
    std::string realm_;
    Secret password_; ///< the wrong one, which the right one begins
};

} // namespace postern
