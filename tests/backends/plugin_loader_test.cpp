// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"
#include "backends/plugin_loader.hpp"
#include "tests/support/backend_contract.hpp"
#include "tests/support/temporary_directory.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace postern {

namespace {

namespace fs = std::filesystem;

const std::string sasldb_plugin = POSTERN_PLUGIN_DIRECTORY "/" + plugin_file_name("sasldb");

} // namespace

TEST_CASE("every type of the table has a plug-in of this build", "[plug-in]")
{
    for (const BackendType& type : backend_types()) {
        CAPTURE(type.name);
        CHECK(plugin_of(std::string{type.name}).type == type.name);
    }
}

TEST_CASE("a plug-in that others may write is refused", "[plug-in]")
{
    TemporaryDirectory directory;
    const std::string copy = directory.file("backend_sasldb.so");
    fs::copy_file(sasldb_plugin, copy);
    fs::permissions(copy, fs::perms{0775});
    CHECK_THROWS_AS(open_plugin(copy), BackendError);
    fs::permissions(copy, fs::perms{0757});
    CHECK_THROWS_AS(open_plugin(copy), BackendError);
    fs::permissions(copy, fs::perms{0755});
    CHECK(open_plugin(copy).is_open());
}

TEST_CASE("what is no plug-in, or one of another type, is refused", "[plug-in]")
{
    TemporaryDirectory directory;
    const std::string text = directory.file("backend_text.so");
    std::ofstream{text} << "this is no shared object";
    const UniqueFd text_file = open_plugin(text);
    CHECK_THROWS_AS(load_plugin(text_file.get(), "text"), BackendError);
    static const UniqueFd sasldb_file = open_plugin(sasldb_plugin);
    CHECK_THROWS_AS(load_plugin(sasldb_file.get(), "ldap"), BackendError);
    CHECK_THROWS_AS(open_plugin(directory.path()), BackendError);
    CHECK_THROWS_AS(open_plugin(directory.file("none")), std::system_error);
}

} // namespace postern
