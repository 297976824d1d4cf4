// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

/// What the supervisor and the front say to each other after the set-up: one message is one datagram of
/// their channel, of a few bytes, and without any text on the way to the supervisor. The supervisor runs as
/// root, and the front reads every byte that strangers send; so nothing longer than two numbers goes to the
/// supervisor.
namespace postern {

/// Names a worker for as long as its front lives. The front chooses it.
using WorkerId = std::uint32_t;

constexpr std::size_t front_message_bytes_max = 16;
constexpr std::size_t supervisor_message_bytes_max = 8192; ///< a longer problem is cut

/// front → supervisor: every backend has had a worker that can work.
struct FrontReady {};

/// front → supervisor: start a worker of that backend; answered by WorkerStarted or WorkerEnded.
struct StartWorker {
    std::uint16_t backend = 0; ///< index into Config::backends
    WorkerId worker = 0;
};

/// front → supervisor: it is past its deadline, or it lies.
struct KillWorker {
    WorkerId worker = 0;
};

/// front → supervisor: it closed its channel, so it is of no use any more; see that it ends.
struct ReleaseWorker {
    WorkerId worker = 0;
};

/// front → supervisor: nobody asks it any more, and its channel is closed; see that it ends.
struct RetireWorker {
    WorkerId worker = 0;
};

/// front → supervisor: the syslog daemon has gone away; answered by SyslogSocket.
struct NeedSyslog {};

/// front → supervisor: the last words of a front whose filter refused it a system call.
struct RefusedCall {
    std::uint32_t number = 0;
};

/// front → supervisor: still turning; the answer to Ping.
struct Pong {};

/// front → supervisor: it accepts nothing more; the answer to Finish.
struct Finishing {};

/// front → supervisor: the admin wants the configuration read again; answered by ReloadEnded.
struct Reload {
    std::uint32_t request = 0; ///< the front's number for it
};

using FrontMessage = std::variant<FrontReady, StartWorker, KillWorker, ReleaseWorker, RetireWorker,
                                  NeedSyslog, RefusedCall, Pong, Finishing, Reload>;

/// supervisor → front: comes with the front's end of the worker's channel and the giver's side of its
/// queue of tasks: a socket and a page.
struct WorkerStarted {
    WorkerId worker = 0;
    std::uint32_t pid = 0;
};

/// supervisor → front: the process is gone, or could not be started.
struct WorkerEnded {
    WorkerId worker = 0;
};

/// supervisor → front: comes with a socket connected to the syslog daemon, or without when none listens.
struct SyslogSocket {};

/// supervisor → front: answered by Pong, unless the front hangs.
struct Ping {};

/// supervisor → front: open to peers; said to a front that was told to wait for it.
struct Open {};

/// supervisor → front: accept nothing more, finish what is in flight, end.
struct Finish {
    bool is_stop = false; ///< the daemon ends: peers that are slow to ask are not waited for
};

/// supervisor → front: the new configuration is in force, or the old one still is. The one message of this
/// channel with a text, which goes from the trusted side to the other.
struct ReloadEnded {
    std::uint32_t request = 0; ///< of Reload
    std::string problem;       ///< empty: the new one is in force
};

using SupervisorMessage =
    std::variant<WorkerStarted, WorkerEnded, SyslogSocket, Ping, Open, Finish, ReloadEnded>;

[[nodiscard]] std::string_view write_front_message(std::span<char> memory, const FrontMessage& message);
[[nodiscard]] std::string_view write_supervisor_message(std::span<char> memory,
                                                        const SupervisorMessage& message);

/// Nothing when the bytes are not such a message, to the last byte.
[[nodiscard]] std::optional<FrontMessage> parse_front_message(std::string_view bytes) noexcept;
[[nodiscard]] std::optional<SupervisorMessage> parse_supervisor_message(std::string_view bytes);

} // namespace postern
