// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/store_watch.hpp"
#include "tests/support/temporary_directory.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

namespace postern {

/// The file of a sasldb in a directory of its own, and who watches it.
class WatchedStoreFile {
public:
    WatchedStoreFile() { write("at first"); }

    void write(const std::string& text) const { std::ofstream{path()} << text; }

    [[nodiscard]] std::string path() const { return directory_.file("db"); }

    /// The changes of two backends, of which that one has the file; none: neither has.
    [[nodiscard]] StoreChanges changes(std::optional<std::uint32_t> backend) const
    {
        std::vector<BackendConfig> backends(2);
        for (std::uint32_t i = 0; i < backends.size(); ++i) {
            backends[i].type = find_backend_type(i == backend ? "sasldb" : "ldap");
            backends[i].options = {{"sasldb_path", path()}};
        }
        StoreWatch watch = watch_stores(backends);
        REQUIRE(watch.problems == std::vector<std::string>(2));
        return {std::move(watch.events), std::move(watch.stores), 2, {}};
    }

private:
    TemporaryDirectory directory_;
};

} // namespace postern
