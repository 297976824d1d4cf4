// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"
#include "daemon/control_session.hpp"

#include <cstddef>

namespace postern {

/// The front's side of the control socket: accepts whoever may connect, which is root, and holds the
/// sessions, a few at a time. Others wait in the backlog.
class ControlListener {
public:
    static constexpr std::size_t sessions_max = 16;

    ControlListener(EventLoop& loop, Log& log, ControlHost& host, UniqueFd socket);

    /// From now on; until then another front answers.
    void open() { watch(); }
    /// Whoever connects from now on finds another daemon, or none.
    void close();

private:
    void accept();
    void end_session(ControlSessionList::iterator session);
    void watch();

    EventLoop& loop_;
    ControlServices services_;
    UniqueFd socket_;
    std::optional<FdWatch> watch_; ///< none: not open, full, or without descriptors
    Timer retry_timer_;
    ControlSessionList sessions_;
};

} // namespace postern
