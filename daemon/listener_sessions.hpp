// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/session.hpp"

#include <cstddef>
#include <memory>
#include <vector>

namespace postern {

/// The sessions of one listener, in the order in which they would make room for others: those that are idle,
/// the one whose last activity is the oldest in front, and behind them those that have a login in work.
///
/// Whatever a peer does moves one session and looks at no other.
class ListenerSessions {
public:
    ListenerSessions() = default;
    ListenerSessions(const ListenerSessions&) = delete;
    ListenerSessions& operator=(const ListenerSessions&) = delete;

    [[nodiscard]] std::size_t size() const noexcept { return sessions_.size(); }

    /// One that has just come, and is idle.
    SessionList::iterator add(std::unique_ptr<Session> session);

    /// It has heard its peer, or has begun or ended to have a login in work.
    void note_activity(SessionList::iterator session) noexcept;

    void erase(SessionList::iterator session) noexcept;

    [[nodiscard]] bool has_idle() const noexcept { return first_in_work_ != sessions_.begin(); }

    /// There is one that is idle.
    void erase_longest_idle() noexcept { erase(sessions_.begin()); }

    /// For whoever does something to each: what one does may move it, or end it, but no other.
    [[nodiscard]] std::vector<Session*> all() const;

private:
    SessionList sessions_;
    SessionList::const_iterator first_in_work_ = sessions_.end();
};

} // namespace postern
