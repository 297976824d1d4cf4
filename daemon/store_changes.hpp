// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "base/unique_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

/// A file, or a directory, in which a backend keeps accounts, or a part of the path to it, and how inotify(7)
/// names it.
struct WatchedStore {
    std::uint32_t backend = 0; ///< index into Config::backends
    std::int32_t watch = 0;    ///< of the directory
    std::string file{};        ///< in it; empty: any
    bool leads_on = false;  ///< a directory or a link on the path: nobody watches what is behind another one
    bool is_itself = false; ///< the watch is of the file, by whatever name it is changed

    bool operator==(const WatchedStore&) const = default;
};

/// How often the stores of each backend have changed since the start, as inotify(7) says.
///
/// The kernel queues an event before the call that changed the file returns. So who looks after a change was
/// made sees it, without a race: that is why the front reads the events itself. The watches were made by the
/// supervisor, which may open the files; a front may not, and needs not.
///
/// Not noticed: changes through a mapping of the file, through another directory's link to it, on another
/// host of a network file system, and by a mount over it.
class StoreChanges {
public:
    using OnLost = std::function<void(std::size_t backend)>;

    /// As inotify(7) has it.
    struct Event {
        std::int32_t watch;
        std::uint32_t mask;
        std::string_view file;
    };

    /// `events` is an inotify descriptor; one that is closed says nothing. `on_lost` is called when the
    /// changes of a backend cannot be seen any more: once for each, and within look().
    StoreChanges(UniqueFd events, std::vector<WatchedStore> stores, std::size_t backends, OnLost on_lost);

    /// Takes note of all that has changed up to now.
    void look();

    /// It grows with each change, and with each look where changes cannot be seen any more; what it is says
    /// nothing.
    [[nodiscard]] std::uint64_t of(std::size_t backend) const noexcept { return backends_[backend].changes; }

private:
    struct Backend {
        std::uint64_t changes = 0;
        bool is_out_of_sight = false;
    };

    void note(const Event& event);
    void note_loss();
    void lose_sight(std::size_t backend);

    UniqueFd events_;
    std::vector<WatchedStore> stores_;
    std::vector<Backend> backends_;
    OnLost on_lost_;
};

} // namespace postern
