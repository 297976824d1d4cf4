// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type ldap: a directory that knows the users. Three methods:
//
//     bind      search the user as the service identity, bind as what was found
//     custom    search the user, compare the password with what the directory keeps
//     fastbind  bind as the user, whose DN is made from its name, or whom SASL knows
//
// A worker keeps two connections to one server: the service identity searches on the first and stays bound,
// users bind on the second. So a login is two questions, and a wrong password costs no new connection. A
// connection that the server has closed meanwhile is opened once more, without further ado.
//
// The servers are asked in the order in which the admin wrote them, without those that the front says to
// leave alone. Each gets its share of the time, so that the next can still be asked; what one has refused no
// other is asked again. What a server says or does in answer to a user's name or password is never taken for
// its own fault, or strangers could take the servers away one by one: not even that it thinks about it for
// long, which is a doubt at most, or hangs up.
//
// The password goes from the request into libldap, which copies it (ldap_connection.cpp).
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/ldap_connection.hpp"
#include "backends/ldap_debug_lines.hpp"
#include "backends/ldap_problems.hpp"
#include "backends/ldap_settings.hpp"
#include "backends/option_values.hpp"
#include "backends/stores/ldap_password.hpp"

#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

namespace postern {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t outage_bytes_max = 512;
constexpr std::chrono::milliseconds fair_time = 250ms; ///< who had less has not failed
constexpr std::string_view dn_prefix = "dn:";          ///< of an authorization identity (RFC 4513, 5.2.1.8)

/// Nothing for those who search nothing: whoever has an entry, or why it is none.
using FoundUser = std::variant<LdapFound, Decision>;

/// The password of the service identity lives as long as the backend. Its arena is its own, so that what a
/// request leaves behind in the worker's can be counted.
class ServicePassword {
public:
    explicit ServicePassword(const std::string& text)
        : arena_{std::max<std::size_t>(text.size(), 1), 1}
        , secret_{text.empty() ? Secret{} : Secret{arena_, text}}
    {
    }

    [[nodiscard]] const Secret& get() const noexcept { return secret_; }

private:
    SecretArena arena_;
    Secret secret_;
};

/// With a DN and no password nobody is bound, whatever the server says: so nobody is named.
std::string service_dn(const LdapSettings& settings, const Secret& password)
{
    return password.empty() ? "" : settings.service_dn;
}

bool has_nul(std::string_view text)
{
    return text.find('\0') != std::string_view::npos;
}

/// The password of a request is lent to the connection for as long as the request.
class PasswordForgetter {
public:
    explicit PasswordForgetter(LdapConnection& connection) : connection_{connection} {}
    PasswordForgetter(const PasswordForgetter&) = delete;
    PasswordForgetter& operator=(const PasswordForgetter&) = delete;
    ~PasswordForgetter() { connection_.forget_password(); }

private:
    LdapConnection& connection_;
};

class Ldap final : public Backend {
public:
    explicit Ldap(const BackendContext& context);

    [[nodiscard]] Decision check(const Request& request) override;
    void probe() override;

private:
    template <typename Ask>
    [[nodiscard]] Decision ask_servers(Ask ask);
    template <typename Ask>
    std::invoke_result_t<Ask> on_kept(LdapConnection& connection, Ask ask);
    void tell_of(const Unasked& problem, std::size_t server);
    [[nodiscard]] std::chrono::milliseconds use(std::size_t server, std::size_t others);
    void close() noexcept;

    LdapConnection& service_connection();
    LdapConnection& user_connection();
    [[nodiscard]] LdapAnswer bind_as_service();
    template <typename Bind>
    [[nodiscard]] LdapAnswer as_user(Bind bind);
    [[nodiscard]] LdapAnswer bind_user(const std::string& dn, const Secret& password);

    [[nodiscard]] Decision log_in(const Request& request);
    [[nodiscard]] Decision log_in_by_bind(const Request& request, LdapNames names);
    [[nodiscard]] Decision log_in_by_comparison(const Request& request, LdapNames names);
    [[nodiscard]] Decision log_in_by_fastbind(const Request& request, LdapNames names);
    [[nodiscard]] Decision log_in_by_sasl(const Request& request, LdapNames names);

    [[nodiscard]] FoundUser find_user(const LdapNames& names, const std::string& attribute,
                                      const ValueMatcher& matches);
    [[nodiscard]] Decision refuse_without_password(const std::string& dn);
    [[nodiscard]] std::string user_dn_of_sasl();
    [[nodiscard]] Decision check_group(LdapConnection& connection, const LdapNames& names);
    [[nodiscard]] Decision compare_group(LdapConnection& connection, const LdapNames& names);
    [[nodiscard]] Decision search_group(LdapConnection& connection, const LdapNames& names);
    void debug(const std::string& text) const;

    const LdapSettings settings_;
    const ServicePassword service_password_;
    const std::string service_dn_;
    Servers& servers_;
    Log& log_;
    std::vector<LdapServer> addresses_;
    std::size_t server_ = 0; ///< whose connections these are
    LdapConnection service_connection_{settings_, LdapConnection::Referrals::as_set};
    LdapConnection user_connection_{settings_, LdapConnection::Referrals::never};
};

Ldap::Ldap(const BackendContext& context)
    : settings_{read_ldap_settings(context.options)}
    , service_password_{option_text(context.options, "ldap_password")}
    , service_dn_{service_dn(settings_, service_password_.get())}
    , servers_{context.servers}
    , log_{context.log}
{
    for (const std::string& uri : settings_.servers)
        addresses_.push_back(parse_ldap_uri(uri));
    if (service_dn_ != settings_.service_dn)
        log_.warning("ldap_bind_dn has no ldap_password: users are searched as nobody");
    if (settings_.debug_level != 0)
        debug_libldap(settings_.debug_level, log_);
}

Decision Ldap::check(const Request& request)
{
    if (request.user.empty() || request.password.empty())
        return {Verdict::rejected, "empty user or password"};
    if (has_nul(request.user) || has_nul(request.realm)) // where SASL takes a name to end
        return {Verdict::rejected, "a name with a NUL"};
    const PasswordForgetter at_the_end{user_connection_};
    return ask_servers([&] { return log_in(request); });
}

/// As much of a login as needs no user. Where users bind themselves, anybody's bind shows whether the server
/// answers, and it may be refused.
void Ldap::probe()
{
    static_cast<void>(ask_servers([&] {
        if (settings_.method != LdapMethod::fastbind) {
            service_connection_.close(); // what was answered once says nothing of now
            service_connection();
        } else if (const LdapAnswer answer =
                       on_kept(user_connection_, [&] { return user_connection().bind("", Secret{}); });
                   is_server_fault(answer.result))
            throw ServerProblem{answer_text(answer)};
        return Decision{Verdict::accepted, ""};
    }));
}

// ---- servers

/// The answer of the first that can be asked. Whatever goes wrong, no connection is used again after it.
template <typename Ask>
Decision Ldap::ask_servers(Ask ask)
{
    const ServerSet left_alone = servers_.left_alone();
    std::vector<std::size_t> candidates;
    for (std::size_t server = 0; server < addresses_.size(); ++server)
        if (!left_alone.has(server))
            candidates.push_back(server);
    std::string outage = candidates.empty() ? "every server has failed lately" : "no server could be asked";
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const bool was_fair = use(candidates[i], candidates.size() - i - 1) >= fair_time;
        try {
            return ask();
        } catch (const Unasked& problem) {
            close();
            if (was_fair)
                tell_of(problem, candidates[i]);
            outage += (i == 0 ? ": " : "; ") + addresses_[candidates[i]].uri + ": " + problem.what();
        } catch (...) {
            close();
            throw;
        }
    }
    throw BackendError{outage.substr(0, outage_bytes_max)};
}

void Ldap::tell_of(const Unasked& problem, std::size_t server)
{
    if (dynamic_cast<const ServerProblem*>(&problem) != nullptr)
        servers_.failed(server, problem.what());
    else if (dynamic_cast<const ServerDoubt*>(&problem) != nullptr)
        servers_.doubt(server, problem.what());
}

/// The time that it has. Somebody has to carry the answer home before all of it is over, the bad news too.
std::chrono::milliseconds Ldap::use(std::size_t server, std::size_t others)
{
    if (server_ != server)
        close();
    server_ = server;
    const auto time_left = servers_.time_left();
    const auto usable = time_left - std::min<std::chrono::milliseconds>(time_left / 10, 500ms);
    const auto share = share_of_time(usable, others, usable);
    const TimePoint end = std::chrono::steady_clock::now() + share;
    service_connection_.set_end(end);
    user_connection_.set_end(end);
    return share;
}

void Ldap::close() noexcept
{
    service_connection_.close();
    user_connection_.close();
}

/// Servers close what was idle for long, and say so only to the next question.
template <typename Ask>
std::invoke_result_t<Ask> Ldap::on_kept(LdapConnection& connection, Ask ask)
{
    const bool was_kept = connection.is_open();
    try {
        return ask();
    } catch (const ConnectionLost&) {
        connection.close();
        if (!was_kept)
            throw;
    }
    return ask();
}

/// Open only when it is bound, or users would be searched as nobody.
LdapConnection& Ldap::service_connection()
{
    if (service_connection_.is_open())
        return service_connection_;
    service_connection_.open(addresses_[server_]);
    try {
        if (const LdapAnswer answer = bind_as_service(); answer.result != LdapResult::success)
            throw ServerProblem{"the service bind was refused: " + answer_text(answer)};
    } catch (...) {
        service_connection_.close();
        throw;
    }
    return service_connection_;
}

LdapAnswer Ldap::bind_as_service()
{
    const LdapSasl& sasl = settings_.sasl;
    if (!sasl.is_used)
        return service_connection_.bind(service_dn_, service_password_.get());
    return service_connection_.bind_by_sasl({service_connection_.sasl_mechanisms(), sasl.realm, sasl.id,
                                             sasl.authorization_id, service_password_.get()},
                                            false);
}

LdapConnection& Ldap::user_connection()
{
    if (!user_connection_.is_open())
        user_connection_.open(addresses_[server_]);
    return user_connection_;
}

/// A server that was there, and is silent or gone when a user binds, is so to that user at least. One that is
/// silent to everybody would cost each of them the time: so that is a doubt.
template <typename Bind>
LdapAnswer Ldap::as_user(Bind bind)
{
    return on_kept(user_connection_, [&] {
        const bool was_kept = user_connection_.is_open();
        LdapConnection& connection = user_connection();
        try {
            return bind(connection);
        } catch (const ServerSilence& silence) {
            throw ServerDoubt{std::string{"the user's bind: "} + silence.what()};
        } catch (const ConnectionLost& loss) {
            if (was_kept)
                throw; // it may have been closed long ago
            throw Unasked{std::string{"the user's bind: "} + loss.what()};
        }
    });
}

LdapAnswer Ldap::bind_user(const std::string& dn, const Secret& password)
{
    return as_user([&](LdapConnection& connection) { return connection.bind(dn, password); });
}

// ---- methods

Decision judge(const LdapAnswer& answer)
{
    if (is_server_fault(answer.result))
        throw Unasked{"the user's bind: " + answer_text(answer)};
    Decision decision = decide_bind(answer);
    if (decision.verdict == Verdict::unavailable)
        throw BackendError{decision.reason};
    return decision;
}

Decision Ldap::log_in(const Request& request)
{
    const std::string& realm = request.realm.empty() ? settings_.default_realm : request.realm;
    const LdapNames names{request.user, realm, request.service};
    switch (settings_.method) {
    case LdapMethod::bind: return log_in_by_bind(request, names);
    case LdapMethod::custom: return log_in_by_comparison(request, names);
    case LdapMethod::fastbind: break;
    }
    return settings_.sasl.is_used ? log_in_by_sasl(request, names) : log_in_by_fastbind(request, names);
}

Decision Ldap::log_in_by_bind(const Request& request, LdapNames names)
{
    const FoundUser user = find_user(names, "", {});
    if (const auto* const refusal = std::get_if<Decision>(&user))
        return *refusal;
    const std::string& dn = std::get<LdapFound>(user).dn;
    names.user_dn = dn;
    Decision decision = judge(bind_user(dn, request.password));
    if (decision.verdict != Verdict::accepted || settings_.group_check == LdapGroupCheck::none)
        return decision;
    return on_kept(service_connection_, [&] { return check_group(service_connection(), names); });
}

Decision Ldap::log_in_by_comparison(const Request& request, LdapNames names)
try {
    const FoundUser user = find_user(names, settings_.password_attribute, [&](std::string_view stored) {
        return ldap_password_matches(stored, request.password);
    });
    if (const auto* const refusal = std::get_if<Decision>(&user))
        return *refusal;
    const LdapFound& found = std::get<LdapFound>(user);
    names.user_dn = found.dn;
    if (found.values == 0)
        return refuse_without_password(found.dn);
    if (!found.is_matched)
        return {Verdict::rejected, "wrong password"};
    if (settings_.group_check == LdapGroupCheck::none)
        return {Verdict::accepted, ""};
    return on_kept(service_connection_, [&] { return check_group(service_connection(), names); });

} catch (const std::bad_alloc&) {

    throw BackendError{"there is no memory to compute the hash of a password"};
}

/// An entry without a password, or one whose password we may not see? Only a comparison tells.
Decision Ldap::refuse_without_password(const std::string& dn)
{
    const LdapAnswer answer = service_connection().compare(dn, settings_.password_attribute, "x");
    if (answer.result == LdapResult::no_such_attribute)
        return {Verdict::rejected, "the user has no " + settings_.password_attribute};
    throw BackendError{settings_.password_attribute + " cannot be read: " + answer_text(answer)};
}

Decision Ldap::log_in_by_fastbind(const Request& request, LdapNames names)
{
    const std::string dn = settings_.user_dn.expand(names);
    if (dn.empty())
        return {Verdict::rejected, "the name makes no DN"};
    names.user_dn = dn;
    Decision decision = judge(bind_user(dn, request.password));
    if (decision.verdict != Verdict::accepted)
        return decision;
    return check_group(user_connection_, names);
}

/// A name that nobody has makes slapd answer as for a fault of its own; the SASL library's number tells. Its
/// other numbers are of faults indeed. One fault, a mechanism too weak for the server, has the number that is
/// said of a user without a password when a password is asked for.
LdapAnswer as_answer_about_user(LdapAnswer answer)
{
    const bool is_about_user =
        answer.diagnostic.starts_with("SASL(-1):") || answer.diagnostic.starts_with("SASL(-13):");
    if (answer.result == LdapResult::other && is_about_user)
        answer.result = LdapResult::invalid_credentials;
    if (answer.result == LdapResult::inappropriate_authentication)
        throw Unasked{"the user's bind: " + answer_text(answer)};
    return answer;
}

/// On a connection of its own: a mechanism may have put a layer of its own on the last one.
Decision Ldap::log_in_by_sasl(const Request& request, LdapNames names)
{
    const LdapSasl& sasl = settings_.sasl;
    const bool has_realm = request.user.find('@') != std::string::npos || names.realm.empty();
    const std::string id = has_realm ? request.user : request.user + '@' + std::string{names.realm};
    user_connection_.close();
    const std::string mechanisms = user_connection().sasl_mechanisms();
    Decision decision = judge(as_answer_about_user(as_user([&](LdapConnection& connection) {
        return connection.bind_by_sasl({mechanisms, sasl.realm, id, "", request.password}, true);
    })));
    if (decision.verdict == Verdict::accepted && settings_.group_check != LdapGroupCheck::none) {
        const std::string dn = user_dn_of_sasl();
        names.user_dn = dn;
        decision = check_group(user_connection_, names);
    }
    user_connection_.close();
    return decision;
}

std::string Ldap::user_dn_of_sasl()
{
    const std::string name = user_connection_.ask_who_we_are();
    if (!name.starts_with(dn_prefix) || name.size() == dn_prefix.size())
        throw BackendError{"the server knows no DN of the user, whose group can then not be checked"};
    return name.substr(dn_prefix.size());
}

// ---- what the answers mean

/// Throws when it says that the server could not do what it was asked, and nothing about that.
void check_answer(const LdapAnswer& answer, const std::string& what)
{
    if (is_server_fault(answer.result))
        throw ServerProblem{what + answer_text(answer)};
    if (is_server_limit(answer.result))
        throw Unasked{what + answer_text(answer)};
}

/// The same for a search, when what it found does not say enough.
void check_search(const LdapFound& found, const std::string& what)
{
    check_answer(found.answer, what);
    if (found.entries > 0)
        return;
    if (found.answer.result == LdapResult::size_limit_exceeded)
        throw Unasked{what + answer_text(found.answer)};
    if (!found.is_whole)
        throw Unasked{what + "a server that it refers to could not be asked"};
}

FoundUser Ldap::find_user(const LdapNames& names, const std::string& attribute, const ValueMatcher& matches)
{
    const LdapQuestion question{settings_.user.base.expand(names), settings_.user.filter.expand(names),
                                settings_.user.scope, attribute};
    LdapFound found = on_kept(service_connection_, [&] {
        return service_connection().search(question, settings_.size_limit, matches);
    });
    const LdapResult result = found.answer.result;
    if (found.entries > 1 || (found.entries > 0 && result == LdapResult::size_limit_exceeded)) {
        debug("Duplicate entries found (" + question.filter + ").");
        return Decision{Verdict::rejected, "several entries match"};
    }
    check_search(found, "the search: ");
    const bool is_base_missing =
        result == LdapResult::no_such_object || result == LdapResult::invalid_dn_syntax;
    if ((result == LdapResult::success && found.entries == 0) ||
        (is_base_missing && settings_.user.base.has_tokens())) { // the user's own base
        debug("Entry not found (" + question.filter + ").");
        return Decision{Verdict::unknown_user, "unknown user"};
    }
    if (is_base_missing)
        throw BackendError{"ldap_search_base is missing: " + answer_text(found.answer)};
    if (result != LdapResult::success)
        throw BackendError{"the search: " + answer_text(found.answer)};
    return found;
}

// ---- groups

/// The password has been found right.
Decision Ldap::check_group(LdapConnection& connection, const LdapNames& names)
{
    switch (settings_.group_check) {
    case LdapGroupCheck::none: break;
    case LdapGroupCheck::attribute: return compare_group(connection, names);
    case LdapGroupCheck::search: return search_group(connection, names);
    }
    return {Verdict::accepted, ""};
}

Decision not_in_group(const std::string& reason)
{
    return {Verdict::barred, reason, true};
}

/// A group that is missing is the admin's mistake, unless its name depends on who logs in.
Decision without_group(const LdapTemplate& named, const LdapAnswer& answer)
{
    const bool is_missing =
        answer.result == LdapResult::no_such_object || answer.result == LdapResult::invalid_dn_syntax;
    if (is_missing && named.has_tokens())
        return not_in_group("there is no such group");
    check_answer(answer, "the group: ");
    throw BackendError{"the group: " + answer_text(answer)};
}

Decision Ldap::compare_group(LdapConnection& connection, const LdapNames& names)
{
    const LdapAnswer answer =
        connection.compare(settings_.group_dn.expand(names), settings_.group_attribute, names.user_dn);
    switch (answer.result) {
    case LdapResult::compare_true: return {Verdict::accepted, ""};
    case LdapResult::compare_false:
    case LdapResult::no_such_attribute: return not_in_group("not in the group");
    default: return without_group(settings_.group_dn, answer);
    }
}

Decision Ldap::search_group(LdapConnection& connection, const LdapNames& names)
{
    const LdapQuestion question{settings_.group.base.expand(names), settings_.group.filter.expand(names),
                                settings_.group.scope, ""};
    const LdapFound found = connection.search(question, settings_.size_limit, {});
    check_search(found, "the group: ");
    switch (found.answer.result) {
    case LdapResult::success:
    case LdapResult::size_limit_exceeded:
        return found.entries > 0 ? Decision{Verdict::accepted, ""} : not_in_group("not in the group");
    default: return without_group(settings_.group.base, found.answer);
    }
}

/// In saslauthd's words, and where it writes them.
void Ldap::debug(const std::string& text) const
{
    if (log_.writes_debug())
        log_.write_foreign(LogOrigin::foreign_to_auth, LogLevel::debug, text);
}

std::unique_ptr<Backend> make_ldap(const BackendContext& context)
{
    return std::make_unique<Ldap>(context);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "ldap", make_ldap};
}

} // namespace postern
