// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/listener_sessions.hpp"

#include <utility>

namespace postern {

SessionList::iterator ListenerSessions::add(std::unique_ptr<Session> session)
{
    return sessions_.insert(first_in_work_, std::move(session));
}

void ListenerSessions::note_activity(SessionList::iterator session) noexcept
{
    if (session == first_in_work_)
        ++first_in_work_;
    const bool is_idle = (*session)->is_idle();
    sessions_.splice(is_idle ? first_in_work_ : sessions_.end(), sessions_, session);
    if (!is_idle && first_in_work_ == sessions_.end())
        first_in_work_ = session;
}

void ListenerSessions::erase(SessionList::iterator session) noexcept
{
    if (session == first_in_work_)
        ++first_in_work_;
    sessions_.erase(session);
}

std::vector<Session*> ListenerSessions::all() const
{
    std::vector<Session*> all;
    all.reserve(sessions_.size());
    for (const auto& session : sessions_)
        all.push_back(session.get());
    return all;
}

} // namespace postern
