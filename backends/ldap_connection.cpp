// SPDX-License-Identifier: BSD-2-Clause
//
// libldap waits where it likes to: connecting to one address after the other, in a TLS handshake, for an
// answer. Here it never waits on its own. The connection is made by server_socket and lent to libldap; every
// question is sent by an asynchronous call, and ldap_result() gets the time that is left; for the handshake
// see ldap_tls.cpp.
//
// libldap also reconnects on its own, as nobody and without TLS, when a question is asked on a connection
// that was lost. So a handle is never used again once something went wrong with it.
//
// An answer is taken one message at a time. Whoever waits for all of an answer has libldap keep what comes,
// and a server can say more than there is memory.
//
// A password goes to libldap as it lies in its Secret. libldap copies it into the message that it sends, and
// frees that without wiping it: in a worker what is freed is overwritten (daemon/worker.cpp).
#include "backends/ldap_connection.hpp"

#include "backends/backend.hpp"
#include "backends/ldap_problems.hpp"
#include "backends/ldap_tls.hpp"
#include "backends/server_socket.hpp"

#include <ldap.h>
#include <openldap.h>

#include <algorithm>
#include <array>
#include <utility>

namespace postern {

namespace {

using std::chrono::milliseconds;

constexpr ber_len_t message_bytes_max = 1024 * 1024; ///< of a server's answer

berval berval_of(std::string_view bytes)
{
    return {bytes.size(), const_cast<char*>(bytes.data())}; // libldap only reads it
}

int number_of(LdapScope scope)
{
    switch (scope) {
    case LdapScope::base: return LDAP_SCOPE_BASE;
    case LdapScope::one: return LDAP_SCOPE_ONELEVEL;
    case LdapScope::sub: break;
    }
    return LDAP_SCOPE_SUBTREE;
}

int number_of(LdapDeref deref)
{
    switch (deref) {
    case LdapDeref::searching: return LDAP_DEREF_SEARCHING;
    case LdapDeref::finding: return LDAP_DEREF_FINDING;
    case LdapDeref::always: return LDAP_DEREF_ALWAYS;
    case LdapDeref::never: break;
    }
    return LDAP_DEREF_NEVER;
}

UniqueFd connect_to(const LdapServer& server, TimePoint until)
try {
    return server.scheme == LdapServer::Scheme::ldapi ? connect_to_path(server.host, until)
                                                      : connect_to_host(server.host, server.port, until);

} catch (const ConnectionSilence& silence) {

    throw ServerSilence{silence.what()};

} catch (const ConnectionError& error) {

    throw ServerProblem{error.what()};
}

} // namespace

LdapConnection::LdapConnection(const LdapSettings& settings, Referrals referrals)
    : settings_{settings}, follows_referrals_{settings.follows_referrals && referrals == Referrals::as_set}
{
}

void LdapConnection::close() noexcept
{
    handle_.reset();
    sent_ = nullptr;
    is_tls_new_ = false;
}

// ---- opening

/// A handle that is only half prepared would carry passwords without TLS.
void LdapConnection::open(const LdapServer& server)
{
    handle_.emplace(connect_to(server, std::chrono::steady_clock::now() + time_left()), server);
    try {
        prepare(server);
    } catch (...) {
        close();
        throw;
    }
}

void LdapConnection::prepare(const LdapServer& server)
{
    set_options();
    const bool has_tls = settings_.tls.starts_on_plain || server.scheme == LdapServer::Scheme::ldaps;
    if (follows_referrals_)
        referrals_.follow(*handle_, server,
                          has_tls ? LdapReferrals::Servers::encrypted : LdapReferrals::Servers::all);
    if (has_tls)
        begin_tls(server);
    else
        read_ahead();
}

/// One read for an answer, in place of one for each length in it. Not in front of TLS: what a server says
/// before its first record must not wait there.
void LdapConnection::read_ahead() noexcept
{
    if (Sockbuf* const buffer = handle_->buffer())
        ::ber_sockbuf_add_io(buffer, &ber_sockbuf_io_readahead, LBER_SBIOD_LEVEL_PROVIDER, nullptr);
}

void LdapConnection::set_options()
{
    const int deref = number_of(settings_.deref);
    handle_->set_option(LDAP_OPT_PROTOCOL_VERSION, &settings_.version, "ldap_version");
    handle_->set_option(LDAP_OPT_DEREF, &deref, "ldap_deref");
    handle_->set_option(LDAP_OPT_TIMELIMIT, &settings_.time_limit_s, "ldap_time_limit");
    handle_->set_option(LDAP_OPT_RESTART, settings_.restarts ? LDAP_OPT_ON : LDAP_OPT_OFF, "ldap_restart");
    handle_->set_time(LDAP_OPT_NETWORK_TIMEOUT, time_left());
    handle_->set_time(LDAP_OPT_TIMEOUT, time_left());
    if (!settings_.sasl.security.empty())
        handle_->set_option(LDAP_OPT_X_SASL_SECPROPS, settings_.sasl.security.c_str(), "ldap_sasl_secprops");
    if (Sockbuf* const buffer = handle_->buffer()) {
        ber_len_t most = message_bytes_max;
        ::ber_sockbuf_ctrl(buffer, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    }
    handle_->set_option(LDAP_OPT_REFERRALS, follows_referrals_ ? LDAP_OPT_ON : LDAP_OPT_OFF,
                        "ldap_referrals");
}

void LdapConnection::begin_tls(const LdapServer& server)
{
    prepare_tls(*handle_, settings_.tls);
    if (server.scheme != LdapServer::Scheme::ldaps) {
        int question = 0;
        check_sent(::ldap_start_tls(handle_->get(), nullptr, nullptr, &question));
        const LdapAnswer answer = answer_to(question, LDAP_RES_EXTENDED);
        if (answer.result != LdapResult::success)
            throw ServerProblem{"TLS is not to be had: " + answer_text(answer)};
    }
    shake_hands(*handle_, time_left());
    is_tls_new_ = true;
}

// ---- one question

/// Of the time for one question. Never nothing: that would mean for ever to libldap.
milliseconds LdapConnection::time_left() const
{
    const auto left = std::chrono::duration_cast<milliseconds>(end_ - std::chrono::steady_clock::now());
    if (left <= milliseconds{0})
        throw ServerSilence{"no time was left to ask it"};
    return std::min(left, settings_.timeout);
}

/// Throws when what libldap says of a question is the server's fault. The rest is that of what is asked, and
/// then no other server would be better.
///
/// With TLS 1.3 a client's handshake is over before the server has looked at its certificate, and libldap
/// does not tell the alert that says no. So more is said where nothing was answered since TLS began.
void LdapConnection::check_server(int error) const
{
    if (error == LDAP_SERVER_DOWN || error == LDAP_CONNECT_ERROR)
        throw ConnectionLost{is_tls_new_ ? "the connection was closed as soon as TLS had begun: does the "
                                           "server want another certificate of ours (ldap_tls_cert)?"
                                         : "the connection was closed"};
    if (error == LDAP_TIMEOUT)
        throw ServerSilence{"it does not take the question, or does not answer it"};
    if (error == LDAP_DECODING_ERROR)
        throw ServerProblem{std::string{"no answer that makes sense: "} + ::ldap_err2string(error)};
}

void LdapConnection::check_sent(int error) const
{
    if (error == LDAP_SUCCESS)
        return;
    check_server(error);
    throw BackendError{std::string{"libldap cannot ask this: "} + ::ldap_err2string(error)};
}

LdapMessage LdapConnection::wait_for_any(int question)
{
    const milliseconds time = time_left();
    timeval limit = timeval_of(time);
    LDAPMessage* message = nullptr;
    const int kind = ::ldap_result(handle_->get(), question, LDAP_MSG_ONE, &limit, &message);
    LdapMessage answer{message};
    if (kind == 0)
        throw ServerSilence{"no answer within " + std::to_string(time.count()) + " ms"};
    if (kind > 0) {
        is_tls_new_ = false;
        return answer;
    }
    int error = LDAP_OTHER;
    ::ldap_get_option(handle_->get(), LDAP_OPT_RESULT_CODE, &error);
    check_server(error);
    throw ServerProblem{std::string{"no answer that makes sense: "} + ::ldap_err2string(error)};
}

LdapMessage LdapConnection::wait_for(int question, int kind)
{
    LdapMessage answer = wait_for_any(question);
    if (answer.kind() != kind)
        throw ServerProblem{"an answer to another question"};
    return answer;
}

LdapAnswer LdapConnection::answer_to(int question, int kind)
{
    return wait_for(question, kind).answer(*handle_, sent_);
}

/// libldap has looked into the message, an answer to a bind, and calls it `result`.
LdapAnswer LdapConnection::last_answer(LdapResult result, const LdapMessage& message) const
{
    LdapAnswer answer = answer_of(result, handle_->diagnostic(), sent_);
    if (message.get() != nullptr)
        answer.policy_error = message.answer(*handle_, sent_).policy_error;
    return answer;
}

LdapAnswer LdapConnection::bind(const std::string& dn, const Secret& password)
{
    if (!dn.empty() && password.empty())
        return {LdapResult::invalid_credentials};
    sent_ = password.empty() ? nullptr : &password;
    berval credentials = berval_of(password.view());
    int question = 0;
    check_sent(::ldap_sasl_bind(handle_->get(), dn.c_str(), LDAP_SASL_SIMPLE, &credentials,
                                bind_controls(settings_.version), nullptr, &question));
    return answer_to(question, LDAP_RES_BIND);
}

/// libldap would ask for them itself, wait for all of the answer and take its silence for the user's.
std::string LdapConnection::sasl_mechanisms()
{
    std::string mechanisms = settings_.sasl.mechanism;
    if (mechanisms.empty())
        mechanisms = handle_->text_option(LDAP_OPT_X_SASL_MECH);
    if (!mechanisms.empty())
        return mechanisms;
    const LdapQuestion question{"", "(objectClass=*)", LdapScope::base, "supportedSASLMechanisms"};
    const LdapFound found = search(question, 0, [&mechanisms](std::string_view name) {
        mechanisms += (mechanisms.empty() ? "" : " ") + std::string{name};
        return false;
    });
    if (is_server_fault(found.answer.result))
        throw ServerProblem{"SASL: " + answer_text(found.answer)};
    if (mechanisms.empty())
        throw BackendError{"SASL: the server shows no mechanism: " + answer_text(found.answer)};
    return mechanisms;
}

LdapAnswer LdapConnection::bind_by_sasl(const SaslIdentity& identity, bool must_prove_password)
{
    if (must_prove_password && identity.password.empty())
        return {LdapResult::invalid_credentials};
    sent_ = identity.password.empty() ? nullptr : &identity.password;
    LdapSaslBind dialogue{*handle_, identity};
    LdapMessage answer;
    int code = LDAP_SUCCESS;
    while ((code = dialogue.take(answer)) == LDAP_SASL_BIND_IN_PROGRESS)
        answer = wait_for(dialogue.question(), LDAP_RES_BIND);
    check_server(code);
    LdapAnswer last = last_answer(result_from(code), answer);
    if (code < 0 || answer.get() == nullptr)
        throw BackendError{std::string{"SASL: "} + ::ldap_err2string(code) + ": " +
                           (last.repeats_password ? "" : last.diagnostic)};
    if (code == LDAP_SUCCESS && must_prove_password && !dialogue.has_asked_for_password())
        throw BackendError{"SASL: the mechanism does not ask for a password, so it says nothing about it"};
    return last;
}

LdapAnswer LdapConnection::compare(const std::string& dn, const std::string& attribute,
                                   std::string_view value)
{
    berval compared = berval_of(value);
    int question = 0;
    check_sent(::ldap_compare_ext(handle_->get(), dn.c_str(), attribute.c_str(), &compared, nullptr, nullptr,
                                  &question));
    return answer_to(question, LDAP_RES_COMPARE);
}

int LdapConnection::ask_search(const LdapQuestion& question, int size_limit)
{
    std::string attribute = question.attribute.empty() ? LDAP_NO_ATTRS : question.attribute;
    std::array<char*, 2> attributes{attribute.data(), nullptr};
    int id = 0;
    if (follows_referrals_) {
        handle_->set_time(LDAP_OPT_NETWORK_TIMEOUT, time_left());
        referrals_.begin_search(std::chrono::steady_clock::now() + time_left());
    }
    check_sent(::ldap_search_ext(handle_->get(), question.base.c_str(), number_of(question.scope),
                                 question.filter.c_str(), attributes.data(), 0, nullptr, nullptr, nullptr,
                                 size_limit, &id));
    return id;
}

/// Entries are counted up to two: what is more says nothing more. Of a reference we hear also when libldap
/// has followed it.
LdapFound LdapConnection::search(const LdapQuestion& question, int size_limit, const ValueMatcher& matches)
{
    const int id = ask_search(question, size_limit);
    LdapFound found;
    for (;;) {
        const LdapMessage message = wait_for_any(id);
        if (message.kind() == LDAP_RES_SEARCH_ENTRY)
            note_entry(found, message, question, matches);
        else if (message.kind() == LDAP_RES_SEARCH_RESULT) {
            found.answer = message.answer(*handle_, sent_);
            return found;
        } else if (message.kind() == LDAP_RES_SEARCH_REFERENCE)
            found.is_whole = found.is_whole && has_followed(message);
        else
            throw ServerProblem{"an answer to another question"};
        if (found.entries > 1) {
            ::ldap_abandon_ext(handle_->get(), id, nullptr, nullptr);
            found.answer.result = LdapResult::success;
            return found;
        }
    }
}

bool LdapConnection::has_followed(const LdapMessage& reference) const
{
    return !follows_referrals_ || referrals_.has_reached(reference.referred_servers(*handle_));
}

void LdapConnection::note_entry(LdapFound& found, const LdapMessage& message, const LdapQuestion& question,
                                const ValueMatcher& matches) const
{
    if (++found.entries > 1)
        return;
    found.dn = message.dn(*handle_);
    if (question.attribute.empty())
        return;
    message.show_values(*handle_, question.attribute, [&](std::string_view value) {
        ++found.values;
        found.is_matched = found.is_matched || matches(value);
    });
}

std::string LdapConnection::ask_who_we_are()
{
    int question = 0;
    check_sent(::ldap_whoami(handle_->get(), nullptr, nullptr, &question));
    const LdapMessage message = wait_for(question, LDAP_RES_EXTENDED);
    if (const LdapAnswer answer = message.answer(*handle_, sent_); answer.result != LdapResult::success)
        throw BackendError{"the server does not say who the user is: " + answer_text(answer)};
    return message.identity(*handle_);
}

} // namespace postern
