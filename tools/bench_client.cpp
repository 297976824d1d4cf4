// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench_client.hpp"

#include "base/posix_error.hpp"
#include "protocol/dovecot_client.hpp"
#include "protocol/saslauthd.hpp"
#include "tools/saslauthd_client.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <utility>
#include <variant>

namespace postern {

namespace {

using Begun = BenchClient::Begun;

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
    BenchConnection(EventLoop& loop, const std::string& path, std::function<void()> readable)
        : loop_{loop}, address_{address_of(path)}, readable_{std::move(readable)}
    {
    }

    [[nodiscard]] bool is_connected() const noexcept { return watch_.has_value(); }

    [[nodiscard]] Begun connect()
    {
        if (!socket_.is_open())
            socket_ =
                UniqueFd{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")};
        if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address_), sizeof address_) == 0) {
            watch_.emplace(loop_, socket_.get(), EPOLLIN, [this](std::uint32_t) { readable_(); });
            return Begun::yes;
        }
        if (errno == EAGAIN)
            return Begun::not_yet;
        socket_.reset();
        return Begun::lost;
    }

    void close()
    {
        watch_.reset();
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
        const ssize_t got = ::recv(socket_.get(), arrived_.data() + size_, arrived_.size() - size_, 0);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        size_ += static_cast<std::size_t>(got);
        return got > 0;
    }

    [[nodiscard]] std::span<char> arrived() noexcept { return std::span{arrived_}.first(size_); }

    void take(std::size_t bytes)
    {
        std::memmove(arrived_.data(), arrived_.data() + bytes, size_ - bytes);
        size_ -= bytes;
    }

private:
    EventLoop& loop_;
    sockaddr_un address_;
    std::function<void()> readable_;
    UniqueFd socket_;
    std::optional<FdWatch> watch_;
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
    SaslauthdBenchClient(EventLoop& loop, const std::string& socket, BenchWriter& writer,
                         std::function<void(BenchAnswer)> ended)
        : connection_{loop, socket, [this] { read(); }}, writer_{writer}, ended_{std::move(ended)}
    {
    }

    Begun begin(const BenchLogin& login) override
    {
        if (const Begun begun = connection_.connect(); begun != Begun::yes)
            return begun;
        if (connection_.send(writer_.saslauthd_request(login)))
            return Begun::yes;
        connection_.close();
        return Begun::lost;
    }

    void give_up() override { connection_.close(); }

private:
    void read()
    {
        const bool goes_on = connection_.receive();
        const std::span<char> arrived = connection_.arrived();
        if (const auto reply = saslauthd::parse_reply({arrived.data(), arrived.size()}))
            end(meaning_of(*reply));
        else if (!goes_on)
            end(BenchAnswer::lost);
    }

    void end(BenchAnswer answer)
    {
        connection_.close();
        ended_(answer);
    }

    BenchConnection connection_;
    BenchWriter& writer_;
    std::function<void(BenchAnswer)> ended_;
};

// --- Dovecot's ---------------------------------------------------------------------------------------------

/// No two connections may have the same; and none that a program on this host may say, whose process ids end
/// at 2^22.
std::uint32_t next_client_pid()
{
    static std::uint32_t next = 0;
    constexpr std::uint32_t own_bits = 15;
    constexpr std::uint32_t no_process = std::uint32_t{1} << 30U;
    const auto pid = static_cast<std::uint32_t>(::getpid());
    return no_process + ((pid << own_bits) + next++ % (std::uint32_t{1} << own_bits)) % no_process;
}

class DovecotBenchClient final : public BenchClient {
public:
    DovecotBenchClient(EventLoop& loop, const std::string& socket, BenchWriter& writer,
                       std::function<void(BenchAnswer)> ended)
        : connection_{loop, socket, [this] { read(); }}, writer_{writer}, ended_{std::move(ended)}
    {
    }

    void prepare() override { static_cast<void>(connect()); }

    Begun begin(const BenchLogin& login) override
    {
        if (const Begun begun = connect(); begun != Begun::yes)
            return begun;
        id_ = id_ == UINT32_MAX ? 1 : id_ + 1;
        is_asking_ = connection_.send(writer_.dovecot_auth(id_, login));
        if (!is_asking_)
            connection_.close();
        return is_asking_ ? Begun::yes : Begun::lost;
    }

    void give_up() override
    {
        is_asking_ = false;
        connection_.close();
    }

private:
    [[nodiscard]] Begun connect()
    {
        if (connection_.is_connected())
            return Begun::yes;
        if (const Begun begun = connection_.connect(); begun != Begun::yes)
            return begun;
        server_ = dovecot::ClientSide{};
        std::array<char, dovecot::greeting_bytes_max> greeting{};
        if (connection_.send(dovecot::write_greeting(greeting, next_client_pid())))
            return Begun::yes;
        connection_.close();
        return Begun::lost;
    }

    void read()
    {
        const bool goes_on = connection_.receive();
        while (connection_.is_connected()) {
            const auto [line, taken] = server_.next(connection_.arrived());
            const bool has_all = std::holds_alternative<dovecot::NeedsMore>(line);
            const auto answer = has_all ? std::nullopt : meaning_of(line); // borrows
            connection_.take(taken);
            if (answer == BenchAnswer::lost || (has_all && !goes_on))
                return end_connection();
            if (answer)
                end_login(*answer);
            if (has_all)
                return;
        }
    }

    /// Nothing: it is not an answer.
    [[nodiscard]] std::optional<BenchAnswer> meaning_of(const dovecot::ServerLine& line) const
    {
        if (std::holds_alternative<dovecot::Greeted>(line))
            return std::nullopt;
        if (!is_asking_)
            return BenchAnswer::lost;
        if (const auto* const accepted = std::get_if<dovecot::Accepted>(&line))
            return accepted->id == id_ && !accepted->user.empty() ? BenchAnswer::accepted : BenchAnswer::lost;
        const auto* const refused = std::get_if<dovecot::Refused>(&line);
        if (refused == nullptr || refused->id != id_)
            return BenchAnswer::lost;
        return refused->is_temporary ? BenchAnswer::unavailable : BenchAnswer::refused;
    }

    void end_login(BenchAnswer answer)
    {
        is_asking_ = false;
        ended_(answer); // which may begin the next one
    }

    void end_connection()
    {
        connection_.close();
        if (std::exchange(is_asking_, false))
            ended_(BenchAnswer::lost);
    }

    BenchConnection connection_;
    dovecot::ClientSide server_;
    std::uint32_t id_ = 0;
    bool is_asking_ = false;
    BenchWriter& writer_;
    std::function<void(BenchAnswer)> ended_;
};

} // namespace

std::unique_ptr<BenchClient> make_bench_client(EventLoop& loop, BenchProtocol protocol,
                                               const std::string& socket, BenchWriter& writer,
                                               std::function<void(BenchAnswer)> ended)
{
    switch (protocol) {
    case BenchProtocol::saslauthd:
        return std::make_unique<SaslauthdBenchClient>(loop, socket, writer, std::move(ended));
    case BenchProtocol::dovecot:
        return std::make_unique<DovecotBenchClient>(loop, socket, writer, std::move(ended));
    }
    return nullptr;
}

} // namespace postern
