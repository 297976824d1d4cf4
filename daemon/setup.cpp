// SPDX-License-Identifier: BSD-2-Clause
//
// Each set-up has one list of its fields, transfer(), which serves for writing and for reading: the two
// cannot disagree. An archive is called with fields in order and either stores them or fills them in.
#include "daemon/setup.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/posix_error.hpp"

#include <sodium.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <type_traits>

namespace postern {

namespace {

constexpr std::size_t setup_bytes_max = 4 * 1024 * 1024;

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
void transfer(Archive& archive, ChallengeKey& key)
{
    for (unsigned char& byte : key)
        transfer(archive, byte);
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
    transfer_all(archive, style.ident, style.text_prefix, style.with_debug, style.is_json);
}

template <typename Archive>
void transfer(Archive& archive, NameRules& names)
{
    transfer_all(archive, names.splits_realm, names.default_realm, names.folds_case, names.joins_realm);
}

template <typename Archive>
void transfer(Archive& archive, DovecotConfig& dovecot)
{
    transfer_all(archive, dovecot.mechanisms, dovecot.when_unavailable, dovecot.refuses_plaintext_without_tls,
                 dovecot.refusal_reason);
}

template <typename Archive>
void transfer(Archive& archive, ListenerConfig& listener)
{
    transfer_all(archive, listener.name, listener.protocol, listener.socket, listener.deadline,
                 listener.field_bytes_max, listener.when_unavailable, listener.reply_texts.accepted,
                 listener.reply_texts.refused, listener.names, listener.dovecot, listener.route);
}

template <typename Archive>
void transfer(Archive& archive, ChainLink& link)
{
    auto next_on = link.next_on.bits();
    transfer_all(archive, link.backend, next_on);
    link.next_on = VerdictSet::from_bits(next_on);
}

template <typename Archive>
void transfer(Archive& archive, std::pair<std::string, Chain>& realm)
{
    transfer_all(archive, realm.first, realm.second);
}

template <typename Archive>
void transfer(Archive& archive, RouteConfig& route)
{
    std::vector<std::pair<std::string, Chain>> realms{route.realms.begin(), route.realms.end()};
    transfer_all(archive, route.name, route.chain, realms, route.failure_delay);
    route.realms = {realms.begin(), realms.end()};
}

template <typename Archive>
void transfer(Archive& archive, PoolSetup& pool)
{
    PoolConfig& config = pool.config;
    transfer_all(archive, pool.backend, pool.type, config.workers, config.workers_max,
                 config.worker_requests_max, config.worker_idle, config.queue_max, pool.servers,
                 pool.realm_use, pool.is_cached, pool.heeds_client);
}

template <typename Archive>
void transfer(Archive& archive, CacheConfig& cache)
{
    transfer_all(archive, cache.is_on, cache.size_kib, cache.lifetime);
}

template <typename Archive>
void transfer(Archive& archive, WatchedStore& store)
{
    transfer_all(archive, store.backend, store.watch, store.file, store.leads_on, store.is_itself);
}

template <typename Archive>
void transfer(Archive& archive, FrontSetup& setup)
{
    transfer_all(archive, setup.account, setup.drops_privileges, setup.supervisor, setup.waits_to_open,
                 setup.log_style, setup.success_level, setup.has_syslog, setup.uses_syslog, setup.has_stream,
                 setup.lets_go_of_stderr, setup.delayed_max, setup.sessions_max, setup.listeners, setup.pools,
                 setup.routes, setup.cache, setup.stores, setup.has_store_events, setup.challenge_key,
                 setup.host_name);
}

template <typename Archive>
void transfer(Archive& archive, WorkerSetup& setup)
{
    transfer_all(archive, setup.account, setup.drops_privileges, setup.lets_go_of_stderr, setup.is_verbose,
                 setup.backend, setup.type, setup.options, setup.files, setup.field_bytes_max);
}

/// A set-up may be longer than a message can be, so it comes as a file in memory.
UniqueFd as_file(std::string_view bytes)
{
    UniqueFd file{check(::memfd_create("set-up", MFD_CLOEXEC), "memfd_create")};
    while (!bytes.empty())
        bytes.remove_prefix(
            static_cast<std::size_t>(check(::write(file.get(), bytes.data(), bytes.size()), "set-up")));
    return file;
}

/// Memory for a set-up, some of which may be secret: wiped at its end. Pages that are not used cost nothing.
class SetupMemory {
public:
    explicit SetupMemory(std::size_t size) : bytes_{std::make_unique_for_overwrite<char[]>(size)}, size_{size}
    {
    }
    SetupMemory(const SetupMemory&) = delete;
    SetupMemory& operator=(const SetupMemory&) = delete;
    ~SetupMemory() { sodium_memzero(bytes_.get(), used_); }

    [[nodiscard]] std::span<char> all() noexcept { return {bytes_.get(), size_}; }
    void use(std::size_t bytes) noexcept { used_ = bytes; }

private:
    std::unique_ptr<char[]> bytes_;
    std::size_t size_;
    std::size_t used_ = 0;
};

std::size_t size_of(int file)
{
    struct stat status {};

    check(::fstat(file, &status), "set-up");
    return static_cast<std::size_t>(status.st_size);
}

template <typename Setup>
void send(MessageSocket& channel, Setup setup, std::span<const int> descriptors)
{
    SetupMemory memory{setup_bytes_max};
    SetupWriter writer{memory.all()};
    transfer(writer, setup);
    memory.use(writer.written().size());
    const UniqueFd file = as_file(writer.written());
    std::vector<int> all{file.get()};
    all.insert(all.end(), descriptors.begin(), descriptors.end());
    if (!channel.send("set-up", all))
        throw_errno("a process could not be told its set-up");
}

template <typename Setup>
std::pair<Setup, std::vector<UniqueFd>> receive(MessageSocket& channel)
{
    std::array<char, 16> message{};
    MessageSocket::Incoming incoming = channel.receive_with_descriptors(message);
    if (incoming.state != MessageSocket::Received::message || incoming.descriptors.empty())
        throw std::runtime_error{"no set-up came from the supervisor"};
    const int file = incoming.descriptors.front().get();
    SetupMemory memory{size_of(file)};
    const auto size =
        static_cast<std::size_t>(check(::pread(file, memory.all().data(), memory.all().size(), 0), "set-up"));
    memory.use(size);
    Setup setup;
    SetupReader reader{std::string_view{memory.all().data(), size}};
    transfer(reader, setup);
    if (!reader.at_end())
        throw std::runtime_error{"a set-up message is longer than it should be"};
    incoming.descriptors.erase(incoming.descriptors.begin());
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
