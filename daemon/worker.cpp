// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker.hpp"

#include "backends/backend_types.hpp"
#include "backends/plugin_loader.hpp"
#include "base/log.hpp"
#include "base/posix_error.hpp"
#include "base/task_queue.hpp"
#include "daemon/sandbox.hpp"
#include "daemon/setup.hpp"
#include "daemon/syslog_capture.hpp"
#include "daemon/task_times.hpp"
#include "protocol/worker_messages.hpp"

#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

namespace postern {

namespace {

/// Slots: one for messages, one for the password in work, and some for what a backend reads.
constexpr std::size_t secret_slots = 8;

/// Between two renewals of what was prepared: a backend that wants it sooner would do nothing else.
constexpr std::chrono::milliseconds shortest_renewal{100};
constexpr std::chrono::milliseconds never{INT_MAX};

/// Who has waited for so long for a task lets go of his lifeline; before, the next one may be on its way.
constexpr std::chrono::milliseconds rests_after{250};
static_assert(rests_after * 2 < lifeline_grace && rests_after < std::chrono::seconds{1});

/// Libraries free copies of a password without wiping them: the allocator overwrites what is freed.
constexpr int freed_memory_byte = 0xa5;

/// False when the front is gone.
[[nodiscard]] bool say(MessageSocket& channel, const WorkerMessage& message)
{
    std::array<char, 2048> memory{};
    return channel.send(write_worker_message(memory, message));
}

/// Ends this process by itself when a request takes too long and nobody is left to do it: the front asks the
/// supervisor for that, but both can be gone, and a backend that hangs would keep a password for ever.
class Lifeline {
public:
    Lifeline()
    {
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGKILL;
        check(::timer_create(CLOCK_MONOTONIC, &event, &timer_), "timer_create");
    }
    Lifeline(const Lifeline&) = delete;
    Lifeline& operator=(const Lifeline&) = delete;
    ~Lifeline() { ::timer_delete(timer_); }

    /// When `time` is over or soon after it: who works without a pause need not set a timer for each task.
    void hold(std::chrono::milliseconds time) noexcept
    {
        const TimePoint earliest = steady_clock::now() + time;
        if (!ends_ || *ends_ < earliest || *ends_ > earliest + lifeline_slack)
            set(earliest + lifeline_slack);
    }

    void let_go() noexcept
    {
        if (ends_)
            set(std::nullopt);
    }

    /// Lets go unless it may be held for as long as that.
    void let_go_unless(std::chrono::milliseconds held) noexcept
    {
        if (ends_ && *ends_ <= steady_clock::now() + held)
            let_go();
    }

private:
    using steady_clock = std::chrono::steady_clock;
    using TimePoint = steady_clock::time_point;

    void set(std::optional<TimePoint> ends) noexcept
    {
        itimerspec spec{};
        if (ends) {
            const auto time = ends->time_since_epoch();
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
            spec.it_value = {seconds.count(), std::chrono::nanoseconds{time - seconds}.count()};
        }
        ::timer_settime(timer_, TIMER_ABSTIME, &spec, nullptr);
        ends_ = ends;
    }

    timer_t timer_{};
    std::optional<TimePoint> ends_;
};

/// The log of a worker: lines go to the front, and nobody waits for them. A line that may hold a password
/// does not: libraries write what they like.
///
/// Only the password in work is known. So no foreign line leaves while none is, and no line at all that
/// another thread or a child has written. A module that keeps a password and writes it during a later login
/// is not noticed.
class WorkerLog final : public Log {
public:
    WorkerLog(int channel, bool writes_debug) : channel_{channel}, writes_debug_{writes_debug} {}

    /// No line with `password` in it is sent until it is null again.
    void withhold(const Secret* password) noexcept { withheld_ = password; }

    void write(LogLevel level, std::string_view text) noexcept override
    {
        send(level, text, LogOrigin::postern);
    }

    void write_foreign(LogOrigin origin, LogLevel level, std::string_view text) noexcept override
    {
        send(level, text, origin);
    }

    [[nodiscard]] bool writes_debug() const noexcept override { return writes_debug_; }

private:
    void send(LogLevel level, std::string_view text, LogOrigin origin) noexcept
    try {
        if (level == LogLevel::debug && !writes_debug_)
            return;
        if (may_hold_password(text, origin)) {
            text = "a line was withheld: it may have held the password";
            origin = LogOrigin::postern;
        }
        std::array<char, 2048> memory{};
        const auto line = write_worker_message(memory, WorkerLogLine{level, std::string{text}, origin});
        static_cast<void>(::send(channel_, line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    } catch (const std::exception&) { // out of memory
    }

    /// The password may be looked at by the worker's own thread alone: to another one it may be gone, and a
    /// child has none (base/secret.hpp).
    [[nodiscard]] bool may_hold_password(std::string_view text, LogOrigin origin) const noexcept
    {
        if (::gettid() != thread_)
            return true;
        if (withheld_ == nullptr)
            return origin != LogOrigin::postern;
        return !withheld_->empty() && text.find(withheld_->view()) != std::string_view::npos;
    }

    int channel_;
    bool writes_debug_;
    pid_t thread_ = ::gettid();
    const Secret* withheld_ = nullptr;
};

/// A password is in work for as long as this object lives.
class Withholding {
public:
    Withholding(WorkerLog& log, const Secret& password) : log_{log} { log.withhold(&password); }
    Withholding(const Withholding&) = delete;
    Withholding& operator=(const Withholding&) = delete;
    ~Withholding() { log_.withhold(nullptr); }

private:
    WorkerLog& log_;
};

/// What the backend knows of its servers: what the front has said with the task in work. Between tasks there
/// is no time for any of them.
class WorkerServers final : public Servers {
public:
    explicit WorkerServers(int channel) : channel_{channel} {}

    void begin(ServerSet left_alone, std::chrono::milliseconds time)
    {
        left_alone_ = left_alone;
        ends_ = std::chrono::steady_clock::now() + time;
    }
    void end() noexcept { ends_.reset(); }

    [[nodiscard]] ServerSet left_alone() const noexcept override { return left_alone_; }

    [[nodiscard]] std::chrono::milliseconds time_left() const noexcept override
    {
        using std::chrono::milliseconds;
        if (!ends_)
            return milliseconds::zero();
        const auto left = *ends_ - std::chrono::steady_clock::now();
        return std::max(milliseconds::zero(), std::chrono::duration_cast<milliseconds>(left));
    }

    void failed(std::size_t server, std::string_view problem) noexcept override
    {
        tell(server, problem, true);
    }

    void doubt(std::size_t server, std::string_view problem) noexcept override
    {
        tell(server, problem, false);
    }

private:
    /// At once, since others are about to ask the same server; and without waiting.
    void tell(std::size_t server, std::string_view problem, bool is_certain) noexcept
    try {
        if (!ends_)
            return;
        std::array<char, 2048> memory{};
        const auto message = write_worker_message(
            memory, ServerFailed{static_cast<std::uint8_t>(server), std::string{problem}, is_certain});
        static_cast<void>(::send(channel_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    } catch (const std::exception&) { // out of memory
    }

    int channel_;
    ServerSet left_alone_;
    std::optional<std::chrono::steady_clock::time_point> ends_; ///< of the task in work
};

class Worker {
public:
    Worker(MessageSocket& channel, TaskTaker tasks, const WorkerSetup& setup)
        : channel_{channel}
        , tasks_{std::move(tasks)}
        , log_{channel.fd(), setup.is_verbose}
        , syslog_capture_{log_}
        , secrets_{worker_message_bytes_max(setup.field_bytes_max), secret_slots}
        , buffer_{secrets_, {}}
        , servers_{channel.fd()}
    {
        const timeval wait{0, std::chrono::microseconds{rests_after}.count()};
        check(::setsockopt(tasks_.fd(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), "setsockopt");
    }

    void load_backend(int plugin, const WorkerSetup& setup)
    {
        const BackendType* const type = find_backend_type(setup.type);
        if (type != nullptr && type->rule != nullptr)
            if (const std::string problem = type->rule(setup.options).problem; !problem.empty())
                throw BackendError{problem};
        backend_ = load_plugin(plugin, setup.type).make_backend({setup.options, secrets_, log_, servers_});
    }

    void run(bool reads_any_file)
    {
        bool has_front = tell(WorkerReady{reads_any_file});
        while (has_front)
            has_front = await_task() && serve_one();
    }

private:
    bool serve_one()
    {
        const MessageSocket::Incoming incoming = tasks_.take(buffer_.buffer());
        if (incoming.state == MessageSocket::Received::nothing)
            return rest();
        if (incoming.state != MessageSocket::Received::message)
            return false;
        auto task = parse_worker_task(incoming.bytes, secrets_);
        sodium_memzero(buffer_.buffer().data(), incoming.bytes.size());
        return task && std::visit([this](auto& known) { return serve(known); }, *task);
    }

    /// Until there is a task, or it is time to ask for one.
    bool rest()
    {
        lifeline_.let_go();
        return renewal_ != never || has_task_within(never);
    }

    bool serve(Question& question)
    {
        begin(ServerSet::from_bits(question.servers_left_alone), question.time_left);
        if (backend_->is_outdated())
            return hand_back(question.id);
        const Answer answer{question.id, decide(question.request)};
        question.request.password.clear(); // nobody waits for it while the next one is prepared for
        end();
        return tell(answer);
    }

    bool serve(const Probe& probe)
    {
        begin(ServerSet::from_bits(probe.servers_left_alone), probe.time_left);
        const Answer answer{probe.id, decide_probe()};
        end();
        return tell(answer);
    }

    void begin(ServerSet left_alone, std::chrono::milliseconds time)
    {
        lifeline_.hold(time + lifeline_grace);
        servers_.begin(left_alone, time);
    }

    void end()
    {
        servers_.end();
        lifeline_.let_go_unless(2 * rests_after);
    }

    bool serve(const Prepare& order)
    {
        begin(ServerSet::from_bits(order.servers_left_alone), order.time_left);
        prepare();
        end();
        has_asked_to_prepare_ = false;
        return say(channel_, WorkerReady{}); // prepared or not
    }

    /// What the worker has to say, and whether it must prepare before it can be asked again.
    template <typename Message>
    bool tell(Message message)
    {
        message.must_prepare = has_asked_to_prepare_ = !backend_->is_prepared();
        return say(channel_, message);
    }

    /// Then waits for the front to let go: the news of a process's end may overtake its last words.
    bool hand_back(std::uint64_t question)
    {
        if (say(channel_, HandBack{question}))
            static_cast<void>(channel_.receive(buffer_.buffer()));
        return false;
    }

    /// The boundary at which a failing source becomes an outage.
    Decision decide(const Request& request)
    try {
        const Withholding withholding{log_, request.password};
        switch (request.asked) {
        case Asked::password: return backend_->check(request);
        case Asked::challenge: return backend_->challenge(request);
        case Asked::proof: return backend_->prove(request);
        }
        throw std::logic_error{"a question of a kind that does not exist"};

    } catch (const std::exception& error) {
        return {Verdict::unavailable, error.what()};
    }

    /// The same for a server.
    Decision decide_probe()
    try {
        backend_->probe();
        return {Verdict::accepted, ""};

    } catch (const std::exception& error) {
        return {Verdict::unavailable, error.what()};
    }

    /// Where it fails, the next request does without.
    void prepare()
    try {
        renewal_ = std::clamp(backend_->prepare(), shortest_renewal, never);
    } catch (const std::exception& error) {
        renewal_ = never;
        log_.debug(std::string{"nothing could be prepared: "} + error.what());
    }

    /// What was prepared may not last, a connection for example. Who renewed it unasked would have requests
    /// sent to him meanwhile, which waited, or died with him: so the front hears of it first, once.
    bool await_task()
    {
        if (renewal_ == never || has_asked_to_prepare_)
            return true;
        lifeline_.let_go();
        if (has_task_within(renewal_))
            return true;
        has_asked_to_prepare_ = true;
        return say(channel_, WorkerReady{.must_prepare = true});
    }

    [[nodiscard]] bool has_task_within(std::chrono::milliseconds time) const
    {
        pollfd entry{tasks_.fd(), POLLIN, 0};
        return ::poll(&entry, 1, time == never ? -1 : static_cast<int>(time.count())) != 0;
    }

    MessageSocket& channel_; ///< for what it says
    TaskTaker tasks_;
    WorkerLog log_;
    SyslogCapture syslog_capture_;
    SecretArena secrets_;
    Secret buffer_;
    Lifeline lifeline_;
    WorkerServers servers_;
    std::chrono::milliseconds renewal_ = never; ///< prepare() wants to be called after that
    bool has_asked_to_prepare_ = false;         ///< and was told nothing since
    std::unique_ptr<Backend> backend_;
};

} // namespace

int run_worker(MessageSocket& channel)
{
    ::mallopt(M_PERTURB, freed_memory_byte);
    auto [setup, descriptors] = receive_worker_setup(channel);
    const std::string name = setup.backend;
    int status_of_failure = worker_cannot_work;
    try {
        const bool reads_any_file = enter_worker_sandbox(setup.account, setup.drops_privileges, setup.files);
        TaskTaker tasks{MessageSocket{std::move(descriptors.at(1))}, descriptors.at(2).get()};
        Worker worker{channel, std::move(tasks), setup};
        worker.load_backend(descriptors.at(0).get(), setup);
        status_of_failure = EXIT_FAILURE; // from here on the next one may do better
        descriptors.clear();
        if (setup.lets_go_of_stderr)
            let_go_of_stderr();
        worker.run(reads_any_file);
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        const std::string problem = name + ": " + error.what();
        std::cerr << problem << '\n';
        static_cast<void>(say(channel, WorkerLogLine{LogLevel::error, problem}));
        return status_of_failure;
    }
}

} // namespace postern
