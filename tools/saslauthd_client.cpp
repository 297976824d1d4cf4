// SPDX-License-Identifier: BSD-2-Clause
#include "tools/saslauthd_client.hpp"

#include "base/byte_reader.hpp"
#include "base/posix_error.hpp"
#include "base/unique_fd.hpp"
#include "protocol/saslauthd.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <stdexcept>
#include <utility>

namespace postern {

namespace {

using std::chrono::milliseconds;
using Deadline = std::chrono::steady_clock::time_point;

constexpr int closed = 0; // in the place of an errno: the daemon has closed the connection

/// False with ETIMEDOUT when the deadline came first.
bool wait_for(int fd, short events, Deadline deadline)
{
    while (true) {
        const auto left = std::chrono::ceil<milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd waiting{fd, events, 0};
        const int ready =
            ::poll(&waiting, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT32_MAX)));
        if (ready > 0)
            return true;
        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready == 0 || errno != EINTR)
            return false;
    }
}

bool would_block()
{
    return errno == EAGAIN || errno == EINTR;
}

bool send_all(int fd, std::string_view bytes, Deadline deadline)
{
    while (!bytes.empty()) {
        const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        else if (!would_block() || !wait_for(fd, POLLOUT, deadline))
            return false;
    }
    return true;
}

/// Fills `memory`. False with errno, which is `closed` when the other side ended early.
bool receive_all(int fd, std::span<char> memory, Deadline deadline)
{
    while (!memory.empty()) {
        const ssize_t got = ::recv(fd, memory.data(), memory.size(), MSG_DONTWAIT);
        if (got > 0) {
            memory = memory.subspan(static_cast<std::size_t>(got));
        } else if (got == 0) {
            errno = closed;
            return false;
        } else if (!would_block() || !wait_for(fd, POLLIN, deadline)) {
            return false;
        }
    }
    return true;
}

/// The kernel lets connect() wait while the daemon's queue is full, for as long as SO_SNDTIMEO says.
bool connect_within(int fd, const sockaddr_un& address, milliseconds patience)
{
    const auto seconds = std::chrono::floor<std::chrono::seconds>(patience);
    const timeval limit{seconds.count(), std::chrono::microseconds{patience - seconds}.count()};
    check(::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), "setsockopt");
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return true;
    if (errno == EAGAIN)
        errno = ETIMEDOUT;
    return false;
}

/// Not open, with errno, when there is no way.
UniqueFd connect_to(const std::string& path, milliseconds patience)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return {};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket{check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")};
    return connect_within(socket.get(), address, patience) ? std::move(socket) : UniqueFd{};
}

LoginOutcome unavailable(LoginStep step, int error, milliseconds patience)
{
    std::string cause = error_text(error);
    if (error == closed)
        cause = "the daemon closed the connection without an answer";
    if (error == ETIMEDOUT)
        cause = "no answer within " + std::to_string(patience.count() / 1000) + " s";
    return {LoginOutcome::Kind::unavailable, step, cause};
}

Secret make_request(const LoginAttempt& login, SecretArena& secrets)
{
    constexpr std::size_t lengths_bytes = 4 * 2;
    if (login.user.size() + login.password.size() + login.service.size() + login.realm.size() +
            lengths_bytes >
        login_bytes_max)
        throw std::length_error{"the login is longer than " + std::to_string(login_bytes_max) + " bytes"};
    Secret request{secrets, {}};
    const saslauthd::Fields fields{login.user, login.password.view(), login.service, login.realm, {}, false};
    request.resize(saslauthd::write_request(request.buffer().first(login_bytes_max), fields).size());
    return request;
}

} // namespace

LoginOutcome reply_meaning(std::string_view text)
{
    if (text.empty())
        return {LoginOutcome::Kind::unavailable, LoginStep::reply_meaning,
                "the daemon could not ask its backend (empty reply)"};
    if (text.size() < 2)
        return {LoginOutcome::Kind::unavailable, LoginStep::reply_meaning,
                "the daemon's reply makes no sense"};
    if (text.starts_with("OK"))
        return {LoginOutcome::Kind::accepted, LoginStep::reply_meaning, ""};
    return {LoginOutcome::Kind::refused, LoginStep::reply_meaning, ""};
}

LoginOutcome try_login(const std::string& socket_path, const LoginAttempt& login, SecretArena& secrets,
                       milliseconds patience)
{
    const Deadline deadline = std::chrono::steady_clock::now() + patience;
    const Secret request = make_request(login, secrets);
    const UniqueFd socket = connect_to(socket_path, patience);
    if (!socket.is_open())
        return unavailable(LoginStep::connect, errno, patience);
    if (!send_all(socket.get(), request.view(), deadline))
        return unavailable(LoginStep::send, errno, patience);
    std::array<char, 2> length{};
    if (!receive_all(socket.get(), length, deadline))
        return unavailable(LoginStep::reply_length, errno, patience);
    std::string text(ByteReader{{length.data(), length.size()}}.u16().value(), '\0');
    if (!receive_all(socket.get(), text, deadline))
        return unavailable(LoginStep::reply_text, errno, patience);
    return reply_meaning(text);
}

} // namespace postern
