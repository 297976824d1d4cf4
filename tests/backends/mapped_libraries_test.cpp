// SPDX-License-Identifier: BSD-2-Clause
#include "backends/mapped_libraries.hpp"
#include "tests/support/manual_clock.hpp"
#include "tests/support/temporary_directory.hpp"

#include <dlfcn.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>

namespace postern {

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// A library in a directory of the test.
class Library {
public:
    Library()
    {
        fs::copy_file(PAM_ORDERS, path());
        fs::last_write_time(directory_.path(), fs::file_time_type{}); // what comes now is another time
    }
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
    ~Library() { unload(); }

    [[nodiscard]] std::string path() const { return directory_.file("library.so"); }

    void load() { REQUIRE((handle_ = ::dlopen(path().c_str(), RTLD_NOW | RTLD_LOCAL)) != nullptr); }

    void unload()
    {
        if (void* const handle = std::exchange(handle_, nullptr); handle != nullptr)
            ::dlclose(handle);
    }

    /// As a package manager does it: another file under the same name.
    void replace() const
    {
        fs::copy_file(PAM_ORDERS, path() + ".new");
        fs::last_write_time(path() + ".new", fs::last_write_time(path()));
        fs::rename(path() + ".new", path());
    }

private:
    TemporaryDirectory directory_;
    void* handle_ = nullptr;
};

} // namespace

TEST_CASE("libraries that nobody touches have not changed", "[mapped_libraries]")
{
    const ManualClock clock;
    Library library;
    MappedLibraries libraries{clock};
    CHECK_FALSE(libraries.have_changed());
    library.load();
    libraries.note();
    CHECK_FALSE(libraries.have_changed());
}

TEST_CASE("a library that was replaced has changed, and stays changed", "[mapped_libraries]")
{
    const ManualClock clock;
    Library library;
    library.load();
    MappedLibraries libraries{clock};
    CHECK_FALSE(libraries.have_changed());
    library.replace();
    CHECK(libraries.have_changed());
    libraries.note();
    CHECK(libraries.have_changed());
}

TEST_CASE("a library that was loaded later counts from the next look on", "[mapped_libraries]")
{
    const ManualClock clock;
    Library library;
    MappedLibraries libraries{clock};
    library.load();
    libraries.note();
    CHECK_FALSE(libraries.have_changed());
    library.replace();
    CHECK(libraries.have_changed());
}

TEST_CASE("a library that was removed has changed", "[mapped_libraries]")
{
    const ManualClock clock;
    Library library;
    library.load();
    MappedLibraries libraries{clock};
    CHECK_FALSE(libraries.have_changed());
    fs::remove(library.path());
    CHECK(libraries.have_changed());
}

TEST_CASE("a library that was written in its place has changed, which is seen within a second",
          "[mapped_libraries]")
{
    ManualClock clock;
    Library library;
    library.load();
    MappedLibraries libraries{clock};
    CHECK_FALSE(libraries.have_changed());
    fs::last_write_time(library.path(), fs::last_write_time(library.path()) + std::chrono::microseconds{1});
    CHECK_FALSE(libraries.have_changed());
    clock.advance(1s);
    CHECK(libraries.have_changed());
    CHECK(libraries.have_changed());
}

TEST_CASE("a library behind a link in another directory has changed when either was replaced",
          "[mapped_libraries]")
{
    const ManualClock clock;
    const bool is_link = GENERATE(true, false);
    CAPTURE(is_link);
    Library library;
    TemporaryDirectory links;
    const std::string link = links.file("link.so");
    fs::create_symlink(library.path(), link);
    fs::last_write_time(links.path(), fs::file_time_type{});
    void* const handle = ::dlopen(link.c_str(), RTLD_NOW | RTLD_LOCAL);
    REQUIRE(handle != nullptr);
    MappedLibraries libraries{clock};
    CHECK_FALSE(libraries.have_changed());
    if (is_link) {
        fs::copy_file(PAM_ORDERS, link + ".new");
        fs::rename(link + ".new", link);
    } else {
        library.replace();
    }
    CHECK(libraries.have_changed());
    ::dlclose(handle);
}

TEST_CASE("a library that is mapped no longer may change", "[mapped_libraries]")
{
    const ManualClock clock;
    Library library;
    library.load();
    MappedLibraries libraries{clock};
    library.unload();
    library.replace();
    libraries.note();
    CHECK_FALSE(libraries.have_changed());

    library.load(); // the new one
    libraries.note();
    CHECK_FALSE(libraries.have_changed());
}

TEST_CASE("other paths are watched too, whether they are there or not", "[mapped_libraries]")
{
    const ManualClock clock;
    TemporaryDirectory directory;
    const std::string stacks = directory.file("pam.d");
    SECTION("a directory in which a file is made")
    {
        fs::create_directory(stacks);
        fs::last_write_time(stacks, fs::file_time_type{});
        MappedLibraries libraries{clock, {stacks}};
        CHECK_FALSE(libraries.have_changed());
        std::ofstream{stacks + "/smtp"} << "auth required pam_deny.so\n";
        CHECK(libraries.have_changed());
    }
    SECTION("one that is made")
    {
        MappedLibraries libraries{clock, {stacks}};
        CHECK_FALSE(libraries.have_changed());
        fs::create_directory(stacks);
        CHECK(libraries.have_changed());
    }
}

} // namespace postern
