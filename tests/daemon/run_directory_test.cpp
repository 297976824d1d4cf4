// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/run_directory.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <system_error>

using namespace postern;
namespace fs = std::filesystem;

namespace {

/// A directory to run in. The process goes back to where it was.
class Place {
public:
    [[nodiscard]] std::string path() const { return directory_.file("run"); }
    [[nodiscard]] bool has(const std::string& name) const { return fs::exists(path() + "/" + name); }
    [[nodiscard]] mode_t mode(const std::string& name) const
    {
        struct stat status {};
        REQUIRE(::stat((path() + "/" + name).c_str(), &status) == 0);
        return status.st_mode & 07777;
    }
    [[nodiscard]] std::string content(const std::string& name) const
    {
        std::ifstream file{path() + "/" + name};
        return {std::istreambuf_iterator<char>{file}, {}};
    }
    ~Place()
    {
        fs::current_path(before_);
        ::umask(mask_);
    }

private:
    TemporaryDirectory directory_;
    fs::path before_ = fs::current_path();
    mode_t mask_ = ::umask(022);
};

} // namespace

TEST_CASE("a run directory is made, entered, and left behind without the files", "[run directory]")
{
    Place place;
    {
        RunDirectory run{place.path(), "saslauthd", true};
        CHECK(fs::current_path() == place.path());
        CHECK(place.has("saslauthd.pid.lock"));
        run.write_pid(4711);
        run.remove_start_lock();
        CHECK(place.content("saslauthd.pid") == "4711\n");
        CHECK(place.mode("saslauthd.pid") == 0600);
        CHECK_FALSE(place.has("saslauthd.pid.lock"));
    }
    CHECK(place.mode("") == 0755);
    CHECK(fs::is_empty(place.path()));
}

TEST_CASE("in the foreground there is no pid file, and the start lock stays", "[run directory]")
{
    Place place;
    RunDirectory run{place.path(), "saslauthd", false};
    run.write_pid(4711);
    run.remove_start_lock();
    CHECK(place.has("saslauthd.pid.lock"));
    CHECK_FALSE(place.has("saslauthd.pid"));
}

TEST_CASE("a second start is refused and harms nothing, whichever way each was started", "[run directory]")
{
    const bool first_is_daemon = GENERATE(true, false);
    const bool first_is_ready = GENERATE(true, false);
    const bool second_is_daemon = GENERATE(true, false);
    CAPTURE(first_is_daemon, first_is_ready, second_is_daemon);
    Place place;
    RunDirectory first{place.path(), "saslauthd", first_is_daemon};
    first.write_pid(4711);
    if (first_is_ready)
        first.remove_start_lock();
    const bool had_start_lock = place.has("saslauthd.pid.lock");
    CHECK_THROWS_AS((RunDirectory{place.path(), "saslauthd", second_is_daemon}), AlreadyRunning);
    CHECK(place.has("saslauthd.pid.lock") == had_start_lock);
    CHECK(place.content("saslauthd.pid") == (first_is_daemon ? "4711\n" : ""));
    CHECK_THROWS_AS((RunDirectory{place.path(), "saslauthd", second_is_daemon}), AlreadyRunning);
}

TEST_CASE("what a dead daemon left behind keeps nobody out", "[run directory]")
{
    Place place;
    fs::create_directory(place.path());
    std::ofstream{place.path() + "/saslauthd.pid"} << "123456789\n";
    std::ofstream{place.path() + "/saslauthd.pid.lock"};
    RunDirectory run{place.path(), "saslauthd", true};
    run.write_pid(42);
    CHECK(place.content("saslauthd.pid") == "42\n");
}

TEST_CASE("a run directory that cannot be made is an error that names it", "[run directory]")
{
    Place place;
    CHECK_THROWS_WITH((RunDirectory{place.path() + "/a/b", "saslauthd", true}),
                      Catch::Contains(place.path() + "/a/b"));
}

TEST_CASE("the files have the name of the daemon, and one daemon keeps out the other", "[run directory]")
{
    const bool first_is_daemon = GENERATE(true, false);
    const bool first_is_ready = GENERATE(true, false);
    const bool second_is_daemon = GENERATE(true, false);
    CAPTURE(first_is_daemon, first_is_ready, second_is_daemon);
    Place place;
    RunDirectory first{place.path(), "posternd", first_is_daemon};
    CHECK(place.has("posternd.pid.lock"));
    if (first_is_ready)
        first.remove_start_lock();
    CHECK_THROWS_AS((RunDirectory{place.path(), "saslauthd", second_is_daemon}), AlreadyRunning);
    CHECK_FALSE(place.has("saslauthd.pid"));
    CHECK_FALSE(place.has("saslauthd.pid.lock"));
}
