// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

/// What the supervisor and the front say to each other after the set-up: one message is one datagram of
/// their channel, of a few bytes, without any text. The supervisor runs as root, and the front reads every
/// byte that strangers send; so nothing longer than a number goes this way.
namespace postern {

/// Names a worker for as long as its front lives. The front chooses it.
using WorkerId = std::uint32_t;

constexpr std::size_t supervisor_message_bytes_max = 16;

/// front → supervisor: the sockets are being served.
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

/// front → supervisor: its channel is closed, so it is of no use any more; see that it ends.
struct ReleaseWorker {
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

using FrontMessage =
    std::variant<FrontReady, StartWorker, KillWorker, ReleaseWorker, NeedSyslog, RefusedCall, Pong>;

/// supervisor → front: comes with the front's end of the worker's channel.
struct WorkerStarted {
    WorkerId worker = 0;
};

/// supervisor → front: the process is gone, or could not be started.
struct WorkerEnded {
    WorkerId worker = 0;
};

/// supervisor → front: comes with a socket connected to the syslog daemon, or without when none listens.
struct SyslogSocket {};

/// supervisor → front: answered by Pong, unless the front hangs.
struct Ping {};

/// supervisor → front: accept nothing more, finish what is in flight, end.
struct Finish {};

using SupervisorMessage = std::variant<WorkerStarted, WorkerEnded, SyslogSocket, Ping, Finish>;

[[nodiscard]] std::string_view write_front_message(std::span<char> memory, const FrontMessage& message);
[[nodiscard]] std::string_view write_supervisor_message(std::span<char> memory,
                                                        const SupervisorMessage& message);

/// Nothing when the bytes are not such a message, to the last byte.
[[nodiscard]] std::optional<FrontMessage> parse_front_message(std::string_view bytes) noexcept;
[[nodiscard]] std::optional<SupervisorMessage> parse_supervisor_message(std::string_view bytes) noexcept;

} // namespace postern
