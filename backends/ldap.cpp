// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type ldap: a directory that knows the users. Three methods:
//
//     bind      search the user as the service identity, bind as what was found
//     custom    search the user, compare the password with what the directory keeps
//     fastbind  bind as the user, whose DN is made from its name, or whom SASL knows
//
// The servers are asked in turn (server_round.hpp); what one has refused no other is asked again. What a
// server says or does in answer to a user's name or password is never taken for its own fault, or strangers
// could take the servers away one by one: not even that it thinks about it for long, which is a doubt at
// most, or hangs up.
//
// The password goes from the request into libldap, which copies it (ldap_connection.cpp).
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/ldap_connections.hpp"
#include "backends/ldap_debug_lines.hpp"
#include "backends/ldap_group.hpp"
#include "backends/ldap_problems.hpp"
#include "backends/ldap_settings.hpp"
#include "backends/option_values.hpp"
#include "backends/server_round.hpp"
#include "backends/stores/ldap_password.hpp"
#include "base/nul_byte.hpp"

#include <new>
#include <variant>

namespace postern {

namespace {

constexpr std::string_view dn_prefix = "dn:"; ///< of an authorization identity (RFC 4513, 5.2.1.8)

/// Nothing for those who search nothing: whoever has an entry, or why it is none.
using FoundUser = std::variant<LdapFound, Decision>;

/// At the end of a request, whatever comes of it.
class PasswordForgetter {
public:
    explicit PasswordForgetter(LdapConnections& connections) : connections_{connections} {}
    PasswordForgetter(const PasswordForgetter&) = delete;
    PasswordForgetter& operator=(const PasswordForgetter&) = delete;
    ~PasswordForgetter() { connections_.forget_user_password(); }

private:
    LdapConnections& connections_;
};

class Ldap final : public Backend {
public:
    explicit Ldap(const BackendContext& context);

    [[nodiscard]] Decision check(const Request& request) override;
    void probe() override;

private:
    template <typename Ask>
    [[nodiscard]] Decision ask_servers(Ask ask);

    [[nodiscard]] Decision log_in(const Request& request);
    [[nodiscard]] Decision log_in_by_bind(const Request& request, LdapNames names);
    [[nodiscard]] Decision log_in_by_comparison(const Request& request, LdapNames names);
    [[nodiscard]] Decision log_in_by_fastbind(const Request& request, LdapNames names);
    [[nodiscard]] Decision log_in_by_sasl(const Request& request, LdapNames names);

    [[nodiscard]] FoundUser find_user(const LdapNames& names, const std::string& attribute,
                                      const ValueMatcher& matches);
    [[nodiscard]] Decision refuse_without_password(const std::string& dn);
    [[nodiscard]] std::string user_dn_of_sasl();
    [[nodiscard]] LdapAnswer bind(const std::string& dn, const Secret& password);
    [[nodiscard]] Decision check_group_as_service(const LdapNames& names);
    void debug(const std::string& text) const;

    const LdapSettings settings_;
    Servers& servers_;
    Log& log_;
    LdapConnections connections_;
};

Ldap::Ldap(const BackendContext& context)
    : settings_{read_ldap_settings(context.options)}
    , servers_{context.servers}
    , log_{context.log}
    , connections_{settings_, option_text(context.options, "ldap_password"), log_}
{
    if (settings_.debug_level != 0)
        debug_libldap(settings_.debug_level, log_);
}

Decision Ldap::check(const Request& request)
{
    if (request.user.empty() || request.password.empty())
        return {Verdict::rejected, "empty user or password"};
    if (has_nul(request.user) || has_nul(request.realm)) // where SASL takes a name to end
        return {Verdict::rejected, "a name with a NUL"};
    const PasswordForgetter at_the_end{connections_};
    return ask_servers([&] { return log_in(request); });
}

/// As much of a login as needs no user. Where users bind themselves, anybody's bind shows whether the server
/// answers, and it may be refused.
void Ldap::probe()
{
    static_cast<void>(ask_servers([&] {
        if (settings_.method != LdapMethod::fastbind) {
            connections_.close_service(); // what was answered once says nothing of now
            connections_.service();
        } else if (const LdapAnswer answer = connections_.bind_as_nobody(); is_server_fault(answer.result))
            throw ServerProblem{answer_text(answer)};
        return Decision{Verdict::accepted, ""};
    }));
}

/// The answer of the first that can be asked. Whatever goes wrong, no connection is used again after it.
template <typename Ask>
Decision Ldap::ask_servers(Ask ask)
{
    ServerRound round{servers_, settings_.servers};
    return round.ask_in_turn([&](std::size_t server, std::chrono::milliseconds time) {
        connections_.use(server, time);
        try {
            return ask();
        } catch (...) {
            connections_.close();
            throw;
        }
    });
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
    Decision decision = judge(bind(dn, request.password));
    if (decision.verdict != Verdict::accepted || settings_.group_check == LdapGroupCheck::none)
        return decision;
    return check_group_as_service(names);
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
    return check_group_as_service(names);

} catch (const std::bad_alloc&) {

    throw BackendError{"there is no memory to compute the hash of a password"};
}

LdapAnswer Ldap::bind(const std::string& dn, const Secret& password)
{
    return connections_.as_user([&](LdapConnection& connection) { return connection.bind(dn, password); });
}

Decision Ldap::check_group_as_service(const LdapNames& names)
{
    return connections_.as_service(
        [&](LdapConnection& connection) { return check_ldap_group(connection, settings_, names); });
}

/// An entry without a password, or one whose password we may not see? Only a comparison tells.
Decision Ldap::refuse_without_password(const std::string& dn)
{
    const LdapAnswer answer = connections_.service().compare(dn, settings_.password_attribute, "x");
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
    Decision decision = judge(bind(dn, request.password));
    if (decision.verdict != Verdict::accepted)
        return decision;
    return check_ldap_group(connections_.user(), settings_, names);
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
    connections_.close_user();
    const std::string mechanisms = connections_.user().sasl_mechanisms();
    Decision decision = judge(as_answer_about_user(connections_.as_user([&](LdapConnection& connection) {
        return connection.bind_by_sasl({mechanisms, sasl.realm, id, "", request.password}, true);
    })));
    if (decision.verdict == Verdict::accepted && settings_.group_check != LdapGroupCheck::none) {
        const std::string dn = user_dn_of_sasl();
        names.user_dn = dn;
        decision = check_ldap_group(connections_.user(), settings_, names);
    }
    connections_.close_user();
    return decision;
}

std::string Ldap::user_dn_of_sasl()
{
    const std::string name = connections_.user().ask_who_we_are();
    if (!name.starts_with(dn_prefix) || name.size() == dn_prefix.size())
        throw BackendError{"the server knows no DN of the user, whose group can then not be checked"};
    return name.substr(dn_prefix.size());
}

FoundUser Ldap::find_user(const LdapNames& names, const std::string& attribute, const ValueMatcher& matches)
{
    const LdapQuestion question{settings_.user.base.expand(names), settings_.user.filter.expand(names),
                                settings_.user.scope, attribute};
    LdapFound found = connections_.as_service([&](LdapConnection& connection) {
        return connection.search(question, settings_.size_limit, matches);
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
