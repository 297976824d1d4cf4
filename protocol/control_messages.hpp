// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "protocol/status.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

/// The control socket: one JSON object (RFC 8259) on a line is a request, and the answer is another.
///
///     {"version":1,"command":"status"}        {"version":1,"ok":true,"status":{…}}
///     {"version":1,"command":"reload"}        {"version":1,"ok":true}
///     {"version":1,"command":"finish"}        {"version":1,"ok":false,"problem":"…"}
///     {"version":1,"command":"flush",
///      "user":"bob"}                          {"version":1,"ok":true,"flushed":1}
///
/// Root alone reaches the socket. The texts in it come from strangers in part: bytes that are not UTF-8 are
/// replaced, never passed on and never thrown about.
namespace postern::control {

inline constexpr int version = 1;
inline constexpr std::size_t request_bytes_max = 4096;
inline constexpr std::size_t reply_bytes_max = 4 * 1024 * 1024; ///< for whoever reads one

enum class Command : std::uint8_t {
    status,
    reload, ///< read the configuration again
    finish, ///< serve who has connected, and end: another daemon takes over
    flush,  ///< forget logins that are kept
};

/// The logins of a user, as "bob" or "bob@example.org"; those of a realm; or, with neither, all.
struct Whose {
    std::string user{};
    std::string realm{};

    bool operator==(const Whose&) const = default;
};

struct Request {
    Request(Command asked, Whose meant = {}) : command{asked}, whose{std::move(meant)} {}

    Command command;
    Whose whose; ///< of a flush

    bool operator==(const Request&) const = default;
};

[[nodiscard]] std::string_view command_text(Command command) noexcept;

/// A line with its newline.
[[nodiscard]] std::string write_request(const Request& request);

/// The request of a line, or what is wrong with it.
[[nodiscard]] std::variant<Request, std::string> parse_request(std::string_view line);

/// Lines with their newline: done; how many logins were forgotten; not done, and why; the status.
[[nodiscard]] std::string write_done();
[[nodiscard]] std::string write_flushed(std::uint64_t logins);
[[nodiscard]] std::string write_problem(std::string_view problem);
/// A status that is too long for a reply becomes a problem.
[[nodiscard]] std::string write_status(const StatusReport& report);

struct Reply {
    bool is_ok = false;
    std::string problem;
    std::optional<std::uint64_t> flushed; ///< logins
    std::optional<StatusReport> status;
    std::string
        status_json; ///< the same as the daemon told it, with what we know nothing of; ASCII, one line
};

/// Nothing when the line is no reply of this version.
[[nodiscard]] std::optional<Reply> parse_reply(std::string_view line);

} // namespace postern::control
