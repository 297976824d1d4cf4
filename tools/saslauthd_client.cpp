// SPDX-License-Identifier: BSD-2-Clause
#include "tools/saslauthd_client.hpp"

#include "base/byte_reader.hpp"
#include "protocol/saslauthd.hpp"
#include "tools/daemon_socket.hpp"

#include <array>
#include <cerrno>
#include <stdexcept>

namespace postern {

namespace {

using std::chrono::milliseconds;

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
        return unavailable("the daemon could not ask its backend (empty reply)");
    if (text.size() < 2)
        return unavailable("the daemon's reply makes no sense");
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
