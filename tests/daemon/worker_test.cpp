// SPDX-License-Identifier: BSD-2-Clause
#include "backends/plugin_loader.hpp"
#include "base/task_queue.hpp"
#include "daemon/setup.hpp"
#include "daemon/task_times.hpp"
#include "daemon/worker.hpp"
#include "protocol/worker_messages.hpp"
#include "tests/support/program.hpp"
#include "tests/support/temporary_directory.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

/// The exit status of a worker with the backend type `fault` that is asked about these users, one after the
/// other.
int end_of_worker(const std::string& fault_password, const std::vector<std::string>& users)
{
    auto [front, worker] = make_message_sockets();
    TaskQueue::Ends tasks = TaskQueue::make();
    const UniqueFd plugin = open_plugin(POSTERN_PLUGIN_DIRECTORY "/" + plugin_file_name("fault"));
    WorkerSetup setup;
    setup.backend = "local";
    setup.type = "fault";
    setup.options = {{"fault_password", fault_password}};
    setup.field_bytes_max = 64;
    send_setup(front, setup, std::array{plugin.get(), tasks.taker.fd(), tasks.page.get()});
    TaskQueue queue{std::move(tasks.giver), tasks.page.get()};
    SecretArena secrets{64, 1};
    for (const std::string& user : users) {
        const Request request{user, Secret{secrets, "good"}, "imap", "", ""};
        std::string memory(worker_message_bytes_max(64), '\0');
        REQUIRE(queue.put(write_question(memory, 1, 5s, 0, request)));
    }
    return run_child("",
                     [&front = front, &queue, &worker = worker] {
                         front.close();
                         queue.close();
                         return run_worker(worker);
                     })
        .status;
}

/// A worker with the backend type `fault`, whose front is the test. It has two servers, which are files.
class WorkerAtWork {
public:
    explicit WorkerAtWork(const std::vector<std::pair<std::string, std::string>>& orders = {})
    {
        for (const std::string server : {"one", "two"})
            std::ofstream{file(server + ".asked")}.flush();
        for (const auto& [server, order] : orders)
            tell(server, order);
        auto [front, worker] = make_message_sockets();
        TaskQueue::Ends tasks = TaskQueue::make();
        front_ = std::move(front);
        tasks_ = TaskQueue{std::move(tasks.giver), tasks.page.get()};
        const timeval patience{30, 0};
        check(::setsockopt(front_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), "setsockopt");
        send_setup(tasks);
        child_ = check(::fork(), "fork");
        if (child_ != 0)
            return;
        front_.close();
        tasks_.close();
        ::_exit(run_worker(worker));
    }
    WorkerAtWork(const WorkerAtWork&) = delete;
    WorkerAtWork& operator=(const WorkerAtWork&) = delete;

    ~WorkerAtWork()
    {
        front_.close();
        tasks_.close();
        if (child_ > 0)
            ::waitpid(child_, nullptr, 0);
    }

    /// What a server does from now on.
    void tell(const std::string& server, const std::string& order)
    {
        std::ofstream{file(server + ".new")} << order;
        std::filesystem::rename(file(server + ".new"), file(server));
    }

    [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }

    /// On which occasions the server was asked.
    [[nodiscard]] std::vector<std::string> asked(const std::string& server) const
    {
        std::ifstream stream{file(server + ".asked")};
        return {std::istream_iterator<std::string>{stream}, {}};
    }

    void ask(const std::string& user, std::uint32_t left_alone = 0, const std::string& password = "good",
             std::chrono::milliseconds time = 20s)
    {
        const Request request{user, Secret{secrets_, password}, "imap", "", ""};
        REQUIRE(tasks_.put(write_question(memory_, 1, time, left_alone, request)));
    }

    /// As waitpid(2) says it.
    [[nodiscard]] int wait_for_end()
    {
        int status = 0;
        REQUIRE(::waitpid(std::exchange(child_, -1), &status, 0) > 0);
        return status;
    }

    void probe(std::uint32_t left_alone) { REQUIRE(tasks_.put(write_probe(memory_, {2, 2s, left_alone}))); }

    void prepare(std::uint32_t left_alone = 0)
    {
        REQUIRE(tasks_.put(write_prepare(memory_, {20s, left_alone})));
    }

    /// What the worker says next, which must be this.
    template <typename Message>
    Message next()
    {
        const WorkerMessage message = next_message();
        REQUIRE(std::holds_alternative<Message>(message));
        return std::get<Message>(message);
    }

    /// It is loaded, and has prepared.
    WorkerAtWork& settled()
    {
        CHECK(next<WorkerReady>().must_prepare);
        prepare();
        CHECK_FALSE(next<WorkerReady>().must_prepare);
        return *this;
    }

private:
    WorkerMessage next_message()
    {
        const MessageSocket::Incoming incoming = front_.receive(memory_);
        REQUIRE(incoming.state == MessageSocket::Received::message);
        const auto message = parse_worker_message(incoming.bytes);
        REQUIRE(message);
        return *message;
    }

    void send_setup(const TaskQueue::Ends& tasks)
    {
        const UniqueFd plugin = open_plugin(POSTERN_PLUGIN_DIRECTORY "/" + plugin_file_name("fault"));
        WorkerSetup setup;
        setup.backend = "local";
        setup.type = "fault";
        setup.options = {{"fault_password", "good"},
                         {"fault_servers", "file://" + file("one") + " file://" + file("two")}};
        setup.field_bytes_max = 64;
        postern::send_setup(front_, setup, std::array{plugin.get(), tasks.taker.fd(), tasks.page.get()});
    }

    TemporaryDirectory directory_;
    SecretArena secrets_{64, 1};
    std::string memory_ = std::string(worker_message_bytes_max(1024), '\0');
    MessageSocket front_;
    TaskQueue tasks_;
    pid_t child_ = 0;
};

constexpr std::uint32_t one = 0b01;
constexpr std::uint32_t two = 0b10;
constexpr std::uint32_t both = 0b11;

using Occasions = std::vector<std::string>;

} // namespace

TEST_CASE("a worker says that it must prepare, and says when it has", "[worker]")
{
    WorkerAtWork worker;
    CHECK(worker.next<WorkerReady>().must_prepare);
    CHECK(worker.asked("one").empty());
    worker.prepare(one);
    CHECK_FALSE(worker.next<WorkerReady>().must_prepare);
    CHECK(worker.asked("one").empty());
    CHECK(worker.asked("two") == Occasions{"prepare"});
}

TEST_CASE("a worker leaves those servers alone that its question names", "[worker]")
{
    const auto [left_alone, server] =
        GENERATE(table<std::uint32_t, std::string>({{0, "one"}, {one, "two"}, {two, "one"}}));
    WorkerAtWork worker;
    worker.settled().ask("which", left_alone);
    const auto answer = worker.next<Answer>();
    CHECK(answer.id == 1);
    CHECK(answer.decision.reason == worker.file(server));
    CHECK_FALSE(answer.must_prepare);
}

TEST_CASE("a worker says that a server failed before it has an answer", "[worker]")
{
    WorkerAtWork worker;
    worker.settled().tell("one", "down");
    worker.tell("two", "wait");
    worker.ask("which");
    const auto failed = worker.next<ServerFailed>();
    CHECK(failed.server == 0);
    CHECK(failed.problem == "it is down, as ordered");
    worker.tell("two", "");
    CHECK(worker.next<Answer>().decision.reason == worker.file("two"));
}

TEST_CASE("a worker that finds no server says that the source is unavailable", "[worker]")
{
    WorkerAtWork worker;
    worker.settled().ask("alice", both);
    CHECK(worker.next<Answer>().decision.verdict == Verdict::unavailable);
}

TEST_CASE("a probe asks the one server that it does not leave alone, and no other", "[worker]")
{
    WorkerAtWork worker;
    worker.settled().probe(one);
    const auto well = worker.next<Answer>();
    CHECK(well.id == 2);
    CHECK(well.decision.verdict == Verdict::accepted);
    worker.tell("two", "down");
    worker.probe(one);
    CHECK(worker.next<ServerFailed>().server == 1);
    const auto ill = worker.next<Answer>();
    CHECK(ill.decision.verdict == Verdict::unavailable);
    CHECK(ill.decision.reason == "no server answers, as ordered");
    CHECK(worker.asked("one") == Occasions{"prepare"});
    CHECK(worker.asked("two") == Occasions{"probe", "probe"});
}

TEST_CASE("a worker that must prepare again says so with its answer", "[worker]")
{
    WorkerAtWork worker;
    worker.settled().ask("prepare");
    const auto answer = worker.next<Answer>();
    CHECK(answer.decision.verdict == Verdict::accepted);
    CHECK(answer.must_prepare);
    worker.prepare();
    CHECK_FALSE(worker.next<WorkerReady>().must_prepare);
}

TEST_CASE("a preparation that fails is reported, and the next request does without", "[worker]")
{
    WorkerAtWork worker{{{"one", "down prepare"}, {"two", "down prepare"}}};
    CHECK(worker.next<WorkerReady>().must_prepare);
    worker.prepare();
    CHECK(worker.next<ServerFailed>().server == 0);
    CHECK(worker.next<ServerFailed>().server == 1);
    CHECK_FALSE(worker.next<WorkerReady>().must_prepare);
    worker.ask("which");
    CHECK(worker.next<Answer>().decision.reason == worker.file("one"));
}

TEST_CASE("a worker that would renew what it has prepared asks first, once", "[worker]")
{
    WorkerAtWork worker;
    worker.settled().ask("renew");
    CHECK(worker.next<Answer>().must_prepare);
    worker.prepare();
    CHECK_FALSE(worker.next<WorkerReady>().must_prepare);
    CHECK(worker.next<WorkerReady>().must_prepare);
    CHECK(worker.asked("one") == Occasions{"prepare", "check", "prepare"});
    SECTION("and may")
    {
        worker.prepare();
        CHECK_FALSE(worker.next<WorkerReady>().must_prepare);
        CHECK(worker.asked("one").size() == 4);
        CHECK(worker.next<WorkerReady>().must_prepare); // and so on
    }
    SECTION("and answers meanwhile, if it is asked")
    {
        worker.ask("which");
        CHECK(worker.next<Answer>().decision.reason == worker.file("one"));
    }
}

TEST_CASE("a worker that hangs ends by itself, however many it has answered before", "[worker]")
{
    WorkerAtWork worker;
    worker.settled();
    for (int i = 0; i < 3; ++i) {
        worker.ask("anybody", 0, "good", 10ms);
        CHECK(worker.next<Answer>().decision.verdict == Verdict::accepted);
    }
    worker.ask("sleep", 0, "good", 10ms);
    const int status = worker.wait_for_end();
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGKILL);
}

TEST_CASE("a worker that nobody asks any more lives on", "[worker]")
{
    WorkerAtWork worker;
    worker.settled();
    worker.ask("anybody", 0, "good", 10ms);
    CHECK(worker.next<Answer>().decision.verdict == Verdict::accepted);
    std::this_thread::sleep_for(lifeline_grace + lifeline_slack +
                                200ms); // what is looked for is that it does not end
    worker.ask("anybody");
    CHECK(worker.next<Answer>().decision.verdict == Verdict::accepted);
}

TEST_CASE("a worker whose options break a rule of their type says that none like it can work", "[worker]")
{
    auto [front, worker] = make_message_sockets();
    const UniqueFd plugin = open_plugin(POSTERN_PLUGIN_DIRECTORY "/" + plugin_file_name("fault"));
    WorkerSetup setup;
    setup.backend = "mail";
    setup.type = "rimap";
    setup.options = {{"rimap_tls", "none"}, {"rimap_ca_file", "/ca.pem"}};
    const TaskQueue::Ends tasks = TaskQueue::make();
    send_setup(front, setup, std::array{plugin.get(), tasks.taker.fd(), tasks.page.get()});
    CHECK(run_child("", [&worker = worker] { return run_worker(worker); }).status == worker_cannot_work);
    std::string memory(worker_message_bytes_max(64), '\0');
    const auto said = parse_worker_message(front.receive(memory).bytes);
    REQUIRE(said);
    CHECK_THAT(std::get<WorkerLogLine>(*said).text, Catch::StartsWith("mail: rimap_ca_file is set, and"));
}

TEST_CASE("a worker whose backend cannot be made says that none like it can work", "[worker]")
{
    CHECK(end_of_worker("", {}) == worker_cannot_work);
}

TEST_CASE("a worker that fails later on says that the next one may do better", "[worker]")
{
    CHECK(end_of_worker("good", {"outdated", "alice"}) == EXIT_FAILURE);
}

} // namespace postern
