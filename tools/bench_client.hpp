// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/event_loop.hpp"
#include "tools/bench_tally.hpp"
#include "tools/bench_writer.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace postern {

/// One of the clients that make a load: does a login at a time, and never waits.
///
/// Of saslauthd's protocol it opens a connection for each, as libsasl2 does; of Dovecot's it keeps one, as
/// Postfix does.
class BenchClient {
public:
    enum class Begun : std::uint8_t {
        yes,     ///< the end of the login will be told
        not_yet, ///< the daemon's queue is full: try again
        lost,    ///< there is no way to the daemon; nothing will be told
    };

    BenchClient(const BenchClient&) = delete;
    BenchClient& operator=(const BenchClient&) = delete;
    virtual ~BenchClient() = default;

    /// What can be done before the first login.
    virtual void prepare() {}

    [[nodiscard]] virtual Begun begin(const BenchLogin& login) = 0;

    /// The login that was begun is over, and nothing will be told of it.
    virtual void give_up() = 0;

protected:
    BenchClient() = default;
};

enum class BenchProtocol : std::uint8_t { saslauthd, dovecot };

/// `ended` is called from the loop. All that is lent outlives the client.
[[nodiscard]] std::unique_ptr<BenchClient> make_bench_client(EventLoop& loop, BenchProtocol protocol,
                                                             const std::string& socket, BenchWriter& writer,
                                                             std::function<void(BenchAnswer)> ended);

} // namespace postern
