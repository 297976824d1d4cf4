// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/sasldb_store.hpp"
#include "tests/support/sasldb_tools.hpp"

#include <cstddef>
#include <string>

/// The two kinds of file that a sasldb may be, each made by a tool that is not ours, with alice in it.
namespace postern {

/// As saslpasswd2 makes it.
struct BerkeleyStore : Store {
    /// Of so many damaged files so many at least are errors: where nothing is written, it may be unused.
    static constexpr int damages = 400;
    static constexpr int errors_min = 100;

    BerkeleyStore() { load("alice", "s3cret"); }

    void load(const std::string& user, const std::string& password) const
    {
        saslpasswd2(file, user, "example.org", password);
    }

    /// Entries of every shape: many, and some that are long enough for pages of their own.
    void fill()
    {
        for (int i = 0; i < 60; ++i)
            set("user" + std::to_string(i), std::string(1 + static_cast<std::size_t>(i) * 17, 'p'));
    }
};

/// As OpenLDAP's mdb_load makes it.
struct LmdbStore : Store {
    static constexpr int damages = 600;
    static constexpr int errors_min = 50;

    LmdbStore() { load("alice", "s3cret"); }

    void load(const std::string& user, const std::string& password,
              const std::string& property = "userPassword") const
    {
        mdb_load_entry(file, user + "\\00example.org\\00" + property, password);
    }

    [[nodiscard]] std::string lock_file() const { return file + "-lock"; }

    /// Enough of every shape: a tree of several levels, values with pages of their own, freed pages.
    void fill()
    {
        for (int i = 0; i < 120; ++i)
            set("user" + std::to_string(i), std::string(1 + static_cast<std::size_t>(i) * 8, 'p'));
        load("somebody", std::string(9000, 'x'), "somethingElse");
        static_cast<void>(remove("user7"));
    }
};

} // namespace postern
