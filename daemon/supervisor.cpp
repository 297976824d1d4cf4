// SPDX-License-Identifier: BSD-2-Clause
//
// The supervisor is the only process that stays root, so it does little: it waits for signals, for the end of
// its children and for messages of a few bytes from the front. It holds the listening sockets, and so a front
// that dies loses nobody: connections wait in the backlog for the next one.
//
// A reload is a start beside what runs: a new generation gets its own front and workers, and only when they
// have shown that they can work does it take over the sockets; the old one finishes what it has begun. What
// fails on the way leaves the old one as it was.
//
// A supervisor that was killed leaves its front behind, which serves on. The next start finds it by its
// control socket, makes sockets beside those that are served, lets them take their place once it can serve
// them, and then asks the old front to finish. Nobody who connects meanwhile finds no socket.
#include "daemon/supervisor.hpp"

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/posix_error.hpp"
#include "daemon/background.hpp"
#include "daemon/challenge_key_file.hpp"
#include "daemon/child_process.hpp"
#include "daemon/generation.hpp"
#include "daemon/plugin_files.hpp"
#include "daemon/run_directory.hpp"
#include "daemon/service_environment.hpp"
#include "daemon/service_manager.hpp"
#include "daemon/sockets.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <list>
#include <string_view>
#include <utility>
#include <vector>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto start_max = 30s; ///< until a generation is ready, or its start has failed
constexpr auto grace = 1s;      ///< for what should end by itself
/// With more that still finish, a reload waits until one has.
constexpr std::size_t generations_max = 6;
constexpr std::ptrdiff_t askers_max = 32; ///< for one reload, of one front

DescriptorLog open_log(const Config& config)
{
    DescriptorLog log{log_style(config)};
    if (config.stays_in_foreground)
        log.set_stream(open_error_stream());
    else // until the start is over, and only what whoever started it should know
        log.set_stream(open_error_stream(), LogLevel::warning);
    if (config.log != LogTarget::stderr_only)
        log.set_syslog(connect_syslog());
    return log;
}

/// A configuration may hold the password of a backend.
void close_own_memory()
{
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    if (::geteuid() == 0) // who is not root could not reopen its own error stream any more
        ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/// A line for each, with `what` in front.
std::string text_of(const Sockets::Problems& problems, const std::string& what = {})
{
    std::string text;
    for (const auto& [path, problem] : problems)
        text.append(text.empty() ? "" : "\n").append(what).append(problem);
    return text;
}

std::string status_with(const Sockets::Problems& problems)
{
    return "logins are served" + (problems.empty() ? "" : ", but: " + text_of(problems));
}

class Supervisor final : private GenerationOwner {
public:
    Supervisor(const ReadConfig& read_config, Config config, ServiceEnvironment environment);

    int run();

private:
    /// Somebody who waits to hear how a reload went.
    struct Asker {
        Generation* generation;
        std::uint32_t request;
    };

    void on_ready(Generation& generation) override;
    void on_start_failed(Generation& generation, const std::string& problem) override;
    void on_finishing(Generation& generation) override;
    void on_front_answered(Generation& generation) override;
    void on_reload_wanted(Generation& generation, std::uint32_t request) override;

    Generation& add_generation(Config config, bool waits_to_open);

    void become_ready();

    void reload();
    void refuse_change_of(const Config& config) const;
    void switch_over();
    void abandon_reload(const std::string& problem);
    void end_reload(const std::string& problem);

    void on_signals();
    void reap();
    void end_turn();
    void on_end_timer();
    void finish(Duration patience, std::string_view status);
    void kill_all();
    void fail_start(const std::string& problem);
    void log_problem(std::string_view what, std::string_view problem);

    const ReadConfig& read_config_;
    std::string run_directory_path_;
    LogTarget log_target_;
    bool logs_json_;
    DescriptorLog log_;
    HeldChallengeKey challenge_key_{log_};
    UniqueFd program_;
    SystemClock clock_;
    EventLoop loop_;
    PluginFiles plugins_;
    RunDirectory run_directory_;
    Background background_;
    ServiceManager service_manager_;
    UniqueFd signals_;
    FdWatch signals_watch_;
    Sockets sockets_;
    Timer end_timer_;    ///< ends a start, or a stop, that takes too long
    Timer reload_timer_; ///< the same for a reload
    std::list<Generation> generations_;
    Generation* current_ = nullptr;  ///< serves
    Generation* next_ = nullptr;     ///< is being started by a reload
    Generation* outgoing_ = nullptr; ///< has been told to finish by a reload, and has not said that it does
    std::vector<Asker> askers_;      ///< of the reload that runs
    std::vector<Asker> askers_next_; ///< of the one after it: they may have changed a file since
    Sockets::Problems problems_;     ///< of the configuration that a reload has put into force
    bool is_reload_wanted_ = false;
    bool is_ready_ = false;
    bool is_finishing_ = false;
    int exit_status_ = EXIT_SUCCESS;
};

Supervisor::Supervisor(const ReadConfig& read_config, Config config, ServiceEnvironment environment)
    : read_config_{read_config}
    , run_directory_path_{config.run_directory}
    , log_target_{config.log}
    , logs_json_{config.logs_json}
    , log_{open_log(config)}
    , program_{open_own_program()}
    , loop_{clock_}
    , run_directory_{config.run_directory, config.is_drop_in ? "saslauthd" : "posternd",
                     !config.stays_in_foreground}
    , background_{config.stays_in_foreground}
    , service_manager_{loop_, log_, environment}
    , signals_{open_signal_fd({SIGTERM, SIGINT, SIGHUP, SIGCHLD})}
    , signals_watch_{loop_, signals_.get(), EPOLLIN, [this](std::uint32_t) { on_signals(); }}
    , sockets_{log_, service_manager_, config, std::move(environment.descriptors)}
    , end_timer_{loop_, [this] { on_end_timer(); }}
    , reload_timer_{loop_, [this] { abandon_reload("the backends did not become ready"); }}
{
    log_.on_syslog_lost([this] { log_.set_syslog(connect_syslog()); });
    loop_.at_turn_end([this] { end_turn(); });
    current_ = &add_generation(std::move(config), sockets_.has_orphan());
}

int Supervisor::run()
try {
    log_.info("master pid is: " + std::to_string(::getpid()));
    end_timer_.schedule(clock_.now() + start_max);
    current_->start();
    loop_.run();
    log_.info("master exited: " + std::to_string(::getpid()));
    return exit_status_;
} catch (const std::exception& error) {
    log_.error(std::string{"the supervisor ends: "} + error.what()); // the terminal may be gone
    throw;
}

Generation& Supervisor::add_generation(Config config, bool waits_to_open)
{
    GenerationOwner& owner = *this;
    Generation::Sockets sockets = sockets_.lend(config);
    return generations_.emplace_back(
        Generation::Services{loop_, log_, program_.get(), plugins_, challenge_key_}, owner, std::move(config),
        std::move(sockets), waits_to_open);
}

// --- start -------------------------------------------------------------------------------------------------

void Supervisor::on_ready(Generation& generation)
{
    if (is_finishing_)
        return;
    if (&generation == next_)
        switch_over();
    else if (&generation == current_ && !std::exchange(is_ready_, true))
        become_ready();
}

void Supervisor::become_ready()
{
    end_timer_.cancel();
    run_directory_.write_pid(::getpid());
    const Sockets::Problems problems = sockets_.take_places(current_->config());
    current_->open();
    sockets_.store();
    log_problem("", text_of(problems));
    for (const ListenerConfig& listener : current_->config().listeners)
        if (!problems.contains(listener.socket))
            log_.info("listening on socket: " + listener.socket);
    run_directory_.remove_start_lock();
    if (log_target_ == LogTarget::syslog)
        log_.set_stream({});
    background_.report_ready();
    service_manager_.report_ready(status_with(problems));
}

void Supervisor::on_start_failed(Generation& generation, const std::string& problem)
{
    if (&generation == next_)
        abandon_reload(problem);
    else if (!is_ready_)
        fail_start(problem);
}

/// The front may still have to log why.
void Supervisor::fail_start(const std::string& problem)
{
    if (is_finishing_)
        return;
    log_problem("cannot start: ", problem);
    exit_status_ = EXIT_FAILURE;
    finish(grace, "cannot start: " + problem);
}

// --- reload ------------------------------------------------------------------------------------------------

void Supervisor::on_reload_wanted(Generation& generation, std::uint32_t request)
{
    const auto waiting = std::ranges::count(askers_next_, &generation, &Asker::generation);
    if (is_finishing_ || waiting >= askers_max)
        return generation.tell_reload_ended(request, "the daemon ends, or too many ask at once");
    askers_next_.push_back({&generation, request});
    is_reload_wanted_ = true;
}

/// One at a time; who asks meanwhile is served by the next.
void Supervisor::reload()
try {
    is_reload_wanted_ = false;
    askers_ = std::exchange(askers_next_, {});
    service_manager_.report_reloading();
    Config config = read_config_();
    refuse_change_of(config);
    sockets_.open(config);
    reload_timer_.schedule(clock_.now() + start_max);
    next_ = &add_generation(std::move(config), true);
    next_->start();
} catch (const std::exception& error) {
    abandon_reload(error.what());
}

void Supervisor::refuse_change_of(const Config& config) const
{
    if (config.run_directory != run_directory_path_)
        throw ConfigError{"another run_directory takes a restart"};
    if (config.log != log_target_ || config.logs_json != logs_json_)
        throw ConfigError{"another target or format of the log takes a restart"};
}

/// The new front is told to open first: at no time does nobody accept connections.
void Supervisor::switch_over()
{
    reload_timer_.cancel();
    outgoing_ = std::exchange(current_, std::exchange(next_, nullptr));
    problems_ = sockets_.take_places(current_->config());
    current_->open();
    sockets_.close_all_but(current_->config());
    sockets_.store();
    outgoing_->finish(longest_deadline(outgoing_->config()) + grace, false);
}

void Supervisor::on_front_answered(Generation& generation)
{
    if (&generation == current_)
        service_manager_.feed_watchdog();
}

void Supervisor::on_finishing(Generation& generation)
{
    if (&generation != outgoing_)
        return;
    outgoing_ = nullptr;
    const std::string problem = text_of(problems_, "the configuration is in force, but: ");
    log_problem("", problem);
    if (problem.empty())
        log_.info("the configuration was read again, and is in force");
    service_manager_.report_ready(status_with(problems_));
    end_reload(problem);
}

void Supervisor::abandon_reload(const std::string& problem)
{
    reload_timer_.cancel();
    if (Generation* const failed = std::exchange(next_, nullptr))
        failed->finish(grace, true);
    sockets_.close_all_but(current_->config());
    log_problem("the configuration is not changed: ", problem);
    service_manager_.report_ready("logins are served, but the configuration is not changed: " + problem);
    end_reload(problem);
}

void Supervisor::end_reload(const std::string& problem)
{
    for (const Asker& asker : std::exchange(askers_, {}))
        asker.generation->tell_reload_ended(asker.request, problem);
}

// --- life and end ------------------------------------------------------------------------------------------

void Supervisor::on_signals()
{
    while (const int signal = next_signal(signals_.get())) {
        if (signal == SIGCHLD)
            reap();
        else if (signal == SIGHUP)
            is_reload_wanted_ = true;
        else if (is_finishing_)
            kill_all(); // asked twice: whoever asks has no time
        else
            finish(longest_deadline(current_->config()) + grace, "the last logins are served");
    }
}

/// As process 1 of a container, also what others have left behind.
void Supervisor::reap()
{
    std::vector<std::pair<pid_t, int>> ended;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;)
        ended.emplace_back(pid, status);
    for (Generation& generation : generations_)
        generation.hear_front();
    for (const auto& [pid, how] : ended)
        for (Generation& generation : generations_)
            if (generation.on_reaped(pid, how))
                break;
}

/// Generations are destroyed here, where none of their code is on the stack.
void Supervisor::end_turn()
{
    const auto is_over = [this](const Generation& generation) {
        return generation.is_over() && (is_finishing_ || &generation != current_);
    };
    for (const Generation& generation : generations_)
        if (is_over(generation)) {
            std::erase_if(askers_, [&](const Asker& asker) { return asker.generation == &generation; });
            std::erase_if(askers_next_, [&](const Asker& asker) { return asker.generation == &generation; });
        }
    generations_.remove_if(is_over);
    if (is_finishing_ && generations_.empty())
        return loop_.stop();
    const bool can_reload = is_ready_ && !is_finishing_ && next_ == nullptr && outgoing_ == nullptr &&
                            generations_.size() < generations_max;
    if (is_reload_wanted_ && can_reload)
        reload();
}

void Supervisor::on_end_timer()
{
    is_finishing_ ? kill_all() : fail_start("the backends did not become ready");
}

/// No new connection is made from here on; the fronts serve those that are there and end.
void Supervisor::finish(Duration patience, std::string_view status)
{
    is_finishing_ = true;
    service_manager_.report_stopping(status);
    next_ = nullptr;
    outgoing_ = nullptr;
    askers_.insert(askers_.end(), askers_next_.begin(), askers_next_.end());
    askers_next_.clear();
    end_reload("the daemon ends");
    sockets_.close();
    reload_timer_.cancel();
    end_timer_.schedule(clock_.now() + patience);
    for (Generation& generation : generations_)
        generation.finish(patience, true);
}

/// One event is one line, and a configuration may have many problems.
void Supervisor::log_problem(std::string_view what, std::string_view problem)
{
    while (!problem.empty()) {
        const std::size_t end = std::min(problem.find('\n'), problem.size());
        log_.error(std::string{what} + std::string{problem.substr(0, end)});
        problem.remove_prefix(std::min(end + 1, problem.size()));
    }
}

void Supervisor::kill_all()
{
    for (Generation& generation : generations_)
        generation.kill_all();
}

} // namespace

int run_supervisor(const ReadConfig& read_config)
{
    ServiceEnvironment environment = take_service_environment();
    Config config = read_config();
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL); // a caller may have ignored it, and then no child could be reaped
    tidy_descriptors(environment.descriptors);
    close_own_memory();
    return Supervisor{read_config, std::move(config), std::move(environment)}.run();
}

} // namespace postern
