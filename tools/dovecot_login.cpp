// SPDX-License-Identifier: BSD-2-Clause
#include "tools/dovecot_login.hpp"

#include "base/base64.hpp"
#include "protocol/dovecot_client.hpp"
#include "tools/control_client.hpp"
#include "tools/daemon_socket.hpp"

#include <sodium.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <variant>

namespace postern {

namespace {

using dovecot::ServerLine;
using std::chrono::milliseconds;
using Kind = LoginOutcome::Kind;

constexpr std::uint32_t login_id = 1;

/// One connection to a server. A step that does not succeed leaves its reason in errno.
class Connection {
public:
    Connection(const std::string& socket_path, milliseconds patience)
        : deadline_{std::chrono::steady_clock::now() + patience}, socket_{connect_to(socket_path, patience)}
    {
    }

    [[nodiscard]] bool is_open() const noexcept { return socket_.is_open(); }
    [[nodiscard]] const dovecot::ClientSide& server() const noexcept { return server_; }
    [[nodiscard]] bool has_heard_nothing() const noexcept { return has_heard_nothing_; }

    [[nodiscard]] bool say(std::string_view bytes) const { return send_all(socket_.get(), bytes, deadline_); }

    void end_saying() const { ::shutdown(socket_.get(), SHUT_WR); }

    /// What the server says next; borrows until the next call.
    [[nodiscard]] std::optional<ServerLine> hear()
    {
        while (true) {
            drop_taken();
            const auto [line, taken] = server_.next(std::span{arrived_}.first(size_));
            taken_ = taken;
            if (!std::holds_alternative<dovecot::NeedsMore>(line))
                return line;
            if (!receive())
                return std::nullopt;
        }
    }

private:
    void drop_taken()
    {
        std::memmove(arrived_.data(), arrived_.data() + taken_, size_ - taken_);
        size_ -= std::exchange(taken_, 0);
    }

    bool receive()
    {
        drop_taken();
        const auto got = receive_part(socket_.get(), std::span{arrived_}.subspan(size_), deadline_);
        if (!got || *got == 0) {
            errno = got ? closed_early : errno;
            return false;
        }
        size_ += *got;
        has_heard_nothing_ = false;
        return true;
    }

    Deadline deadline_;
    UniqueFd socket_;
    dovecot::ClientSide server_;
    std::array<char, dovecot::line_bytes_max> arrived_{};
    std::size_t size_ = 0;
    std::size_t taken_ = 0; ///< of these
    bool has_heard_nothing_ = true;
};

LoginOutcome unusable(const dovecot::Unusable& what)
{
    return unavailable("what serves the socket cannot be asked: " + std::string{unusable_text(what.why)});
}

LoginOutcome nonsense(const std::string& complaint = {})
{
    return unavailable("the daemon's reply makes no sense" + (complaint.empty() ? "" : ": " + complaint));
}

std::vector<std::string> offers_of(const dovecot::ClientSide& server)
{
    std::vector<std::string> names;
    for (const auto& offer : server.offers())
        names.push_back(offer.name);
    return names;
}

/// Nothing when it is no base64.
std::optional<std::string> decoded(std::string_view base64)
{
    std::string memory(base64.size(), '\0');
    const auto raw = dovecot::decode_base64(base64, memory);
    return raw ? std::optional{std::string{*raw}} : std::nullopt;
}

/// For SCRAM, which wants it printable and never the same twice.
std::string random_nonce()
{
    std::array<unsigned char, 18> bytes{};
    randombytes_buf(bytes.data(), bytes.size());
    return in_base64(bytes);
}

/// What it says of a refusal that is not temporary, which is little.
std::string refusal_reason(const dovecot::Refused& refused)
{
    const std::string reason = printable(refused.reason);
    const std::string code = refused.code.empty() ? "" : "code=" + printable(refused.code);
    if (reason.empty() || code.empty())
        return reason + code;
    return reason + " (" + code + ")";
}

/// One login, from the greeting to its end.
class Dialogue {
public:
    Dialogue(Connection& connection, const DovecotLogin& login, SecretArena& secrets, milliseconds patience)
        : connection_{connection}
        , login_{login}
        , secrets_{secrets}
        , patience_{patience}
        , client_{make_sasl_client(login.mechanism, login.who, random_nonce(), secrets)}
    {
    }

    LoginOutcome run()
    {
        std::optional<LoginOutcome> outcome;
        while (!outcome) {
            const auto line = connection_.hear();
            outcome = line ? std::visit([this](const auto& what) { return take(what); }, *line)
                           : unavailable(LoginStep::reply_text, errno, patience_);
        }
        return std::move(*outcome);
    }

private:
    using Progress = std::optional<LoginOutcome>; ///< nothing: it goes on

    Progress take(const dovecot::NeedsMore&) { return nonsense(); }
    Progress take(const dovecot::Unusable& what) { return unusable(what); }

    Progress take(const dovecot::Greeted&)
    {
        const std::string_view name = sasl::mechanism_name(login_.mechanism);
        if (!connection_.server().has_offered(name))
            return unavailable("it offers " + listed(offers_of(connection_.server())) + ", but not " +
                               std::string{name});
        std::array<char, dovecot::greeting_bytes_max> greeting{};
        if (!connection_.say(dovecot::write_greeting(greeting, static_cast<std::uint32_t>(::getpid()))))
            return unavailable(LoginStep::send, errno, patience_);
        const auto response = client_->initial_response();
        return say(dovecot::write_auth(line_.buffer(), login_id, name, login_.parameters,
                                       response ? std::optional{response->view()} : std::nullopt));
    }

    Progress take(const dovecot::Challenge& challenge)
    {
        const auto words = challenge.id == login_id ? decoded(challenge.challenge) : std::nullopt;
        if (!words)
            return nonsense();
        const auto response = client_->respond(*words);
        if (!response)
            return client_->has_seen_false_signature() ? impostor() : nonsense(client_->complaint());
        return say(dovecot::write_response(line_.buffer(), login_id, response->view()));
    }

    Progress take(const dovecot::Accepted& accepted)
    {
        const auto data = accepted.response ? decoded(*accepted.response) : std::nullopt;
        if (accepted.id != login_id || accepted.response.has_value() != data.has_value())
            return nonsense();
        if (!client_->accepts(data))
            return impostor();
        if (accepted.user.empty())
            return unavailable("the daemon's OK does not name the user, which Postfix takes for an outage");
        return LoginOutcome{Kind::accepted, LoginStep::reply_meaning, ""};
    }

    Progress take(const dovecot::Refused& refused)
    {
        if (refused.id != login_id)
            return nonsense();
        if (refused.is_temporary)
            return unavailable("the daemon could not ask its backend (code=temp_fail)");
        return LoginOutcome{Kind::refused, LoginStep::reply_meaning, refusal_reason(refused)};
    }

    [[nodiscard]] LoginOutcome impostor() const
    {
        return {
            Kind::impostor, LoginStep::reply_meaning,
            client_->has_seen_false_signature()
                ? "the server's signature is wrong: it does not know the user's password"
                : "the server lets the user in without having seen that he knows the password, or without "
                  "showing that it does"};
    }

    [[nodiscard]] Progress say(std::string_view bytes)
    {
        const bool is_said = connection_.say(bytes);
        const int error = errno;
        sodium_memzero(line_.buffer().data(), line_.buffer().size());
        return is_said ? Progress{} : unavailable(LoginStep::send, error, patience_);
    }

    Connection& connection_;
    const DovecotLogin& login_;
    SecretArena& secrets_;
    milliseconds patience_;
    std::unique_ptr<SaslClient> client_;
    Secret line_{secrets_, {}}; ///< what is said; wiped when it is
};

} // namespace

std::string listed(const std::vector<std::string>& mechanisms)
{
    std::string text;
    for (std::size_t i = 0; i < mechanisms.size(); ++i) {
        if (i > 0)
            text += i + 1 < mechanisms.size() ? ", " : " and ";
        text += printable(mechanisms[i]);
    }
    return text;
}

SocketGreeting listen_to(const std::string& socket_path, milliseconds patience)
{
    using Greeting = SocketGreeting::Kind;
    Connection connection{socket_path, patience};
    if (!connection.is_open())
        return {Greeting::trouble, {}, unavailable(LoginStep::connect, errno, patience)};
    connection.end_saying();
    const auto line = connection.hear();
    const int error = errno;
    if (!line && error == closed_early && connection.has_heard_nothing())
        return {Greeting::silence, {}, {}};
    if (!line)
        return {Greeting::trouble, {}, unavailable(LoginStep::reply_length, error, patience)};
    if (const auto* const what = std::get_if<dovecot::Unusable>(&*line))
        return {Greeting::trouble, {}, unusable(*what)};
    return {Greeting::dovecot, offers_of(connection.server()), {}};
}

LoginOutcome try_dovecot_login(const std::string& socket_path, const DovecotLogin& login,
                               SecretArena& secrets, milliseconds patience)
{
    Connection connection{socket_path, patience};
    if (!connection.is_open())
        return unavailable(LoginStep::connect, errno, patience);
    return Dialogue{connection, login, secrets, patience}.run();
}

} // namespace postern
