// SPDX-License-Identifier: BSD-2-Clause
#include "daemon/worker.hpp"

#include "backends/plugin_loader.hpp"
#include "base/log.hpp"
#include "daemon/sandbox.hpp"
#include "daemon/setup.hpp"
#include "protocol/worker_messages.hpp"

#include <sodium.h>

#include <array>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <utility>

namespace postern {

namespace {

/// Slots: one for messages, one for the password in work, and some for what a backend reads.
constexpr std::size_t secret_slots = 8;

/// False when the front is gone.
[[nodiscard]] bool say(MessageSocket& channel, const WorkerMessage& message)
{
    std::array<char, 2048> memory{};
    return channel.send(write_worker_message(memory, message));
}

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
        return say(channel_, Answer{question->id, decide(question->request)});
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
        static_cast<void>(say(channel, WorkerLogLine{static_cast<std::uint8_t>(LogLevel::error), problem}));
        return worker_cannot_work;
    }
}

} // namespace postern
