// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type rimap: a remote IMAP server knows the passwords. Who may log in there may log in here.
//
// A login over IMAP is mostly waiting: for the connection, the greeting, TLS, the capabilities, and at last
// for the one answer that counts. All but that can be had before anybody logs in, so each worker keeps a
// connection at the point where the credentials are sent. It is good for one login.
//
// Servers end connections that do not log in, after one to three minutes as a rule, so a waiting one is
// renewed before that (rimap_renew); and when nobody has logged in for some time, not any more
// (rimap_keep_ready). One that brings no verdict all the same is replaced while the login waits, once, and
// nobody is told: it has ended meanwhile, or its server was restarted and has left a process behind that
// knows nobody to ask. Credentials that are sent twice do no harm.
//
// Two things are told apart when something goes wrong. A server that cannot be reached, does not greet or
// fails at TLS costs everybody time: Servers hears of it. From the credentials on, what it does might be done
// because of who logs in: then the others are asked, and it has not failed. Of silence Servers hears as of a
// doubt: servers let a guess wait for its refusal, and a stranger's guesses must not end the logins of
// others; but one that stands still must not cost the next login on each worker as much. So it is probed, and
// one that is silent to everybody does not greet. One that slows down its answers to the address that guesses
// come from (Dovecot does, unless login_trusted_networks has it) slows down all of ours.
//
// The commands with a password in them are put together in a slot of an arena; OpenSSL's copies are told of
// in tls_session.cpp.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/imap_connection.hpp"
#include "backends/rimap_settings.hpp"
#include "backends/server_round.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace postern {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

TimePoint now() noexcept
{
    return SystemClock{}.now();
}

std::vector<std::string> names_of(const std::vector<ImapServer>& servers)
{
    std::vector<std::string> names;
    for (const ImapServer& server : servers)
        names.push_back(server.name);
    return names;
}

class Rimap final : public Backend {
public:
    explicit Rimap(const BackendContext& context)
        : servers_{read_imap_servers(context.options)}
        , names_{names_of(servers_)}
        , settings_{read_rimap_settings(context.options)}
        , health_{context.servers}
        , credential_bytes_max_{3 * context.secrets.slot_bytes()}
        , commands_{imap::outgoing_bytes_max(credential_bytes_max_), 1}
    {
    }

    [[nodiscard]] Decision check(const Request& request) override;
    [[nodiscard]] bool is_prepared() override;
    [[nodiscard]] milliseconds prepare() override;
    void probe() override;

private:
    struct Prepared {
        std::size_t server;
        std::unique_ptr<ImapConnection> connection;
    };

    [[nodiscard]] std::optional<Decision> check_prepared(ServerRound& round, const Request& request,
                                                         Secret& command);
    [[nodiscard]] Decision check_at(std::size_t server, const Request& request, Secret& command,
                                    milliseconds time);
    void open_first();
    [[nodiscard]] std::unique_ptr<ImapConnection> open_at(std::size_t server, TimePoint deadline) const;
    [[nodiscard]] bool is_worth_preparing() const;

    std::vector<ImapServer> servers_;
    std::vector<std::string> names_;
    RimapSettings settings_;
    Servers& health_;
    std::size_t credential_bytes_max_;
    SecretArena commands_;
    std::optional<Prepared> prepared_;
    TimePoint last_login_ = now();
};

/// Whatever is found wrong is wrong for this request.
Decision Rimap::check(const Request& request)
{
    if (!imap::can_be_sent(request.user) || !imap::can_be_sent(request.password.view()))
        return {Verdict::rejected, "empty user or password"};
    if (request.user.size() + request.password.size() > credential_bytes_max_)
        throw BackendError{"the name is longer than any that was expected"};
    last_login_ = now();
    ServerRound round{health_, names_};
    Secret command{commands_, {}};
    if (auto decision = check_prepared(round, request, command))
        return *std::move(decision);
    return round.ask_in_turn(
        [&](std::size_t server, milliseconds time) { return check_at(server, request, command, time); });
}

/// Throws Unasked, and no ServerProblem, when the server is silent: that may be because of who logs in.
Decision log_in(ImapConnection& connection, const Request& request, Secret& command, TimePoint deadline)
{
    const TimePoint asked = now();
    try {
        return connection.log_in(request, command.buffer(), deadline);
    } catch (const ConnectionSilence& silence) {
        if (now() - asked < ServerRound::fair_time)
            throw Unasked{silence.what()};
        throw ServerDoubt{silence.what()};
    }
}

/// On the connection that waits for it. Nothing when it has to be asked anew, or an earlier server is back.
std::optional<Decision> Rimap::check_prepared(ServerRound& round, const Request& request, Secret& command)
{
    const std::optional<Prepared> prepared = std::exchange(prepared_, std::nullopt);
    if (!prepared || round.next() != prepared->server || !prepared->connection->is_alive())
        return {};
    const milliseconds time = round.share();
    try {
        Decision decision = log_in(*prepared->connection, request, command, now() + time);
        if (decision.verdict == Verdict::unavailable)
            return {}; // it has ended, or its server has: a new one will say
        prepared->connection->log_out();
        return decision;
    } catch (const Unasked& problem) { // its share of the time is gone
        round.give_up(prepared->server, problem, time);
    } catch (const ConnectionError&) { // it had ended
    }
    return {};
}

Decision Rimap::check_at(std::size_t server, const Request& request, Secret& command, milliseconds time)
{
    const TimePoint deadline = now() + time;
    const auto connection = open_at(server, deadline);
    try {
        Decision decision = log_in(*connection, request, command, deadline);
        connection->log_out();
        if (decision.verdict == Verdict::unavailable)
            throw Unasked{decision.reason};
        return decision;
    } catch (const ConnectionError& error) {
        throw Unasked{error.what()};
    }
}

bool Rimap::is_prepared()
{
    return !is_worth_preparing() || (prepared_ && prepared_->connection->is_alive());
}

/// The old connection is given up when there is a new one: a server may need longer than there is time now.
milliseconds Rimap::prepare()
{
    std::optional<Prepared> old = std::exchange(prepared_, std::nullopt);
    const bool is_worth_it = is_worth_preparing();
    try {
        if (is_worth_it)
            open_first();
    } catch (const BackendError&) {
        prepared_ = std::move(old);
        throw;
    }
    if (old)
        old->connection->log_out();
    return is_worth_it && settings_.renewed_after > 0ms ? settings_.renewed_after : milliseconds::max();
}

void Rimap::probe()
{
    open_first();
}

void Rimap::open_first()
{
    prepared_ = ServerRound{health_, names_}.ask_in_turn([this](std::size_t server, milliseconds time) {
        return Prepared{server, open_at(server, now() + time)};
    });
}

/// What goes wrong here would go wrong for the others too.
std::unique_ptr<ImapConnection> Rimap::open_at(std::size_t server, TimePoint deadline) const
try {
    return std::make_unique<ImapConnection>(servers_[server], settings_.imap, deadline);
} catch (const ConnectionError& error) {
    throw ServerProblem{error.what()};
}

bool Rimap::is_worth_preparing() const
{
    return now() - last_login_ < settings_.kept_ready_for;
}

std::unique_ptr<Backend> make_rimap(const BackendContext& context)
{
    return std::make_unique<Rimap>(context);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "rimap", make_rimap};
}

} // namespace postern
