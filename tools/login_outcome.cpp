// SPDX-License-Identifier: BSD-2-Clause
#include "tools/login_outcome.hpp"

#include "base/posix_error.hpp"
#include "tools/daemon_socket.hpp"

#include <cerrno>
#include <utility>

namespace postern {

LoginOutcome unavailable(LoginStep step, int error, std::chrono::milliseconds patience)
{
    std::string cause = error_text(error);
    if (error == closed_early || error == EPIPE || error == ECONNRESET)
        cause = "the daemon closed the connection without an answer";
    if (error == ETIMEDOUT)
        cause = "no answer within " + std::to_string(patience.count() / 1000) + " s";
    return {LoginOutcome::Kind::unavailable, step, std::move(cause)};
}

LoginOutcome unavailable(std::string cause)
{
    return {LoginOutcome::Kind::unavailable, LoginStep::reply_meaning, std::move(cause)};
}

} // namespace postern
