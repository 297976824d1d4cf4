// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type rimap: a remote IMAP server knows the passwords. Who may log in there may log in here.
//
// A login over IMAP is mostly waiting: for the connection, the greeting, TLS, the capabilities, and at last
// for the one answer that counts. All but that can be had before anybody logs in, so each worker keeps a
// connection at the point where the credentials are sent. A connection is good for one login: what a server
// does with one that has failed, or succeeded, is nobody's business here.
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
#include "backends/option_values.hpp"
#include "backends/server_connection.hpp"
#include "protocol/imap_dialogue.hpp"

#include <string.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <vector>

namespace postern {

namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// With less than that it is our time that was short, and not the server that was slow.
constexpr milliseconds fair_time = 250ms;

TimePoint now() noexcept
{
    return SystemClock{}.now();
}

enum class Tls : std::uint8_t { none, starttls, implicit };

struct ImapServer {
    std::string host;
    std::string port;
    std::string name; ///< as the admin wrote it
};

struct Settings {
    Tls tls;
    std::optional<TlsTrust> trust;
    milliseconds connect_timeout;
    milliseconds timeout;
    milliseconds renewed_after;
    milliseconds kept_ready_for; ///< after a login
};

Tls tls_from(const std::string& word)
{
    if (word == "starttls")
        return Tls::starttls;
    return word == "implicit" ? Tls::implicit : Tls::none;
}

/// The name of a service is looked up when it is needed; a number that is none would never be found.
bool can_be_port(const std::string& port)
{
    if (port.find_first_not_of("0123456789") != std::string::npos)
        return true;
    unsigned number = 0;
    std::from_chars(port.data(), port.data() + port.size(), number);
    return number >= 1 && number <= 65535;
}

/// HOST, HOST/PORT, [ADDRESS], [ADDRESS]/PORT.
ImapServer parse_server(const std::string& name, const std::string& default_port)
{
    ImapServer server{name.substr(0, name.find('/')), default_port, name};
    if (server.host.size() < name.size())
        server.port = name.substr(server.host.size() + 1);
    if (server.host.starts_with('[') && server.host.ends_with(']'))
        server.host = server.host.substr(1, server.host.size() - 2);
    if (server.host.empty() || server.port.empty() || !can_be_port(server.port) ||
        std::ranges::count(server.host, ':') == 1) // a port behind a colon; an address has more of them
        throw BackendError{"rimap_host: '" + name + "': HOST or HOST/PORT was expected"};
    return server;
}

std::vector<ImapServer> servers_from(const BackendOptions& options)
{
    std::string port = option_text(options, "rimap_port");
    if (port.empty())
        port = option_text(options, "rimap_tls") == "implicit" ? "imaps" : "imap";
    std::vector<ImapServer> servers;
    for (const std::string& name : split_servers(option_text(options, "rimap_host")))
        servers.push_back(parse_server(name, port));
    if (servers.empty())
        throw BackendError{"rimap_host names no server"};
    return servers;
}

Settings settings_from(const BackendOptions& options)
try {
    const Tls tls = tls_from(option_text(options, "rimap_tls"));
    std::optional<TlsTrust> trust;
    if (tls != Tls::none)
        trust.emplace(option_text(options, "rimap_ca_file"));
    return {tls,
            std::move(trust),
            option_duration(options, "rimap_connect_timeout"),
            option_duration(options, "rimap_timeout"),
            option_duration(options, "rimap_renew"),
            option_duration(options, "rimap_keep_ready")};
} catch (const TlsError& error) {
    throw BackendError{std::string{"rimap_ca_file: "} + error.what()};
}

/// What nobody can answer to who has not seen it.
std::string new_tag()
{
    std::array<unsigned char, 6> random{};
    if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size()))
        throw BackendError{"getrandom failed"};
    std::string tag;
    for (const unsigned char byte : random)
        tag += static_cast<char>('A' + byte % 26);
    return tag;
}

/// A connection to an IMAP server that is good for one login.
class ImapConnection {
public:
    /// Goes as far as it can without a user. Throws ConnectionError.
    ImapConnection(const ImapServer& server, const Settings& settings, TimePoint deadline)
        : host_{server.host}
        , settings_{settings}
        , connect_deadline_{std::min(deadline, now() + settings.connect_timeout)}
        , connection_{server.host, server.port, connect_deadline_}
        , dialogue_{new_tag(), settings.tls == Tls::starttls ? imap::StartTls::required : imap::StartTls::no}
    {
        if (settings.tls == Tls::implicit)
            connection_.begin_tls(*settings.trust, host_, connect_deadline_);
        std::array<char, imap::outgoing_bytes_max(0)> memory{};
        converse(memory, deadline);
        if (dialogue_.wants() != Wants::credentials)
            throw ConnectionError{dialogue_.decision().reason};
    }

    /// Whether the server has not ended it meanwhile.
    [[nodiscard]] bool is_alive() noexcept
    try {
        while (dialogue_.wants() == Wants::credentials && hear(now())) {
        }
        return dialogue_.wants() == Wants::credentials;
    } catch (const std::exception&) {
        return false;
    }

    /// Throws ConnectionError when there is no decision.
    [[nodiscard]] Decision log_in(const Request& request, std::span<char> memory, TimePoint deadline)
    {
        dialogue_.log_in(request.user, request.password.view());
        converse(memory, deadline);
        return dialogue_.decision();
    }

    /// Tells the server that nothing more will come, if it will hear it now.
    void log_out() noexcept
    try {
        connection_.send(dialogue_.logout(), now());
    } catch (const std::exception&) { // it has gone first
    }

private:
    using Wants = imap::Dialogue::Wants;

    /// Until credentials are wanted, or there is a decision.
    void converse(std::span<char> memory, TimePoint deadline)
    {
        for (;;) {
            const TimePoint answer_deadline = std::min(deadline, now() + settings_.timeout);
            switch (dialogue_.wants()) {
            case Wants::to_send: connection_.send(dialogue_.outgoing(memory), answer_deadline); break;
            case Wants::to_receive: hear_answer(answer_deadline); break;
            case Wants::tls:
                connection_.begin_tls(*settings_.trust, host_,
                                      std::min(deadline, now() + settings_.connect_timeout));
                dialogue_.tls_started();
                break;
            case Wants::credentials:
            case Wants::nothing: return;
            }
        }
    }

    void hear_answer(TimePoint deadline)
    {
        const auto is_awaited = [this] { return dialogue_.wants() == Wants::to_receive; };
        while (is_awaited() && hear(deadline) && now() < deadline) {
        }
        if (is_awaited())
            throw ConnectionSilence{"no answer in time; awaited was " + std::string{dialogue_.awaited()}};
    }

    /// False when there was nothing to hear by the deadline.
    bool hear(TimePoint deadline)
    {
        std::array<char, 4096> said; // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
        const auto bytes = connection_.receive(said, deadline);
        if (!bytes)
            return false;
        if (*bytes == 0)
            dialogue_.end_of_stream();
        dialogue_.receive({said.data(), *bytes});
        ::explicit_bzero(said.data(), *bytes); // a server may send back what it got
        return true;
    }

    std::string host_;
    const Settings& settings_;
    TimePoint connect_deadline_;
    ServerConnection connection_;
    imap::Dialogue dialogue_;
};

class Rimap final : public Backend {
public:
    explicit Rimap(const BackendContext& context)
        : servers_{servers_from(context.options)}
        , settings_{settings_from(context.options)}
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

    [[nodiscard]] std::optional<Decision> check_prepared(const Request& request, Secret& command);
    [[nodiscard]] std::optional<Decision> check_at(std::size_t server, const Request& request,
                                                   Secret& command);
    [[nodiscard]] std::optional<Decision> finish(ImapConnection& connection, std::size_t server,
                                                 Decision decision);
    void open_first();
    [[nodiscard]] bool open_at(std::size_t server);
    void doubt(std::size_t server, std::string_view silence, TimePoint asked);
    void note(std::size_t server, std::string_view problem);

    [[nodiscard]] bool is_worth_preparing() const;
    [[nodiscard]] bool is_to_be_asked(std::size_t server) const;
    [[nodiscard]] bool is_first_to_be_asked(std::size_t server) const;
    [[nodiscard]] TimePoint deadline_of(std::size_t server) const;
    [[nodiscard]] BackendError outage() const;

    std::vector<ImapServer> servers_;
    Settings settings_;
    Servers& health_;
    std::size_t credential_bytes_max_;
    SecretArena commands_;
    std::optional<Prepared> prepared_;
    TimePoint last_login_ = now();
    ServerSet tried_;      ///< in vain, for this request
    std::string problems_; ///< of this request
};

/// Whatever is found wrong is wrong for this request.
Decision Rimap::check(const Request& request)
{
    if (!imap::can_be_sent(request.user) || !imap::can_be_sent(request.password.view()))
        return {Verdict::rejected, "empty user or password"};
    if (request.user.size() + request.password.size() > credential_bytes_max_)
        throw BackendError{"the name is longer than any that was expected"};
    last_login_ = now();
    problems_.clear();
    tried_ = {};
    Secret command{commands_, {}};
    if (auto decision = check_prepared(request, command))
        return *std::move(decision);
    for (std::size_t server = 0; server < servers_.size(); ++server)
        if (is_to_be_asked(server))
            if (auto decision = check_at(server, request, command))
                return *std::move(decision);
    throw outage();
}

/// On the connection that waits for it. Nothing when it has to be asked anew, or an earlier server is back.
std::optional<Decision> Rimap::check_prepared(const Request& request, Secret& command)
{
    const std::optional<Prepared> prepared = std::exchange(prepared_, std::nullopt);
    if (!prepared || !is_first_to_be_asked(prepared->server) || !prepared->connection->is_alive())
        return {};
    const TimePoint asked = now();
    try {
        Decision decision =
            prepared->connection->log_in(request, command.buffer(), deadline_of(prepared->server));
        if (decision.verdict == Verdict::unavailable)
            return {}; // it has ended, or its server has: a new one will say
        return finish(*prepared->connection, prepared->server, std::move(decision));
    } catch (const ConnectionSilence& silence) { // its share of the time is gone
        doubt(prepared->server, silence.what(), asked);
    } catch (const ConnectionError&) { // it had ended
    }
    return {};
}

std::optional<Decision> Rimap::check_at(std::size_t server, const Request& request, Secret& command)
{
    const TimePoint deadline = deadline_of(server);
    if (!open_at(server))
        return {};
    const auto connection = std::move(prepared_->connection);
    prepared_.reset();
    const TimePoint asked = now();
    try {
        return finish(*connection, server, connection->log_in(request, command.buffer(), deadline));
    } catch (const ConnectionSilence& silence) {
        doubt(server, silence.what(), asked);
    } catch (const ConnectionError& error) {
        note(server, error.what());
    }
    return {};
}

/// Nothing when the next server has to be asked.
std::optional<Decision> Rimap::finish(ImapConnection& connection, std::size_t server, Decision decision)
{
    connection.log_out();
    if (decision.verdict != Verdict::unavailable)
        return decision;
    note(server, decision.reason);
    tried_.add(server);
    return {};
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
    problems_.clear();
    tried_ = {};
    for (std::size_t server = 0; server < servers_.size(); ++server)
        if (is_to_be_asked(server) && open_at(server))
            return;
    throw outage();
}

/// Whether it is in prepared_ now. If not, it would fail the others too.
bool Rimap::open_at(std::size_t server)
{
    const TimePoint deadline = deadline_of(server);
    const bool is_fair = deadline - now() >= fair_time;
    try {
        auto connection = std::make_unique<ImapConnection>(servers_[server], settings_, deadline);
        prepared_ = Prepared{server, std::move(connection)};
        return true;
    } catch (const ConnectionError& error) {
        note(server, error.what());
        tried_.add(server);
        if (is_fair)
            health_.failed(server, error.what());
        return false;
    }
}

/// It did not answer somebody who logs in.
void Rimap::doubt(std::size_t server, std::string_view silence, TimePoint asked)
{
    note(server, silence);
    tried_.add(server);
    if (now() - asked >= fair_time)
        health_.doubt(server, silence);
}

void Rimap::note(std::size_t server, std::string_view problem)
{
    problems_ += (problems_.empty() ? "" : "; ") + servers_[server].name + ": ";
    problems_ += problem;
}

bool Rimap::is_worth_preparing() const
{
    return now() - last_login_ < settings_.kept_ready_for;
}

bool Rimap::is_to_be_asked(std::size_t server) const
{
    return !health_.left_alone().has(server) && !tried_.has(server);
}

bool Rimap::is_first_to_be_asked(std::size_t server) const
{
    for (std::size_t earlier = 0; earlier < server; ++earlier)
        if (is_to_be_asked(earlier))
            return false;
    return is_to_be_asked(server);
}

/// The others get as much, should it be in vain; and a tenth is left to tell of it.
TimePoint Rimap::deadline_of(std::size_t server) const
{
    std::size_t others = 0;
    for (std::size_t next = server + 1; next < servers_.size(); ++next)
        others += is_to_be_asked(next) ? 1 : 0;
    return now() + share_of_time(health_.time_left() * 9 / 10, others, milliseconds::max());
}

BackendError Rimap::outage() const
{
    return BackendError{problems_.empty() ? "no server can be asked: all have failed lately" : problems_};
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
