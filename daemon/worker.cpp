// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker.hpp"

#include "backends/plugin_loader.hpp"
#include "base/log.hpp"
#include "base/posix_error.hpp"
#include "daemon/sandbox.hpp"
#include "daemon/setup.hpp"
#include "daemon/syslog_capture.hpp"
#include "protocol/worker_messages.hpp"

#include <signal.h>
#include <sodium.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

namespace postern {

namespace {

/// Slots: one for messages, one for the password in work, and some for what a backend reads.
constexpr std::size_t secret_slots = 8;

/// A request past its deadline is ended by the supervisor, and by nobody else if there is one.
constexpr std::chrono::seconds grace{2};

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

    void hold(std::chrono::milliseconds time) noexcept
    {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
        set({seconds.count(), std::chrono::nanoseconds{time - seconds}.count()});
    }
    void let_go() noexcept { set({}); }

private:
    void set(timespec time) noexcept
    {
        itimerspec spec{};
        spec.it_value = time;
        ::timer_settime(timer_, 0, &spec, nullptr);
    }

    timer_t timer_{};
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

class Worker {
public:
    Worker(MessageSocket& channel, const WorkerSetup& setup)
        : channel_{channel}
        , log_{channel.fd(), setup.is_verbose}
        , syslog_capture_{log_}
        , secrets_{worker_message_bytes_max(setup.field_bytes_max), secret_slots}
        , buffer_{secrets_, {}}
    {
    }

    void load_backend(int plugin, const WorkerSetup& setup)
    {
        backend_ = load_plugin(plugin, setup.type).make_backend({setup.options, secrets_, log_});
    }

    void run(bool reads_any_file)
    {
        bool has_front = say(channel_, WorkerReady{reads_any_file});
        while (has_front)
            has_front = answer_one();
    }

private:
    bool answer_one()
    {
        const MessageSocket::Incoming incoming = channel_.receive(buffer_.buffer());
        if (incoming.state != MessageSocket::Received::message)
            return false;
        const auto question = parse_question(incoming.bytes, secrets_);
        sodium_memzero(buffer_.buffer().data(), incoming.bytes.size());
        if (!question)
            return false;
        lifeline_.hold(question->time_left + grace);
        if (backend_->is_outdated())
            return hand_back(question->id);
        const Withholding withholding{log_, question->request.password};
        const Answer answer{question->id, decide(question->request)};
        lifeline_.let_go();
        return say(channel_, answer);
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
        return backend_->check(request);

    } catch (const std::exception& error) {
        return {Verdict::unavailable, error.what()};
    }

    MessageSocket& channel_;
    WorkerLog log_;
    SyslogCapture syslog_capture_;
    SecretArena secrets_;
    Secret buffer_;
    Lifeline lifeline_;
    std::unique_ptr<Backend> backend_;
};

} // namespace

int run_worker(MessageSocket& channel)
{
    auto [setup, descriptors] = receive_worker_setup(channel);
    const std::string name = setup.backend;
    int status_of_failure = worker_cannot_work;
    try {
        const bool reads_any_file = enter_worker_sandbox(setup.account, setup.drops_privileges, setup.files);
        Worker worker{channel, setup};
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
