// SPDX-License-Identifier: BSD-2-Clause
//
// One thread, one event loop, no locks. The member list of Front, in order, is its architecture: what it is
// told, what it talks through, who decides, who is being served.
#include "daemon/front.hpp"

#include "base/event_loop.hpp"
#include "base/log.hpp"
#include "base/message_channel.hpp"
#include "base/posix_error.hpp"
#include "base/secret.hpp"
#include "base/version.hpp"
#include "daemon/authenticator.hpp"
#include "daemon/control_listener.hpp"
#include "daemon/front_bounds.hpp"
#include "daemon/listeners.hpp"
#include "daemon/sandbox.hpp"
#include "daemon/setup.hpp"
#include "daemon/system_call_filter.hpp"
#include "daemon/workforce.hpp"
#include "protocol/supervisor_messages.hpp"

#include <sodium.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <optional>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto time_between_looks = 1s;

std::vector<Authenticator::BackendTerms> backends_of(const std::vector<PoolSetup>& pools)
{
    std::vector<Authenticator::BackendTerms> backends;
    for (const PoolSetup& pool : pools) {
        const BackendType* const type = find_backend_type(pool.type);
        const auto mechanisms = type == nullptr ? std::span<const std::string_view>{} : type->mechanisms;
        backends.push_back({pool.backend, mechanisms, pool.realm_use});
    }
    return backends;
}

std::vector<LoginCache::BackendTerms> cache_terms_of(const std::vector<PoolSetup>& pools)
{
    std::vector<LoginCache::BackendTerms> terms;
    for (const PoolSetup& pool : pools)
        terms.push_back({pool.is_cached, pool.heeds_client});
    return terms;
}

LoginCache::Settings cache_settings_of(const CacheConfig& cache)
{
    constexpr std::size_t kib = 1024;
    return {cache.is_on ? cache_entries_in(cache.size_kib * kib) : 0, cache.lifetime};
}

void random_bytes(std::span<unsigned char> bytes)
{
    randombytes_buf(bytes.data(), bytes.size());
}

std::uint64_t open_files_max()
{
    rlimit limit{};
    check(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    return limit.rlim_cur;
}

/// They come behind everything else.
UniqueFd take_store_events(const FrontSetup& setup, std::vector<UniqueFd>& descriptors)
{
    const std::size_t place =
        setup.listeners.size() + 1 + (setup.has_syslog ? 1 : 0) + (setup.has_stream ? 1 : 0);
    return setup.has_store_events ? std::move(descriptors.at(place)) : UniqueFd{};
}

/// What the log is written to comes behind the listening sockets and the control socket.
DescriptorLog open_log(const FrontSetup& setup, std::vector<UniqueFd>& descriptors)
{
    DescriptorLog log{setup.log_style};
    std::size_t next = setup.listeners.size() + 1;
    if (setup.uses_syslog)
        log.set_syslog(setup.has_syslog ? std::move(descriptors.at(next++)) : UniqueFd{});
    if (setup.has_stream)
        log.set_stream(std::move(descriptors.at(next)));
    return log;
}

class Front final : private ControlHost {
public:
    Front(MessageSocket channel, FrontSetup setup, std::vector<UniqueFd> descriptors, DescriptorLog& log);

    void run();

private:
    using Descriptors = std::vector<UniqueFd>;

    void on_supervisor();
    void take(const WorkerStarted& started, Descriptors descriptors);
    void take(const WorkerEnded& ended, const Descriptors&);
    void take(const SyslogSocket&, Descriptors descriptors);
    void take(const Ping&, const Descriptors&);
    void take(const Open&, const Descriptors&);
    void take(const Finish& finish, const Descriptors&);
    void take(const ReloadEnded& ended, const Descriptors&);
    void tell_supervisor(const FrontMessage& message);
    void lose_supervisor();
    void finish_serving(bool is_stop);

    void end_turn();
    void open_when_ready();
    void serve_on_alone();
    void look_around();

    [[nodiscard]] StatusReport status() const override;
    [[nodiscard]] std::variant<ReloadId, std::string> reload(OnReloadEnd on_end) override;
    void forget_reload(ReloadId reload) noexcept override { reloads_.erase(reload); }
    void finish() override { is_asked_to_finish_ = true; }
    void finish_unless_supervised();
    void tell_of_lost_store(std::size_t backend);
    [[nodiscard]] std::size_t flush(const control::Whose& whose) override;

    FrontSetup setup_;
    SystemClock clock_;
    DescriptorLog& log_;
    std::size_t sessions_max_;
    SecretArena secrets_;
    EventLoop loop_;
    std::optional<MessageChannel> supervisor_; ///< none: it is gone
    Timer wake_up_;
    Timer look_around_; ///< where nobody logs in, the cache is tidied, and the kernel need not hold many
                        ///< changes
    Workforce workforce_;
    LoginCache cache_;
    Authenticator authenticator_;
    Listeners listeners_;
    std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
    std::map<ReloadId, OnReloadEnd> reloads_; ///< asked of the supervisor
    ReloadId next_reload_ = 1;
    ControlListener control_;
    bool is_asked_to_finish_ = false;
    bool is_alone_ = false;
    bool is_listening_ = false;
    bool is_ready_ = false;
    bool is_finishing_ = false;
    bool has_told_of_unlocked_memory_ = false;
};

Front::Front(MessageSocket channel, FrontSetup setup, std::vector<UniqueFd> descriptors, DescriptorLog& log)
    : setup_{std::move(setup)}
    , log_{log}
    , sessions_max_{sessions_possible(setup_, open_files_max())}
    , secrets_{slot_bytes(setup_), slots_max(setup_, sessions_max_)}
    , loop_{clock_}
    , wake_up_{loop_, [] {}} // what is due is found at the end of the turn
    , look_around_{loop_, [this] { look_around(); }}
    , workforce_{loop_,
                 log_,
                 secrets_,
                 randombytes_uniform,
                 [this](const FrontMessage& message) { tell_supervisor(message); },
                 setup_.pools}
    , cache_{clock_, cache_settings_of(setup_.cache), cache_terms_of(setup_.pools),
             StoreChanges{take_store_events(setup_, descriptors), setup_.stores, setup_.pools.size(),
                          [this](std::size_t backend) { tell_of_lost_store(backend); }}}
    , authenticator_{clock_,
                     log_,
                     randombytes_uniform,
                     workforce_.pools(),
                     {setup_.routes, backends_of(setup_.pools), setup_.delayed_max, setup_.success_level,
                      setup_.challenge_key, setup_.host_name, setup_.cache.is_on ? &cache_ : nullptr}}
    , listeners_{loop_, log_, secrets_, random_bytes, authenticator_, sessions_max_}
    , control_{loop_, log_, *this, std::move(descriptors.at(setup_.listeners.size()))}
{
    supervisor_.emplace(loop_, std::move(channel), [this] { on_supervisor(); });
    log_.on_syslog_lost([this] { tell_supervisor(NeedSyslog{}); });
    for (std::size_t i = 0; i < setup_.listeners.size(); ++i)
        listeners_.add(setup_.listeners[i], std::move(descriptors.at(i)));
    loop_.at_turn_end([this] { end_turn(); });
    loop_.after_each_watch([this] { authenticator_.let_leave(); });
    if (!setup_.waits_to_open)
        control_.open();
    if (setup_.cache.is_on)
        look_around();
}

void Front::run()
{
    loop_.run();
}

/// What is due in all parts, once a turn; then sleep until the next thing is.
void Front::end_turn()
{
    if (is_alone_ && supervisor_)
        serve_on_alone();
    if (is_asked_to_finish_)
        finish_unless_supervised();
    workforce_.end_overdue();                                 // what ends there leaves at once,
    const TimePoint next_login = authenticator_.tick();       // and what is given up here costs a worker,
    const TimePoint next_worker = workforce_.start_missing(); // who is replaced
    wake_up_.schedule(std::min(next_login, next_worker));
    if (!secrets_.is_locked() && !std::exchange(has_told_of_unlocked_memory_, true))
        log_.warning("not all memory with passwords could be locked: they may reach swap space");
    if (!is_finishing_)
        open_when_ready();
    if (is_finishing_ && listeners_.sessions() == 0 && reloads_.empty())
        loop_.stop();
}

/// A backend that does not come up keeps nobody waiting whom another one can serve; but the daemon has only
/// started when all have.
void Front::open_when_ready()
{
    if (!is_listening_ && !setup_.waits_to_open && workforce_.has_settled()) {
        is_listening_ = true;
        listeners_.open();
    }
    if (!is_ready_ && workforce_.has_been_ready()) {
        is_ready_ = true;
        tell_supervisor(FrontReady{});
    }
}

/// Its supervisor was killed. The sockets are still there, and so are the workers: nobody who logs in need
/// notice, until another daemon takes over, or the last worker has ended.
void Front::serve_on_alone()
{
    supervisor_.reset();
    workforce_.on_supervisor_lost();
    if (is_finishing_)
        return;
    if (setup_.waits_to_open) // another front serves, with a configuration that is known to work
        return finish_serving(true);
    log_.error("the supervisor is gone: this front serves on with the workers that it has");
    for (const auto& [id, on_end] : std::exchange(reloads_, {}))
        on_end("the supervisor is gone");
}

void Front::look_around()
{
    cache_.look();
    look_around_.schedule(clock_.now() + time_between_looks);
}

/// Asked by a daemon that takes over from a supervisor that is dead; which may be known only now.
void Front::finish_unless_supervised()
{
    is_asked_to_finish_ = false;
    on_supervisor();
    if (is_alone_ || !supervisor_)
        finish_serving(false);
    else
        log_.warning("the front was asked to finish, but has a supervisor: it serves on");
}

// --- the control socket ------------------------------------------------------------------------------------

StatusReport Front::status() const
{
    StatusReport report;
    report.version = version;
    report.supervisor = supervisor_ && !is_alone_ ? setup_.supervisor : 0;
    report.front = static_cast<std::uint32_t>(::getpid());
    report.since = std::chrono::system_clock::to_time_t(since_);
    report.is_finishing = is_finishing_;
    report.logins = authenticator_.counts().verdicts;
    report.sessions = listeners_.sessions();
    report.sessions_max = sessions_max_;
    report.sessions_displaced = listeners_.displaced();
    report.delayed = authenticator_.delayed();
    report.delayed_max = setup_.delayed_max;
    report.left_early = authenticator_.counts().left_early;
    report.log_lines_dropped = log_.dropped_in_all();
    for (const ListenerConfig& listener : setup_.listeners)
        report.listeners.push_back({listener.name, listener.socket, setup_.routes[listener.route].name,
                                    std::string{protocol_text(listener.protocol)}});
    report.cache = cache_.status();
    report.backends = workforce_.status();
    for (std::size_t i = 0; i < report.backends.size(); ++i) {
        report.backends[i].decisions = authenticator_.counts().decisions[i];
        report.backends[i].durations = durations_of(authenticator_.counts().decision_durations[i]);
    }
    report.durations = durations_of(authenticator_.counts().durations);
    report.cache.durations = durations_of(authenticator_.counts().recall_durations);
    report.duration_bounds_us = duration_bounds_us();
    return report;
}

std::size_t Front::flush(const control::Whose& whose)
{
    if (!whose.user.empty())
        return cache_.forget_user(whose.user);
    return whose.realm.empty() ? cache_.forget_all() : cache_.forget_realm(whose.realm);
}

void Front::tell_of_lost_store(std::size_t backend)
{
    log_.warning(
        setup_.pools[backend].backend +
        ": its logins are not kept any more, since changes of its store cannot "
        "be seen: a part of the path to it is another one now, or there were too many; the next front looks "
        "anew");
}

std::variant<ControlHost::ReloadId, std::string> Front::reload(OnReloadEnd on_end)
{
    if (!supervisor_ || is_alone_)
        return "the supervisor is gone: start the daemon again, and it takes over";
    const ReloadId id = next_reload_++;
    reloads_.emplace(id, std::move(on_end));
    tell_supervisor(Reload{id});
    return id;
}

void Front::take(const ReloadEnded& ended, const Descriptors&)
{
    auto reload = reloads_.extract(ended.request);
    if (!reload.empty())
        reload.mapped()(ended.problem);
}

// --- the supervisor ----------------------------------------------------------------------------------------

void Front::on_supervisor()
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    while (!is_alone_) {
        MessageSocket::Incoming incoming = supervisor_->receive_with_descriptors(buffer);
        if (incoming.state == MessageSocket::Received::nothing)
            return;
        const auto message = parse_supervisor_message(incoming.bytes);
        if (incoming.state != MessageSocket::Received::message || !message)
            return lose_supervisor();
        std::visit([&](const auto& known) { take(known, std::move(incoming.descriptors)); }, *message);
    }
}

void Front::take(const WorkerStarted& started, Descriptors descriptors)
{
    if (descriptors.size() == 3)
        workforce_.on_started(started, MessageSocket{std::move(descriptors[0])},
                              MessageSocket{std::move(descriptors[1])}, descriptors[2]);
}

void Front::take(const WorkerEnded& ended, const Descriptors&)
{
    workforce_.on_ended(ended.worker);
}

void Front::take(const SyslogSocket&, Descriptors descriptors)
{
    log_.set_syslog(descriptors.empty() ? UniqueFd{} : std::move(descriptors.front()));
}

void Front::take(const Ping&, const Descriptors&)
{
    tell_supervisor(Pong{});
}

void Front::take(const Open&, const Descriptors&)
{
    setup_.waits_to_open = false;
    control_.open();
}

void Front::take(const Finish& finish, const Descriptors&)
{
    finish_serving(finish.is_stop);
}

/// A supervisor that does not read is gone, or hopeless.
void Front::tell_supervisor(const FrontMessage& message)
{
    std::array<char, front_message_bytes_max> buffer{};
    if (supervisor_ && !supervisor_->send(write_front_message(buffer, message)))
        lose_supervisor();
}

void Front::lose_supervisor()
{
    is_alone_ = true; // the channel itself is closed at the end of the turn: this may be a call from it
}

/// Everybody who has connected is still served; nobody new is.
void Front::finish_serving(bool is_stop)
{
    if (!std::exchange(is_finishing_, true)) {
        listeners_.close(!setup_.waits_to_open); // one that never opened leaves its peers to the one that did
        control_.close();
        cache_.close(); // nobody can have it forget anything now
        tell_supervisor(Finishing{});
    }
    if (is_stop)
        listeners_.hurry_peers();
}

} // namespace

int run_front(MessageSocket channel)
{
    auto [setup, descriptors] = receive_front_setup(channel);
    DescriptorLog log = open_log(setup, descriptors);
    const bool lets_go_of_stderr = setup.lets_go_of_stderr;
    try {
        ::tzset(); // while its file can be opened
        enter_front_sandbox(setup.account, setup.drops_privileges);
        Front front{std::move(channel), std::move(setup), std::move(descriptors), log};
        if (lets_go_of_stderr)
            let_go_of_stderr();
        load_system_call_filter();
        front.run();
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        log.error(std::string{"front: "} + error.what());
        if (lets_go_of_stderr)
            std::cerr << "front: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}

} // namespace postern
