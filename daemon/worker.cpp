// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker.hpp"

#include "backends/plugin_loader.hpp"
#include "base/log.hpp"
#include "base/posix_error.hpp"
#include "daemon/sandbox.hpp"
#include "daemon/setup.hpp"
#include "protocol/worker_messages.hpp"

#include <signal.h>
#include <sodium.h>
#include <time.h>

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

class Worker {
public:
    Worker(MessageSocket& channel, const WorkerSetup& setup)
        : channel_{channel}
        , secrets_{worker_message_bytes_max(setup.field_bytes_max), secret_slots}
        , buffer_{secrets_, {}}
    {
    }

    void load_backend(int plugin, const WorkerSetup& setup)
    {
        backend_ = load_plugin(plugin, setup.type).make_backend({setup.options, secrets_});
    }

    void run()
    {
        bool has_front = say(channel_, WorkerReady{});
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
        const Answer answer{question->id, decide(question->request)};
        lifeline_.let_go();
        return say(channel_, answer);
    }

    /// The boundary at which a failing source becomes an outage.
    Decision decide(const Request& request)
    try {
        return backend_->check(request);

    } catch (const std::exception& error) {
        return {Verdict::unavailable, error.what()};
    }

    MessageSocket& channel_;
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
    try {
        enter_worker_sandbox(setup.account, setup.drops_privileges);
        Worker worker{channel, setup};
        worker.load_backend(descriptors.at(0).get(), setup);
        descriptors.clear();
        if (setup.lets_go_of_stderr)
            let_go_of_stderr();
        worker.run();
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        const std::string problem = name + ": " + error.what();
        std::cerr << problem << '\n';
        static_cast<void>(say(channel, WorkerLogLine{LogLevel::error, problem}));
        return worker_cannot_work;
    }
}

} // namespace postern
