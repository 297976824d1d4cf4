// SPDX-License-Identifier: BSD-2-Clause
//
// The front asks for workers and says which to kill, because it alone knows the deadlines. A worker's channel
// is made here; its first message is the worker's set-up, and then the front gets the other end.
#include "daemon/generation.hpp"

#include "base/host_name.hpp"
#include "base/peer_socket.hpp"
#include "daemon/server_health.hpp"
#include "daemon/setup.hpp"
#include "daemon/store_watch.hpp"
#include "daemon/system_call_filter.hpp"
#include "protocol/sasl_mechanism.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr auto ping_interval = 1s;
constexpr int pings_unanswered_max = 5;
constexpr auto early_end = 1s;          ///< a front that ends sooner is likely to do so again
constexpr int messages_a_turn = 64;     ///< from the front, before signals get their turn
constexpr int last_messages_max = 1024; ///< of a front that is gone
constexpr auto grace = 1s;              ///< for what should end by itself

bool gives_challenges(const Config& config)
{
    const auto is_asked_one = [](const std::string& name) {
        const sasl::MechanismFacts* const mechanism = sasl::find_mechanism(name);
        return mechanism != nullptr && mechanism->asks_challenge;
    };
    return std::ranges::any_of(config.listeners, [&](const ListenerConfig& listener) {
        return std::ranges::any_of(listener.dovecot.mechanisms, is_asked_one);
    });
}

} // namespace

std::chrono::milliseconds longest_deadline(const Config& config)
{
    return std::ranges::max_element(config.listeners, {}, &ListenerConfig::deadline)->deadline;
}

LogStyle log_style(const Config& config)
{
    return {config.ident, config.is_drop_in ? std::string(16, ' ') + ": " : "", config.is_verbose,
            config.logs_json};
}

Generation::Generation(const Services& services, GenerationOwner& owner, Config config, Sockets sockets,
                       bool waits_to_open)
    : services_{services}
    , loop_{services.loop}
    , log_{services.log}
    , owner_{owner}
    , config_{std::move(config)}
    , sockets_{std::move(sockets)}
    , accounts_{config_.user, log_}
    , challenge_key_{gives_challenges(config_) ? services.challenge_key.get(config_.state_directory)
                                               : ChallengeKey{}}
    , workers_{loop_, log_, services.plugins, config_, accounts_}
    , front_timer_{loop_, [this] { start_front(); }}
    , front_kill_timer_{loop_, [this] { kill_process(front_->process); }}
    , ping_timer_{loop_, [this] { ping_front(); }}
    , syslog_timer_{loop_, [this] { connect_front_to_syslog(); }}
    , end_timer_{loop_, [this] { kill_all(); }}
    , waits_to_open_{waits_to_open}
{
}

void Generation::start()
{
    for (const std::string& note : config_.notes)
        log_.warning(note);
    start_front();
}

void Generation::start_front()
try {
    if (is_finishing_)
        return;
    auto [ours, theirs] = make_message_sockets();
    refuse_descriptors(ours.fd()); // a front has none to give
    send_front_setup(ours);
    Front& front =
        front_.emplace(start_role(services_.program, {"posternd", "front"}, theirs.fd(), shows_stderr()),
                       loop_.clock().now());
    front.channel.emplace(loop_, std::move(ours), [this] { on_front(); });
    pings_unanswered_ = 0;
    ping_timer_.schedule(loop_.clock().now() + ping_interval);
} catch (const std::system_error& error) { // no process or descriptor to be had now
    log_.error(std::string{"the front could not be started: "} + error.what());
    if (front_)
        return close_front();
    front_back_off_.on_failure(loop_.clock().now());
    front_timer_.schedule(front_back_off_.until());
}

void Generation::send_front_setup(MessageSocket& channel)
{
    FrontSetup setup;
    setup.account = accounts_.front();
    setup.drops_privileges = accounts_.drops_privileges();
    setup.supervisor = static_cast<std::uint32_t>(::getpid());
    setup.waits_to_open = waits_to_open_;
    setup.log_style = log_style(config_);
    setup.success_level = config_.is_drop_in && !config_.logs_json ? LogLevel::debug : LogLevel::info;
    setup.delayed_max = config_.delayed_max;
    setup.sessions_max = config_.sessions_max;
    setup.listeners = config_.listeners;
    setup.routes = config_.routes;
    setup.challenge_key = challenge_key_;
    setup.host_name = host_name();
    const StoreWatch watch = config_.cache.is_on ? watch_stores(config_.backends) : StoreWatch{};
    setup.cache = config_.cache;
    setup.stores = watch.stores;
    setup.has_store_events = watch.events.is_open();
    for (const BackendConfig& backend : config_.backends)
        setup.pools.push_back({backend.name, std::string{backend.type->name}, backend.pool,
                               server_names(backend), realm_use(*backend.type, backend.options),
                               backend.keeps_logins(), backend.type->heeds_client});
    for (std::size_t i = 0; i < watch.problems.size(); ++i)
        if (!watch.problems[i].empty()) {
            setup.pools[i].is_cached = false;
            log_.warning(config_.backends[i].name + ": its logins are not kept: " + watch.problems[i]);
        }
    std::vector<int> descriptors;
    for (const ListeningSocket* listener : sockets_.listeners)
        descriptors.push_back(listener->fd());
    descriptors.push_back(sockets_.control->fd());
    setup.uses_syslog = config_.log != LogTarget::stderr_only;
    const UniqueFd syslog = setup.uses_syslog ? connect_syslog() : UniqueFd{};
    setup.has_syslog = syslog.is_open();
    if (setup.has_syslog)
        descriptors.push_back(syslog.get());
    setup.has_stream = config_.log != LogTarget::syslog;
    setup.lets_go_of_stderr = !config_.stays_in_foreground;
    const UniqueFd stream = setup.has_stream ? open_error_stream() : UniqueFd{};
    if (setup.has_stream)
        descriptors.push_back(stream.get());
    if (setup.has_store_events)
        descriptors.push_back(watch.events.get());
    send_setup(channel, setup, descriptors);
}

/// A few at a time: a front that strangers have taken over must not keep us from our signals.
void Generation::on_front()
{
    std::array<char, front_message_bytes_max> buffer{};
    for (int i = 0; i < messages_a_turn && front_ && front_->channel; ++i) {
        const MessageSocket::Incoming incoming = front_->channel->receive(buffer);
        if (incoming.state == MessageSocket::Received::nothing)
            return;
        const auto message = parse_front_message(incoming.bytes);
        if (incoming.state != MessageSocket::Received::message || !message)
            return close_front();
        std::visit([this](const auto& known) { take(known); }, *message);
    }
}

/// It has ended, is about to, or is not ours any more.
void Generation::close_front()
{
    front_->channel.reset();
    front_kill_timer_.schedule(loop_.clock().now() + grace);
}

/// A front that is stopped, or hangs in a system call, serves nobody, and nobody else would notice.
void Generation::ping_front()
{
    if (!front_ || !front_->channel)
        return;
    if (++pings_unanswered_ > pings_unanswered_max) {
        log_.error("the front does not answer, and is killed");
        return kill_process(front_->process);
    }
    tell_front(Ping{});
    ping_timer_.schedule(loop_.clock().now() + ping_interval);
}

void Generation::take(const FrontReady&)
{
    if (!is_finishing_ && !std::exchange(is_ready_, true))
        owner_.on_ready(*this);
}

void Generation::take(const StartWorker& order)
try {
    if (order.backend >= config_.backends.size() || workers_.is_full(order.backend))
        return tell_front(WorkerEnded{order.worker});
    const auto worker = workers_.start(services_.program, order.backend, order.worker, shows_stderr());
    tell_front(WorkerStarted{order.worker, worker.pid},
               std::array{worker.channel.fd(), worker.tasks.fd(), worker.task_page.get()});
} catch (const std::system_error& error) { // no process or descriptor to be had now
    log_.error(std::string{"a worker could not be started: "} + error.what());
    tell_front(WorkerEnded{order.worker});
}

void Generation::take(const Pong&)
{
    pings_unanswered_ = 0;
    owner_.on_front_answered(*this);
}

/// Its last words: the process has ended, or is about to.
void Generation::take(const RefusedCall& call)
{
    log_.error("the front was ended: its filter refused the system call " + system_call_name(call.number));
    close_front();
}

void Generation::take(const Finishing&)
{
    if (is_finishing_ && !std::exchange(has_told_finishing_, true))
        owner_.on_finishing(*this);
}

/// A front that does not read any more cannot serve either.
void Generation::tell_front(const SupervisorMessage& message, std::span<const int> descriptors)
{
    std::array<char, supervisor_message_bytes_max> buffer{};
    if (front_ && front_->channel &&
        !front_->channel->send(write_supervisor_message(buffer, message), descriptors))
        kill_process(front_->process);
}

void Generation::tell_reload_ended(std::uint32_t request, const std::string& problem)
{
    tell_front(ReloadEnded{request, problem});
}

void Generation::open()
{
    waits_to_open_ = false;
    tell_front(Open{});
}

bool Generation::on_reaped(pid_t pid, int status)
{
    if (front_ && front_->process.pid == pid) {
        on_front_ended(status);
        return true;
    }
    const auto ended = workers_.on_reaped(pid, status, is_finishing_);
    if (ended)
        on_worker_ended(*ended);
    return ended.has_value();
}

void Generation::on_front_ended(int status)
{
    hear_last_words();
    const TimePoint now = loop_.clock().now();
    const bool was_early = now - front_->started < early_end;
    const std::string name = "front " + std::to_string(front_->process.pid);
    front_kill_timer_.cancel();
    front_.reset();
    workers_.orphan_all(longest_deadline(config_) + grace);
    if (is_finishing_) {
        end_timer_.schedule(now + grace);
        return take(Finishing{});
    }
    log_.error(name + ' ' + wait_status_text(status));
    if (!is_ready_)
        return owner_.on_start_failed(*this, "the front ended before it could serve");
    was_early ? front_back_off_.on_failure(now) : front_back_off_.on_success();
    front_timer_.schedule(front_back_off_.until());
}

/// What a front that is gone had asked for does not matter any more, but why it is gone does.
void Generation::hear_last_words()
{
    std::array<char, front_message_bytes_max> buffer{};
    for (int i = 0; i < last_messages_max && front_->channel; ++i) {
        const MessageSocket::Incoming incoming = front_->channel->receive(buffer);
        if (incoming.state != MessageSocket::Received::message)
            return;
        const auto message = parse_front_message(incoming.bytes);
        if (const auto* call = message ? std::get_if<RefusedCall>(&*message) : nullptr)
            take(*call);
    }
}

void Generation::on_worker_ended(const WorkerProcesses::Ended& ended)
{
    if (ended.id)
        tell_front(WorkerEnded{*ended.id});
    if (!is_ready_ && !is_finishing_ && ended.cannot_work)
        owner_.on_start_failed(*this, "backend " + config_.backends[ended.backend].name + " cannot work");
}

void Generation::connect_front_to_syslog()
{
    const UniqueFd socket = connect_syslog();
    if (socket.is_open())
        tell_front(SyslogSocket{}, std::array{socket.get()});
    else
        syslog_timer_.schedule(loop_.clock().now() + grace);
}

void Generation::finish(Duration patience, bool is_stopping)
{
    is_finishing_ = true;
    front_timer_.cancel();
    end_timer_.schedule(loop_.clock().now() + patience);
    if (front_ && front_->channel)
        tell_front(Finish{is_stopping});
    else
        take(Finishing{});
}

void Generation::kill_all()
{
    if (front_)
        kill_process(front_->process);
    workers_.kill_all();
}

} // namespace postern
