// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/store_changes.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

namespace postern {

namespace {

/// One event of a file with the longest name fits, and many of others.
constexpr std::size_t buffer_bytes = 4096;

constexpr std::uint32_t ends_watch = IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT;
constexpr std::uint32_t replaces_name = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;

enum class Meaning : std::uint8_t { nothing, change, loss };

/// The first of `bytes`, which it takes off; its name ends with NULs.
StoreChanges::Event take_event(std::span<const char>& bytes) noexcept
{
    inotify_event event{};
    std::memcpy(&event, bytes.data(), sizeof event);
    const std::span<const char> name = bytes.subspan(sizeof event, event.len);
    bytes = bytes.subspan(sizeof event + event.len);
    return {event.wd, event.mask, {name.data(), ::strnlen(name.data(), name.size())}};
}

/// What an event of its watch means for a store.
Meaning meaning_of(const StoreChanges::Event& event, const WatchedStore& store)
{
    if (store.is_itself)
        return Meaning::change;
    if ((event.mask & ends_watch) != 0) // what stands in the place of this directory is watched by nobody
        return Meaning::loss;
    if (!store.file.empty() && store.file != event.file)
        return Meaning::nothing;
    if (!store.leads_on)
        return Meaning::change;
    return (event.mask & replaces_name) != 0 ? Meaning::loss : Meaning::nothing;
}

} // namespace

StoreChanges::StoreChanges(UniqueFd events, std::vector<WatchedStore> stores, std::size_t backends,
                           OnLost on_lost)
    : events_{std::move(events)}
    , stores_{std::move(stores)}
    , backends_(backends)
    , on_lost_{std::move(on_lost)}
{
    if (!events_.is_open())
        note_loss();
}

void StoreChanges::look()
{
    for (Backend& backend : backends_)
        backend.changes += backend.is_out_of_sight ? 1 : 0;
    std::array<char, buffer_bytes> buffer; // not cleared, for each login looks: read() says how much counts
    while (events_.is_open()) {
        const ssize_t got = ::read(events_.get(), buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            return note_loss();
        std::span<const char> bytes = std::span{buffer}.first(static_cast<std::size_t>(got));
        while (!bytes.empty()) {
            const Event event = take_event(bytes);
            if ((event.mask & IN_Q_OVERFLOW) != 0)
                note_loss();
            else
                note(event);
        }
    }
}

void StoreChanges::note(const Event& event)
{
    for (const WatchedStore& store : stores_) {
        if (store.watch != event.watch)
            continue;
        switch (meaning_of(event, store)) {
        case Meaning::nothing: break;
        case Meaning::change: ++backends_[store.backend].changes; break;
        case Meaning::loss: lose_sight(store.backend); break;
        }
    }
}

/// Events were lost: anything may have changed, the paths as well.
void StoreChanges::note_loss()
{
    for (const WatchedStore& store : stores_)
        lose_sight(store.backend);
}

void StoreChanges::lose_sight(std::size_t backend)
{
    ++backends_[backend].changes;
    if (!std::exchange(backends_[backend].is_out_of_sight, true) && on_lost_)
        on_lost_(backend);
}

} // namespace postern
