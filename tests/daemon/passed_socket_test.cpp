// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/passed_socket.hpp"
#include "tests/support/descriptors.hpp"
#include "tests/support/temporary_directory.hpp"
#include "tests/support/unix_sockets.hpp"

#include <netinet/in.h>

#include <catch2/catch.hpp>
#include <fstream>

using namespace postern;
namespace fs = std::filesystem;

namespace {

std::string problem_of(int descriptor, const std::string& path)
try {
    check_serves(descriptor, path);
    return "";
} catch (const UnfitSocket& error) {
    return error.what();
}

} // namespace

TEST_CASE("a path is stored under a name that is allowed, and is found in it again", "[passed socket]")
{
    const auto [path, name] = GENERATE(table<std::string, std::string>({
        {"/run/saslauthd/mux", "/run/saslauthd/mux"},
        {"/run/a:b", "/run/a%3ab"},
        {"/run/a b%", "/run/a%20b%25"},
        {"/run/\xc3\xa4\n", "/run/%c3%a4%0a"},
    }));
    CHECK(stored_name(path) == name);
    CHECK(path_in_stored_name(name) == path);
}

TEST_CASE("a name that is longer than allowed is none", "[passed socket]")
{
    CHECK(stored_name("/" + std::string(106, ':')).empty());
    CHECK(stored_name("/" + std::string(106, 'x')).size() == 107);
}

TEST_CASE("what a unit is called is not the name of a stored socket", "[passed socket]")
{
    const auto name =
        GENERATE("postern.socket", "unknown", "", "stored", "/run/a%", "/run/a%3", "/run/a%zz", "run/a");
    CHECK_FALSE(path_in_stored_name(name));
}

TEST_CASE("a socket knows the path that it was bound to, if it was one", "[passed socket]")
{
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    CHECK(bound_path(make_bound_socket(path).get()) == path);
    CHECK_FALSE(bound_path(make_bound_socket("@postern-" + std::to_string(::getpid())).get()));
    CHECK_FALSE(bound_path(UniqueFd{::socket(AF_UNIX, SOCK_STREAM, 0)}.get()));
    CHECK_FALSE(bound_path(UniqueFd{::socket(AF_INET, SOCK_STREAM, 0)}.get()));
    CHECK_FALSE(bound_path(make_pipe().read_end.get()));
    const std::string longest =
        directory.path() / std::string(108 - directory.path().string().size() - 2, 'x');
    CHECK(bound_path(make_bound_socket(longest).get()) == longest);
}

TEST_CASE("a socket serves the path where whoever connects gets to it", "[passed socket]")
{
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    const UniqueFd socket = make_bound_socket(path);
    CHECK(problem_of(socket.get(), path).empty());
    CHECK(problem_of(socket.get(), path).empty());
    fs::rename(path, directory.file("elsewhere"));
    CHECK(problem_of(socket.get(), directory.file("elsewhere")).empty());
}

TEST_CASE("those who wait already are left where they are", "[passed socket]")
{
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    const UniqueFd socket = make_bound_socket(path);
    const UniqueFd peer = connect_to(path);
    REQUIRE(::send(peer.get(), "x", 1, 0) == 1);
    CHECK(problem_of(socket.get(), path).empty());
    const UniqueFd taken = take_connection(socket.get());
    char byte = 0;
    REQUIRE(::recv(taken.get(), &byte, 1, MSG_DONTWAIT) == 1);
    CHECK(byte == 'x');
}

TEST_CASE("a socket whose place another one has taken serves it no more, even when somebody waits there",
          "[passed socket]")
{
    const bool somebody_waits = GENERATE(true, false);
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    const UniqueFd socket = make_bound_socket(path);
    const UniqueFd peer = somebody_waits ? connect_to(path) : UniqueFd{};
    fs::remove(path);
    const UniqueFd other = make_bound_socket(path);
    CHECK(problem_of(socket.get(), path) == "who connects to " + path + " gets to another socket");
}

TEST_CASE("a backlog that is full is one that serves", "[passed socket]")
{
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    const UniqueFd socket = make_bound_socket(path);
    REQUIRE(::listen(socket.get(), 0) == 0);
    const UniqueFd peer = connect_to(path);
    REQUIRE_FALSE(connect_to(path).is_open());
    REQUIRE(errno == EAGAIN);
    CHECK(problem_of(socket.get(), path).empty());
}

TEST_CASE("a socket that nobody can get to serves nobody", "[passed socket]")
{
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    const UniqueFd socket = make_bound_socket(path);
    fs::remove(path);
    CHECK_THAT(problem_of(socket.get(), path), Catch::Contains("nobody gets to " + path));
    std::ofstream{path} << "no socket";
    CHECK_THAT(problem_of(socket.get(), path), Catch::Contains("nobody gets to " + path));
    fs::remove(path);
    make_bound_socket(path).reset(); // one that nobody serves
    CHECK_THAT(problem_of(socket.get(), path), Catch::Contains("nobody gets to " + path));
}

TEST_CASE("what does not listen, is of another kind, or is no socket serves nothing", "[passed socket]")
{
    TemporaryDirectory directory;
    const std::string path = directory.file("mux");
    CHECK(problem_of(make_pipe().read_end.get(), path) == "it is no socket");
    CHECK(problem_of(UniqueFd{::socket(AF_INET, SOCK_STREAM, 0)}.get(), path) == "it is no UNIX socket");
    CHECK(problem_of(make_bound_socket(directory.file("a"), SOCK_DGRAM, false).get(), path) ==
          "it is no stream socket");
    CHECK(problem_of(make_bound_socket(directory.file("b"), SOCK_SEQPACKET).get(), path) ==
          "it is no stream socket");
    const UniqueFd bound = make_bound_socket(path, SOCK_STREAM, false);
    CHECK(problem_of(bound.get(), path) == "it does not listen");
    const UniqueFd served = make_bound_socket(directory.file("c"));
    CHECK(problem_of(connect_to(directory.file("c")).get(), path) == "it does not listen");
}
