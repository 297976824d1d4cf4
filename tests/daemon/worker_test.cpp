// SPDX-License-Identifier: BSD-2-Clause
#include "backends/plugin_loader.hpp"
#include "daemon/setup.hpp"
#include "daemon/worker.hpp"
#include "protocol/worker_messages.hpp"
#include "tests/support/program.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// The exit status of a worker with the backend type `fault` that is asked about these users, one after the
/// other.
int end_of_worker(const std::string& fault_password, const std::vector<std::string>& users)
{
    auto [front, worker] = make_message_sockets();
    const UniqueFd plugin = open_plugin(POSTERN_PLUGIN_DIRECTORY "/" + plugin_file_name("fault"));
    WorkerSetup setup;
    setup.backend = "local";
    setup.type = "fault";
    setup.options = {{"fault_password", fault_password}};
    setup.field_bytes_max = 64;
    send_setup(front, setup, std::array{plugin.get()});
    SecretArena secrets{64, 1};
    for (const std::string& user : users) {
        const Request request{user, Secret{secrets, "good"}, "imap", "", ""};
        std::string memory(worker_message_bytes_max(64), '\0');
        REQUIRE(front.send(write_question(memory, 1, 5s, request)));
    }
    return run_child("",
                     [&front = front, &worker = worker] {
                         front = MessageSocket{};
                         return run_worker(worker);
                     })
        .status;
}

} // namespace

TEST_CASE("a worker whose backend cannot be made says that none like it can work", "[worker]")
{
    CHECK(end_of_worker("", {}) == worker_cannot_work);
}

TEST_CASE("a worker that fails later on says that the next one may do better", "[worker]")
{
    CHECK(end_of_worker("good", {"outdated", "alice"}) == EXIT_FAILURE);
}

} // namespace postern
