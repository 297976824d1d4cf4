// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker_processes.hpp"

#include "base/peer_socket.hpp"
#include "base/task_queue.hpp"
#include "daemon/worker.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto grace = 1s;               ///< for what should end by itself
constexpr std::size_t workers_slack = 2; ///< those that were replaced may not be reaped yet
constexpr std::size_t workers_spare = 8; ///< the same, where workers are few

std::vector<int> open_plugins(PluginFiles& files, const Config& config)
{
    std::vector<int> plugins;
    for (const BackendConfig& backend : config.backends)
        plugins.push_back(files.open(backend.type->name));
    return plugins;
}

WorkerSetup make_setup(const Config& config, const BackendConfig& backend, const Accounts& accounts)
{
    WorkerSetup setup;
    setup.account = accounts.worker(backend);
    setup.drops_privileges = accounts.drops_privileges();
    setup.lets_go_of_stderr = !config.stays_in_foreground;
    setup.is_verbose = config.is_verbose;
    setup.backend = backend.name;
    setup.type = backend.type->name;
    setup.options = backend.options;
    for (const BackendOption& option : backend.type->options)
        if (const std::string& file = backend.options.find(option.key)->second;
            (option.kind == OptionKind::file || option.kind == OptionKind::present_file) && !file.empty())
            setup.files.push_back(file);
    setup.field_bytes_max =
        std::ranges::max_element(config.listeners, {}, &ListenerConfig::field_bytes_max)->field_bytes_max;
    return setup;
}

std::vector<WorkerSetup> make_setups(const Config& config, const Accounts& accounts)
{
    std::vector<WorkerSetup> setups;
    for (const BackendConfig& backend : config.backends)
        setups.push_back(make_setup(config, backend, accounts));
    return setups;
}

} // namespace

WorkerProcesses::WorkerProcesses(EventLoop& loop, Log& log, PluginFiles& plugins, const Config& config,
                                 const Accounts& accounts)
    : loop_{loop}
    , log_{log}
    , config_{config}
    , plugins_{open_plugins(plugins, config)}
    , setups_{make_setups(config, accounts)}
    , overdue_timer_{loop, [this] { kill_overdue(); }}
{
}

bool WorkerProcesses::is_full(std::size_t backend) const
{
    const auto count = std::ranges::count_if(workers_, [backend](const auto& entry) {
        return entry.second.backend == backend && !entry.second.is_orphan;
    });
    return static_cast<std::size_t>(count) >=
           config_.backends[backend].pool.workers_max * workers_slack + workers_spare;
}

/// The set-up goes in before the front gets its end, so a worker's first message is always ours.
WorkerProcesses::Started WorkerProcesses::start(int program, std::size_t backend, WorkerId id,
                                                bool shows_stderr)
{
    auto [ours, theirs] = make_message_sockets();
    TaskQueue::Ends tasks = TaskQueue::make();
    refuse_descriptors(ours.fd()); // a worker has none to give
    send_setup(ours, setups_.at(backend),
               std::array{plugins_.at(backend), tasks.taker.fd(), tasks.page.get()});
    Worker worker{
        start_role(program, {"posternd", "worker", setups_[backend].backend}, theirs.fd(), shows_stderr), id,
        backend};
    const pid_t pid = worker.process.pid;
    workers_.emplace(pid, std::move(worker));
    return {std::move(ours), std::move(tasks.giver), std::move(tasks.page), static_cast<std::uint32_t>(pid)};
}

/// Null when it has ended meanwhile.
WorkerProcesses::Worker* WorkerProcesses::find(WorkerId id)
{
    const auto worker = std::ranges::find_if(
        workers_, [id](const auto& entry) { return entry.second.id == id && !entry.second.is_orphan; });
    return worker == workers_.end() ? nullptr : &worker->second;
}

void WorkerProcesses::kill(WorkerId id)
{
    if (Worker* const worker = find(id)) {
        worker->is_condemned = true;
        kill_process(worker->process);
    }
}

void WorkerProcesses::release(WorkerId id)
{
    if (Worker* const worker = find(id)) {
        worker->ends_by = loop_.clock().now() + grace;
        kill_overdue();
    }
}

void WorkerProcesses::retire(WorkerId id)
{
    if (Worker* const worker = find(id))
        worker->is_retired = true;
    release(id);
}

void WorkerProcesses::orphan_all(Duration patience)
{
    for (auto& [pid, worker] : workers_) {
        worker.is_orphan = true;
        worker.ends_by = std::min(worker.ends_by, loop_.clock().now() + patience);
    }
    kill_overdue();
}

void WorkerProcesses::kill_overdue()
{
    const TimePoint now = loop_.clock().now();
    TimePoint next = TimePoint::max();
    for (auto& [pid, worker] : workers_)
        if (worker.ends_by <= now)
            kill_process(worker.process);
        else
            next = std::min(next, worker.ends_by);
    overdue_timer_.schedule(next);
}

void WorkerProcesses::kill_all()
{
    for (auto& [pid, worker] : workers_)
        kill_process(worker.process);
}

std::optional<WorkerProcesses::Ended> WorkerProcesses::on_reaped(pid_t pid, int status, bool is_expected)
{
    const auto entry = workers_.extract(pid);
    if (entry.empty())
        return std::nullopt;
    const Worker& worker = entry.mapped();
    if (!is_expected && !((worker.is_orphan || worker.is_retired) && status == 0))
        log_end(worker, status);
    Ended ended;
    if (!worker.is_orphan)
        ended.id = worker.id;
    ended.backend = worker.backend;
    ended.cannot_work = WIFEXITED(status) && WEXITSTATUS(status) == worker_cannot_work;
    return ended;
}

void WorkerProcesses::log_end(const Worker& worker, int status)
{
    const std::string name =
        "worker " + std::to_string(worker.process.pid) + " (" + config_.backends[worker.backend].name + ") ";
    if (worker.is_condemned && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        log_.warning(name + "was killed: it was past its deadline, or gave an answer that is none");
    else
        log_.warning(name + wait_status_text(status));
}

} // namespace postern
