// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "backends/stores/sasldb_database.hpp"
#include "base/unique_fd.hpp"

#include <signal.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::sasldb {

/// The new database while it is being filled: a file beside the old one, for nobody's eyes but ours, removed
/// again unless it takes its place.
class Draft {
public:
    /// Whoever has the lock uses one name, and clears away what a killed one has left there. Who makes the
    /// first database has no lock, and others may be at it too.
    enum class Name : std::uint8_t { of_lock_holder, random };

    /// Throws, as all here does, what sasldb_writer.hpp says.
    Draft(const std::string& target, Name name);
    Draft(Draft&&) = delete;
    ~Draft();

    void put(std::string_view key, std::string_view value);
    /// Nothing more will be put: everything is on disk when this returns.
    void complete();

    /// Owner, mode and access list of that file, the old database.
    void take_access_of(int old);
    /// As Debian has it, without write access for the group: daemons of group sasl read, root writes.
    void give_first_access();

    void replace_target();
    /// False when somebody else has made the target meanwhile.
    [[nodiscard]] bool become_target();

private:
    [[nodiscard]] UniqueFd make_file(Name name);
    void refuse_another_file() const;
    void copy_access_list(int from);
    void published() noexcept;

    /// While it exists, nobody ends this program from a terminal: an unfinished file would stay behind.
    class SignalsHeldBack {
    public:
        SignalsHeldBack();
        SignalsHeldBack(SignalsHeldBack&&) = delete;
        ~SignalsHeldBack();

    private:
        sigset_t before_{};
    };

    SignalsHeldBack signals_held_back_;
    std::string target_;
    std::string path_; ///< empty: published
    UniqueFd directory_;
    UniqueFd file_;
    Database database_;
};

/// Who can write there can put links where files of ours are about to be, and root would follow them.
void refuse_directory_of_others(const std::string& path);

} // namespace postern::sasldb
