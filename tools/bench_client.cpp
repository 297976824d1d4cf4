// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_client.hpp"

#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "protocol/dovecot_client.hpp"
#include "protocol/saslauthd.hpp"
#include "tools/saslauthd_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <variant>

namespace postern {

namespace {

sockaddr_un address_of(const std::string& path)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        throw_errno(path);
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

/// A connection to a daemon, and what has come over it that was not taken yet.
class BenchConnection {
public:
    BenchConnection(const std::string& path, std::function<bool()> gives_up)
        : address_{address_of(path)}, gives_up_{std::move(gives_up)}
    {
    }

    [[nodiscard]] bool is_connected() const noexcept { return socket_.is_open(); }

    /// While the daemon's queue is full, the kernel keeps the client in line.
    [[nodiscard]] bool connect()
    {
        socket_ = UniqueFd{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
        const auto* const address = reinterpret_cast<const sockaddr*>(&address_);
        if (patiently([&] { return ::connect(socket_.get(), address, sizeof address_); }) == 0)
            return true;
        close();
        return false;
    }

    void close()
    {
        socket_.reset();
        size_ = 0;
    }

    /// All of it, or it is as good as nothing: what is sent is short, and the last was answered.
    [[nodiscard]] bool send(std::string_view bytes) const
    {
        return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(bytes.size());
    }

    /// False when nothing more will come, or there is no room for it.
    [[nodiscard]] bool receive()
    {
        const std::span<char> room = std::span{arrived_}.subspan(size_);
        const ssize_t got = patiently([&] { return ::recv(socket_.get(), room.data(), room.size(), 0); });
        size_ += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
        return got > 0;
    }

    [[nodiscard]] std::span<char> arrived() noexcept { return std::span{arrived_}.first(size_); }

    void take(std::size_t bytes)
    {
        std::memmove(arrived_.data(), arrived_.data() + bytes, size_ - bytes);
        size_ -= bytes;
    }

private:
    /// Calls again what was interrupted, unless nobody waits for it any longer.
    template <typename Call>
    ssize_t patiently(Call call) const
    {
        ssize_t result = call();
        while (result < 0 && errno == EINTR && !gives_up_())
            result = call();
        return result;
    }

    sockaddr_un address_;
    std::function<bool()> gives_up_;
    UniqueFd socket_;
    std::array<char, 2048> arrived_{}; ///< libsasl2 has 1024 bytes for a reply; Dovecot's greeting is shorter
    std::size_t size_ = 0;
};

// --- saslauthd's protocol ----------------------------------------------------------------------------------

BenchAnswer meaning_of(std::string_view reply)
{
    switch (reply_meaning(reply).kind) {
    case LoginOutcome::Kind::accepted: return BenchAnswer::accepted;
    case LoginOutcome::Kind::refused: return BenchAnswer::refused;
    case LoginOutcome::Kind::unavailable: return reply.empty() ? BenchAnswer::unavailable : BenchAnswer::lost;
    case LoginOutcome::Kind::impostor: break;
    }
    return BenchAnswer::lost;
}

class SaslauthdBenchClient final : public BenchClient {
public:
    SaslauthdBenchClient(const std::string& socket, const BenchWriter& writer, SecretArena& secrets,
                         std::function<bool()> gives_up)
        : connection_{socket, std::move(gives_up)}, writer_{writer}, memory_{secrets, {}}
    {
    }

    BenchAnswer log_in(const BenchLogin& login) override
    {
        const BenchAnswer answer = ask(login);
        connection_.close();
        return answer;
    }

private:
    BenchAnswer ask(const BenchLogin& login)
    {
        if (!connection_.connect() || !connection_.send(writer_.saslauthd_request(memory_.buffer(), login)))
            return BenchAnswer::lost;
        while (connection_.receive()) {
            const std::span<char> arrived = connection_.arrived();
            if (const auto reply = saslauthd::parse_reply({arrived.data(), arrived.size()}))
                return meaning_of(*reply);
        }
        return BenchAnswer::lost;
    }

    BenchConnection connection_;
    const BenchWriter& writer_;
    Secret memory_;
};

// --- Dovecot's ---------------------------------------------------------------------------------------------

/// No two connections may have the same; and none that a program on this host may say, whose process ids end
/// at 2^22.
std::uint32_t next_client_pid()
{
    static std::atomic<std::uint32_t> next = 0;
    constexpr std::uint32_t own_bits = 15;
    constexpr std::uint32_t no_process = std::uint32_t{1} << 30U;
    const auto pid = static_cast<std::uint32_t>(::getpid());
    return no_process + ((pid << own_bits) + next++ % (std::uint32_t{1} << own_bits)) % no_process;
}

class DovecotBenchClient final : public BenchClient {
public:
    DovecotBenchClient(const std::string& socket, const BenchWriter& writer, SecretArena& secrets,
                       std::function<bool()> gives_up)
        : connection_{socket, std::move(gives_up)}, writer_{writer}, memory_{secrets, {}}
    {
    }

    void prepare() override { connect(); }

    BenchAnswer log_in(const BenchLogin& login) override
    {
        const BenchAnswer answer = ask(login);
        if (answer == BenchAnswer::lost)
            connection_.close();
        return answer;
    }

private:
    void connect()
    {
        if (!connection_.connect())
            return;
        server_ = dovecot::ClientSide{};
        std::array<char, dovecot::greeting_bytes_max> greeting{};
        if (!connection_.send(dovecot::write_greeting(greeting, next_client_pid())))
            connection_.close();
    }

    BenchAnswer ask(const BenchLogin& login)
    {
        if (!connection_.is_connected())
            connect();
        id_ = id_ == UINT32_MAX ? 1 : id_ + 1;
        if (!connection_.is_connected() ||
            !connection_.send(writer_.dovecot_auth(memory_.buffer(), id_, login)))
            return BenchAnswer::lost;
        while (true) {
            const auto [line, taken] = server_.next(connection_.arrived());
            const bool has_all = std::holds_alternative<dovecot::NeedsMore>(line);
            const auto answer = meaning_of(line); // borrows
            connection_.take(taken);
            if (answer)
                return *answer;
            if (has_all && !connection_.receive())
                return BenchAnswer::lost;
        }
    }

    /// Nothing: it is not an answer.
    [[nodiscard]] std::optional<BenchAnswer> meaning_of(const dovecot::ServerLine& line) const
    {
        if (std::holds_alternative<dovecot::NeedsMore>(line) ||
            std::holds_alternative<dovecot::Greeted>(line))
            return std::nullopt;
        if (const auto* const accepted = std::get_if<dovecot::Accepted>(&line))
            return accepted->id == id_ && !accepted->user.empty() ? BenchAnswer::accepted : BenchAnswer::lost;
        const auto* const refused = std::get_if<dovecot::Refused>(&line);
        if (refused == nullptr || refused->id != id_)
            return BenchAnswer::lost;
        return refused->is_temporary ? BenchAnswer::unavailable : BenchAnswer::refused;
    }

    BenchConnection connection_;
    dovecot::ClientSide server_;
    std::uint32_t id_ = 0;
    const BenchWriter& writer_;
    Secret memory_;
};

} // namespace

std::unique_ptr<BenchClient> make_bench_client(BenchProtocol protocol, const std::string& socket,
                                               const BenchWriter& writer, SecretArena& secrets,
                                               std::function<bool()> gives_up)
{
    switch (protocol) {
    case BenchProtocol::saslauthd:
        return std::make_unique<SaslauthdBenchClient>(socket, writer, secrets, std::move(gives_up));
    case BenchProtocol::dovecot:
        return std::make_unique<DovecotBenchClient>(socket, writer, secrets, std::move(gives_up));
    }
    return nullptr;
}

} // namespace postern
