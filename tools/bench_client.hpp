// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/bench_tally.hpp"
#include "tools/bench_writer.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace postern {

/// What threads write shares no line of the processor's cache with what others use.
inline constexpr std::size_t cache_line_bytes = 64;

/// One of the clients that make a load: does a login at a time and blocks meanwhile, as the processes of a
/// mail host do.
///
/// Of saslauthd's protocol it opens a connection for each, as libsasl2 does; of Dovecot's it keeps one, as
/// Postfix does. It is made and ended by the thread that has the secrets, and may live in another one.
class alignas(cache_line_bytes) BenchClient {
public:
    BenchClient(const BenchClient&) = delete;
    BenchClient& operator=(const BenchClient&) = delete;
    virtual ~BenchClient() = default;

    /// What can be done before the first login. Throws as log_in().
    virtual void prepare() {}

    /// From its beginning to its end. Throws std::system_error when the system has no socket for it,
    /// std::length_error when no request can hold the login.
    [[nodiscard]] virtual BenchAnswer log_in(const BenchLogin& login) = 0;

protected:
    BenchClient() = default;
};

enum class BenchProtocol : std::uint8_t { saslauthd, dovecot };

/// A client waits as long as it is made to. When a signal interrupts it, `gives_up` is asked, in its thread,
/// whether the login is lost. All that is lent outlives the client, which takes a slot of the secrets.
[[nodiscard]] std::unique_ptr<BenchClient> make_bench_client(BenchProtocol protocol,
                                                             const std::string& socket,
                                                             const BenchWriter& writer, SecretArena& secrets,
                                                             std::function<bool()> gives_up);

} // namespace postern
