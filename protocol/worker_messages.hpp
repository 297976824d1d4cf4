// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/log.hpp"
#include "base/secret.hpp"
#include "protocol/request.hpp"
#include "protocol/scram_challenge.hpp"
#include "protocol/verdict.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

/// What a front and a worker say to each other: one message is one datagram of their channel.
///
/// Binary and length-prefixed, so that no byte in a user name can end a field (protocol/README.md has the
/// layout). Both sides parse as if the other were hostile: a worker runs foreign libraries.
namespace postern {

/// The most bytes of any message on this channel, for fields of `field_bytes_max`. A question has seven
/// fields, a user that -r has made of two, a transcript and a salt; a worker's texts are cut.
/// Realms and addresses may be longer than short fields are.
[[nodiscard]] constexpr std::size_t worker_message_bytes_max(std::size_t field_bytes_max) noexcept
{
    return 64 + 8 * (2 + std::max<std::size_t>(field_bytes_max, 256)) + 2 + transcript_bytes_max + 2 +
           scram_salt_bytes;
}

/// front → worker: a request. `id` comes back with the answer.
struct Question {
    std::uint64_t id = 0;
    std::chrono::milliseconds time_left{}; ///< until nobody waits for the answer any more
    std::uint32_t servers_left_alone = 0;  ///< a bit for each server of the backend that is not to be asked
    Request request;
};

/// front → worker: can the server be asked that is not left alone? The answer is accepted or unavailable.
struct Probe {
    std::uint64_t id = 0;
    std::chrono::milliseconds time_left{};
    std::uint32_t servers_left_alone = 0;

    bool operator==(const Probe&) const = default;
};

/// front → worker: do ahead of time what the next request will need. Answered by WorkerReady.
struct Prepare {
    std::chrono::milliseconds time_left{};
    std::uint32_t servers_left_alone = 0;

    bool operator==(const Prepare&) const = default;
};

using WorkerTask = std::variant<Question, Probe, Prepare>;

[[nodiscard]] std::string_view write_question(std::span<char> memory, std::uint64_t id,
                                              std::chrono::milliseconds time_left,
                                              std::uint32_t servers_left_alone, const Request& request);
[[nodiscard]] std::string_view write_probe(std::span<char> memory, const Probe& probe);
[[nodiscard]] std::string_view write_prepare(std::span<char> memory, const Prepare& prepare);

/// Nothing when the bytes are none of them. The password of a question goes into a slot of `arena`; throws
/// std::bad_alloc when none is free.
[[nodiscard]] std::optional<WorkerTask> parse_worker_task(std::string_view bytes, SecretArena& arena);

/// worker → front: loaded, or prepared, and waiting for its next task; or, between two tasks, once: it would
/// prepare again, if it may.
struct WorkerReady {
    bool reads_any_file = false; ///< it kept CAP_DAC_READ_SEARCH, since its account could not open its files
    bool must_prepare = false;   ///< not yet: it waits to be told Prepare, and says this again then
};

/// worker → front: what the backend found.
struct Answer {
    std::uint64_t id = 0;
    Decision decision;
    bool must_prepare = false; ///< before it can be asked again
};

/// worker → front: that server could not be asked.
struct ServerFailed {
    std::uint8_t server = 0; ///< its place among the servers of the backend
    std::string problem;     ///< for the log and the status
    bool is_certain = true;  ///< or it may be well, and this was because of who asked
};

/// worker → front: it is out of date, and ends; somebody else must be asked.
struct HandBack {
    std::uint64_t id = 0; ///< of the question
};

/// worker → front: a line for the log, which the worker has no access to.
struct WorkerLogLine {
    LogLevel level = LogLevel::error;
    std::string text;
    LogOrigin origin = LogOrigin::postern;
};

using WorkerMessage = std::variant<WorkerReady, Answer, HandBack, WorkerLogLine, ServerFailed>;

/// Texts over 1024 bytes are cut.
[[nodiscard]] std::string_view write_worker_message(std::span<char> memory, const WorkerMessage& message);

/// Nothing when the bytes are not a message of a worker, or name a verdict, a severity, an
/// origin or a server that cannot be.
[[nodiscard]] std::optional<WorkerMessage> parse_worker_message(std::string_view bytes);

} // namespace postern
