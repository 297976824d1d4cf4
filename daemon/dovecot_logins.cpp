// SPDX-License-Identifier: BSD-2-Clause
//
// A connection has few logins at a time: each question about them looks at all.
#include "daemon/dovecot_logins.hpp"

#include <algorithm>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// Of one connection that wait for their client. Beyond it the one that has waited for longest is forgotten.
constexpr std::size_t waiting_max = 32;
/// How long a client may take for its next word, as with Dovecot.
constexpr auto client_patience = 150s;

bool waits(const DovecotLogins::Table::value_type& entry) noexcept
{
    return !entry.second.is_in_work;
}

} // namespace

DovecotLogins::iterator DovecotLogins::open(DovecotLogin login)
{
    return table_.emplace(next_serial_++, std::move(login)).first;
}

DovecotLogins::iterator DovecotLogins::find(std::uint32_t id) noexcept
{
    return std::ranges::find_if(
        table_, [id](const auto& entry) { return entry.second.id == id && !entry.second.is_told; });
}

void DovecotLogins::wait(iterator login)
{
    login->second.expires = clock_.now() + client_patience;
    make_room(login);
}

void DovecotLogins::make_room(iterator newcomer)
{
    std::size_t waiting = 1;
    auto first = table_.end();
    for (auto login = table_.begin(); login != table_.end(); ++login) {
        if (login == newcomer || login->second.is_in_work)
            continue;
        ++waiting;
        if (first == table_.end() || login->second.expires < first->second.expires)
            first = login;
    }
    if (waiting > waiting_max)
        table_.erase(first);
}

DovecotLogins::Serial DovecotLogins::begin_work(iterator login)
{
    login->second.is_in_work = true;
    ++in_work_;
    return login->first;
}

DovecotLogins::iterator DovecotLogins::end_work(Serial serial)
{
    const iterator login = table_.find(serial);
    login->second.is_in_work = false;
    --in_work_;
    if (!login->second.is_told)
        return login;
    table_.erase(login);
    return table_.end();
}

void DovecotLogins::tell_end(iterator login)
{
    login->second.is_told = true;
    if (!login->second.is_in_work)
        table_.erase(login);
}

void DovecotLogins::forget_overdue()
{
    const TimePoint now = clock_.now();
    std::erase_if(table_, [now](const auto& entry) { return waits(entry) && entry.second.expires <= now; });
}

void DovecotLogins::forget_waiting()
{
    std::erase_if(table_, waits);
}

bool DovecotLogins::has_one_to_tell() const noexcept
{
    return std::ranges::any_of(table_,
                               [](const auto& entry) { return !waits(entry) && !entry.second.is_told; });
}

bool DovecotLogins::needs_words(iterator beside) const noexcept
{
    const Serial that_one = beside == table_.end() ? 0 : beside->first;
    return std::ranges::any_of(table_, [that_one](const auto& entry) {
        const bool will_be_asked = waits(entry) || sasl::facts_of(entry.second.mechanism).asks_challenge;
        return entry.first != that_one && !entry.second.is_told && will_be_asked;
    });
}

TimePoint DovecotLogins::next_expiry() const noexcept
{
    TimePoint next = TimePoint::max();
    for (const auto& entry : table_)
        if (waits(entry))
            next = std::min(next, entry.second.expires);
    return next;
}

} // namespace postern
