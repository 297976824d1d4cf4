// SPDX-License-Identifier: BSD-2-Clause
//
// Each set-up has one list of its fields, transfer(), which serves for writing and for reading: the two
// cannot disagree. An archive is called with fields in order and either stores them or fills them in.
#include "daemon/setup.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/posix_error.hpp"

#include <stdexcept>
#include <type_traits>

namespace postern {

namespace {

constexpr std::size_t setup_bytes_max = 64 * 1024;

class SetupWriter {
public:
    explicit SetupWriter(std::span<char> memory) : writer_{memory} {}

    [[nodiscard]] std::string_view written() const { return writer_.written(); }

    void number(std::uint64_t& value) { writer_.u64(value); }

    void text(std::string& value) { writer_.counted_string(value); }

private:
    ByteWriter writer_;
};

class SetupReader {
public:
    explicit SetupReader(std::string_view bytes) : reader_{bytes} {}

    [[nodiscard]] bool at_end() const { return reader_.at_end(); }

    void number(std::uint64_t& value) { value = must(reader_.u64()); }

    void text(std::string& value) { value = must(reader_.counted_string()); }

private:
    template <typename Value>
    static Value must(std::optional<Value> value)
    {
        if (!value)
            throw std::runtime_error{"a set-up message ends early"};
        return *value;
    }

    ByteReader reader_;
};

template <typename Archive>
void transfer(Archive& archive, std::string& text)
{
    archive.text(text);
}

template <typename Archive, typename Number>
requires std::is_integral_v<Number> || std::is_enum_v<Number>

void transfer(Archive& archive, Number& number)
{
    auto wide = static_cast<std::uint64_t>(number);
    archive.number(wide);
    number = static_cast<Number>(wide);
}

template <typename Archive>
void transfer(Archive& archive, std::chrono::milliseconds& time)
{
    auto count = static_cast<std::uint64_t>(time.count());
    archive.number(count);
    time = std::chrono::milliseconds{count};
}

template <typename Archive, typename Element>
void transfer(Archive& archive, std::vector<Element>& elements)
{
    auto count = static_cast<std::uint64_t>(elements.size());
    archive.number(count);
    if (count > setup_bytes_max)
        throw std::runtime_error{"a set-up message counts more than it can hold"};
    elements.resize(count);
    for (Element& element : elements)
        transfer(archive, element);
}

template <typename Archive>
void transfer(Archive& archive, BackendOptions& options)
{
    std::vector<std::string> flat;
    for (const auto& [key, value] : options)
        flat.insert(flat.end(), {key, value});
    transfer(archive, flat);
    options.clear();
    for (std::size_t i = 0; i + 1 < flat.size(); i += 2)
        options.emplace(flat[i], flat[i + 1]);
}

template <typename Archive, typename... Fields>
void transfer_all(Archive& archive, Fields&... fields)
{
    (transfer(archive, fields), ...);
}

template <typename Archive>
void transfer(Archive& archive, Account& account)
{
    transfer_all(archive, account.uid, account.gid);
}

template <typename Archive>
void transfer(Archive& archive, LogStyle& style)
{
    transfer_all(archive, style.ident, style.text_prefix, style.with_debug);
}

template <typename Archive>
void transfer(Archive& archive, ListenerConfig& listener)
{
    transfer_all(archive, listener.socket, listener.deadline, listener.field_bytes_max,
                 listener.when_unavailable, listener.joins_realm);
}

template <typename Archive>
void transfer(Archive& archive, ChainLink& link)
{
    auto next_on = link.next_on.bits();
    transfer_all(archive, link.backend, next_on);
    link.next_on = VerdictSet::from_bits(next_on);
}

template <typename Archive>
void transfer(Archive& archive, RouteConfig& route)
{
    transfer_all(archive, route.chain, route.failure_delay);
}

template <typename Archive>
void transfer(Archive& archive, FrontSetup& setup)
{
    transfer_all(archive, setup.account, setup.drops_privileges, setup.log_style, setup.has_syslog,
                 setup.uses_syslog, setup.has_stream, setup.lets_go_of_stderr, setup.workers, setup.queue_max,
                 setup.delayed_max, setup.sessions_max, setup.listeners, setup.backends, setup.route);
}

template <typename Archive>
void transfer(Archive& archive, WorkerSetup& setup)
{
    transfer_all(archive, setup.account, setup.drops_privileges, setup.lets_go_of_stderr, setup.backend,
                 setup.type, setup.options, setup.field_bytes_max);
}

template <typename Setup>
void send(MessageSocket& channel, Setup setup, std::span<const int> descriptors)
{
    std::vector<char> memory(setup_bytes_max);
    SetupWriter writer{memory};
    transfer(writer, setup);
    if (!channel.send(writer.written(), descriptors))
        throw_errno("a process could not be told its set-up");
}

template <typename Setup>
std::pair<Setup, std::vector<UniqueFd>> receive(MessageSocket& channel)
{
    std::vector<char> memory(setup_bytes_max);
    MessageSocket::Incoming incoming = channel.receive_with_descriptors(memory);
    if (incoming.state != MessageSocket::Received::message)
        throw std::runtime_error{"no set-up came from the supervisor"};
    Setup setup;
    SetupReader reader{incoming.bytes};
    transfer(reader, setup);
    if (!reader.at_end())
        throw std::runtime_error{"a set-up message is longer than it should be"};
    return {std::move(setup), std::move(incoming.descriptors)};
}

} // namespace

void send_setup(MessageSocket& channel, const FrontSetup& setup, std::span<const int> descriptors)
{
    send(channel, setup, descriptors);
}

void send_setup(MessageSocket& channel, const WorkerSetup& setup, std::span<const int> descriptors)
{
    send(channel, setup, descriptors);
}

std::pair<FrontSetup, std::vector<UniqueFd>> receive_front_setup(MessageSocket& channel)
{
    return receive<FrontSetup>(channel);
}

std::pair<WorkerSetup, std::vector<UniqueFd>> receive_worker_setup(MessageSocket& channel)
{
    return receive<WorkerSetup>(channel);
}

} // namespace postern
