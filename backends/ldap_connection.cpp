// SPDX-License-Identifier: BSD-2-Clause
//
// libldap waits where it likes to: connecting to one address after the other, in a TLS handshake, for an
// answer. Here it never waits on its own. The connection is made by server_socket and lent to libldap; every
// question is sent by an asynchronous call, and ldap_result() gets the time that is left; the handshake obeys
// LDAP_OPT_NETWORK_TIMEOUT.
//
// libldap also reconnects on its own, as nobody and without TLS, when a question is asked on a connection
// that was lost. So a handle is never used again once something went wrong with it.
//
// A password goes to libldap as it lies in its Secret. libldap copies it into the message that it sends, and
// frees that without wiping it; nothing can be done about it from here, except that the process is
// short-lived and leaves no core file.
#include "backends/ldap_connection.hpp"

#include <fcntl.h>
#include <ldap.h>
#include <openldap.h>
#include <poll.h>
#include <sasl/sasl.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <utility>

namespace postern {

namespace {

using std::chrono::milliseconds;

constexpr std::size_t diagnostic_bytes_max = 160;
constexpr ber_len_t message_bytes_max = 1024 * 1024;       ///< of a server's answer
constexpr const char* ldapi_path = "/var/run/slapd/ldapi"; ///< Debian's libldap has no other

// Our numbers are libldap's.
static_assert(static_cast<int>(LdapResult::success) == LDAP_SUCCESS);
static_assert(static_cast<int>(LdapResult::size_limit_exceeded) == LDAP_SIZELIMIT_EXCEEDED);
static_assert(static_cast<int>(LdapResult::compare_true) == LDAP_COMPARE_TRUE);
static_assert(static_cast<int>(LdapResult::no_such_attribute) == LDAP_NO_SUCH_ATTRIBUTE);
static_assert(static_cast<int>(LdapResult::no_such_object) == LDAP_NO_SUCH_OBJECT);
static_assert(static_cast<int>(LdapResult::invalid_credentials) == LDAP_INVALID_CREDENTIALS);
static_assert(static_cast<int>(LdapResult::busy) == LDAP_BUSY);
static_assert(static_cast<int>(LdapResult::unavailable) == LDAP_UNAVAILABLE);
static_assert(static_cast<int>(LdapResult::other) == LDAP_OTHER);

/// A number that is none of LDAP's is not cut to one that is.
LdapResult result_from(int code)
{
    constexpr int code_max = 0xfff;
    return code < 0 || code > code_max ? LdapResult::other : static_cast<LdapResult>(code);
}

berval berval_of(std::string_view bytes)
{
    return {bytes.size(), const_cast<char*>(bytes.data())}; // libldap only reads it
}

timeval timeval_of(milliseconds time)
{
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
    return {seconds.count(), std::chrono::microseconds{time - seconds}.count()};
}

/// Memory that libldap allocated.
struct FreeMemory {
    void operator()(char* memory) const noexcept { ::ldap_memfree(memory); }
};
using LdapText = std::unique_ptr<char, FreeMemory>;

/// What ldap.conf says. libldap itself gives no handle that begins TLS anew the files that are named there.
std::string text_of_ldap_conf(int option)
{
    char* text = nullptr;
    ::ldap_get_option(nullptr, option, &text);
    const LdapText owned{text};
    return text == nullptr ? "" : text;
}

/// Throws when what libldap says of a question is the server's fault. The rest is that of what is asked, and
/// then no other server would be better.
void check_server(int error)
{
    if (error == LDAP_SERVER_DOWN || error == LDAP_CONNECT_ERROR)
        throw ConnectionLost{"the connection was closed"};
    if (error == LDAP_TIMEOUT)
        throw ServerSilence{"it does not take the question, or does not answer it"};
    if (error == LDAP_DECODING_ERROR)
        throw ServerProblem{std::string{"no answer that makes sense: "} + ::ldap_err2string(error)};
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

std::optional<PasswordPolicyError> policy_error_in(ldap* handle, LDAPControl** controls)
{
    LDAPControl* const control = ::ldap_control_find(LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, nullptr);
    LDAPPasswordPolicyError error = PP_noError;
    if (control == nullptr ||
        ::ldap_parse_passwordpolicy_control(handle, control, nullptr, nullptr, &error) != LDAP_SUCCESS)
        return {};
    switch (error) {
    case PP_passwordExpired: return PasswordPolicyError::password_expired;
    case PP_accountLocked: return PasswordPolicyError::account_locked;
    case PP_changeAfterReset: return PasswordPolicyError::change_after_reset;
    default: return {}; // of changing passwords
    }
}

// ---- SASL

struct Interaction {
    const SaslIdentity& identity;
    bool has_password_been_asked = false;
};

std::string_view sasl_answer(Interaction& interaction, const sasl_interact_t& question)
{
    switch (question.id) {
    case SASL_CB_AUTHNAME: return interaction.identity.id;
    case SASL_CB_USER: return interaction.identity.authorization_id;
    case SASL_CB_GETREALM:
        return !interaction.identity.realm.empty() ? std::string_view{interaction.identity.realm}
               : question.defresult != nullptr     ? std::string_view{question.defresult}
                                                   : std::string_view{""};
    case SASL_CB_PASS:
        interaction.has_password_been_asked = true;
        return interaction.identity.password.view();
    default: return "";
    }
}

int interact(LDAP*, unsigned, void* self, void* questions)
{
    auto& interaction = *static_cast<Interaction*>(self);
    for (auto* question = static_cast<sasl_interact_t*>(questions); question->id != SASL_CB_LIST_END;
         ++question) {
        const std::string_view answer = sasl_answer(interaction, *question);
        question->result = answer.empty() ? "" : answer.data();
        question->len = static_cast<unsigned>(answer.size());
    }
    return LDAP_SUCCESS;
}

const char* or_null(const std::string& text)
{
    return text.empty() ? nullptr : text.c_str();
}

// ---- reading in time

/// Until when a read may wait for bytes.
struct ReadLimit {
    int fd;
    TimePoint end;
};

/// Whether it is before the end.
bool is_readable(const ReadLimit& limit)
{
    for (;;) {
        const auto left = std::chrono::ceil<milliseconds>(limit.end - std::chrono::steady_clock::now());
        if (left <= milliseconds{0})
            return false;
        pollfd watched{limit.fd, POLLIN, 0};
        const int ready = ::poll(&watched, 1, static_cast<int>(left.count()));
        if (ready >= 0 || errno != EINTR)
            return ready > 0;
    }
}

int set_limit(Sockbuf_IO_Desc* self, void* limit)
{
    self->sbiod_pvt = limit;
    return 0;
}

ber_slen_t read_in_time(Sockbuf_IO_Desc* self, void* buffer, ber_len_t size)
{
    if (!is_readable(*static_cast<const ReadLimit*>(self->sbiod_pvt))) {
        errno = ETIMEDOUT;
        return -1;
    }
    return LBER_SBIOD_READ_NEXT(self, buffer, size);
}

ber_slen_t write_through(Sockbuf_IO_Desc* self, void* buffer, ber_len_t size)
{
    return LBER_SBIOD_WRITE_NEXT(self, buffer, size);
}

int control_through(Sockbuf_IO_Desc* self, int option, void* value)
{
    return LBER_SBIOD_CTRL_NEXT(self, option, value);
}

/// A layer of libldap's, between the socket and TLS.
Sockbuf_IO in_time{set_limit, nullptr, control_through, read_in_time, write_through, nullptr};
constexpr int in_time_level = (LBER_SBIOD_LEVEL_PROVIDER + LBER_SBIOD_LEVEL_TRANSPORT) / 2;

class TimedReads {
public:
    TimedReads(Sockbuf* buffer, ReadLimit limit) : buffer_{buffer}, limit_{limit}
    {
        if (::ber_sockbuf_add_io(buffer_, &in_time, in_time_level, &limit_) != 0)
            throw std::bad_alloc{};
    }
    TimedReads(const TimedReads&) = delete;
    TimedReads& operator=(const TimedReads&) = delete;
    ~TimedReads() { ::ber_sockbuf_remove_io(buffer_, &in_time, in_time_level); }

private:
    Sockbuf* buffer_;
    ReadLimit limit_;
};

// ---- libldap's own lines

/// libldap knows one function for the whole process and gives it nothing to find its way by.
Log* debug_log = nullptr;

void write_debug_line(const char* text)
{
    std::string_view line{text};
    while (line.ends_with('\n'))
        line.remove_suffix(1);
    if (!line.empty() && debug_log != nullptr)
        debug_log->write_foreign(LogOrigin::foreign_to_auth, LogLevel::debug, escape_log_line(line, 512));
}

} // namespace

LdapServer parse_ldap_uri(const std::string& uri)
{
    LDAPURLDesc* parsed = nullptr;
    if (::ldap_url_parse(uri.c_str(), &parsed) != LDAP_URL_SUCCESS)
        throw BackendError{"ldap_servers: " + uri + " is no URI such as ldap://localhost/"};
    const std::unique_ptr<LDAPURLDesc, decltype(&::ldap_free_urldesc)> url{parsed, ::ldap_free_urldesc};
    const std::string scheme = url->lud_scheme;
    const std::string host = url->lud_host == nullptr ? "" : url->lud_host;
    const std::string port = std::to_string(url->lud_port);
    if (scheme == "ldapi")
        return {uri, LdapServer::Scheme::ldapi, host.empty() ? ldapi_path : host, ""};
    if (scheme != "ldap" && scheme != "ldaps")
        throw BackendError{"ldap_servers: " + uri + ": ldap, ldaps or ldapi was expected"};
    const bool is_ldaps = scheme == "ldaps";
    return {uri, is_ldaps ? LdapServer::Scheme::ldaps : LdapServer::Scheme::ldap,
            host.empty() ? "localhost" : host,
            url->lud_port != 0 ? port
            : is_ldaps         ? "636"
                               : "389"};
}

/// An answer of a server.
class LdapConnection::Message {
public:
    explicit Message(LDAPMessage* message) : message_{message, ::ldap_msgfree} {}

    [[nodiscard]] LDAPMessage* get() const noexcept { return message_.get(); }
    [[nodiscard]] int kind() const noexcept { return ::ldap_msgtype(get()); }

private:
    std::unique_ptr<LDAPMessage, decltype(&::ldap_msgfree)> message_;
};

void LdapConnection::Unbind::operator()(ldap* handle) const noexcept
{
    ::ldap_unbind_ext(handle, nullptr, nullptr);
}

LdapConnection::LdapConnection(const LdapSettings& settings, Referrals referrals)
    : settings_{settings}, referrals_{referrals}
{
}

void LdapConnection::close() noexcept
{
    handle_.reset();
    sent_ = nullptr;
}

// ---- opening

/// A handle that is only half prepared would carry passwords without TLS.
void LdapConnection::open(const LdapServer& server)
{
    attach(server);
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
    if (!settings_.tls.starts_on_plain && server.scheme != LdapServer::Scheme::ldaps)
        return read_ahead();
    refuse_plain_referrals();
    begin_tls(server);
}

/// One read for an answer, in place of one for each length in it. Not in front of TLS: what a server says
/// before its first record must not wait there.
void LdapConnection::read_ahead() noexcept
{
    Sockbuf* buffer = nullptr;
    if (::ldap_get_option(handle_.get(), LDAP_OPT_SOCKBUF, &buffer) == LDAP_OPT_SUCCESS && buffer != nullptr)
        ::ber_sockbuf_add_io(buffer, &ber_sockbuf_io_readahead, LBER_SBIOD_LEVEL_PROVIDER, nullptr);
}

void LdapConnection::attach(const LdapServer& server)
{
    const bool is_local = server.scheme == LdapServer::Scheme::ldapi;
    const TimePoint until = std::chrono::steady_clock::now() + time_left();
    UniqueFd fd;
    try {
        fd =
            is_local ? connect_to_path(server.host, until) : connect_to_host(server.host, server.port, until);
    } catch (const ConnectionSilence& silence) {
        throw ServerSilence{silence.what()};
    } catch (const ConnectionError& error) {
        throw ServerProblem{error.what()};
    }
    ldap* made = nullptr;
    if (const int error =
            ::ldap_init_fd(fd.get(), is_local ? LDAP_PROTO_IPC : LDAP_PROTO_TCP, server.uri.c_str(), &made);
        error != LDAP_SUCCESS)
        throw ServerProblem{::ldap_err2string(error)};
    static_cast<void>(fd.release()); // only now it is the handle's
    handle_.reset(made);
}

void LdapConnection::set_option(int option, const void* value, const char* name)
{
    if (::ldap_set_option(handle_.get(), option, value) != LDAP_OPT_SUCCESS)
        throw BackendError{std::string{"libldap does not take the value of "} + name};
}

void LdapConnection::set_time(int option, milliseconds time)
{
    const timeval value = timeval_of(time);
    set_option(option, &value, "ldap_timeout");
}

void LdapConnection::set_options()
{
    const int deref = number_of(settings_.deref);
    set_option(LDAP_OPT_PROTOCOL_VERSION, &settings_.version, "ldap_version");
    set_option(LDAP_OPT_DEREF, &deref, "ldap_deref");
    set_option(LDAP_OPT_TIMELIMIT, &settings_.time_limit_s, "ldap_time_limit");
    set_option(LDAP_OPT_RESTART, settings_.restarts ? LDAP_OPT_ON : LDAP_OPT_OFF, "ldap_restart");
    set_time(LDAP_OPT_NETWORK_TIMEOUT, time_left());
    set_time(LDAP_OPT_TIMEOUT, time_left());
    if (!settings_.sasl.security.empty())
        set_option(LDAP_OPT_X_SASL_SECPROPS, settings_.sasl.security.c_str(), "ldap_sasl_secprops");
    Sockbuf* buffer = nullptr;
    if (::ldap_get_option(handle_.get(), LDAP_OPT_SOCKBUF, &buffer) == LDAP_OPT_SUCCESS &&
        buffer != nullptr) {
        ber_len_t most = message_bytes_max;
        ::ber_sockbuf_ctrl(buffer, LBER_SB_OPT_SET_MAX_INCOMING, &most);
    }
    const bool follows = settings_.follows_referrals && referrals_ == Referrals::as_set;
    set_option(LDAP_OPT_REFERRALS, follows ? LDAP_OPT_ON : LDAP_OPT_OFF, "ldap_referrals");
}

/// An entry that came in clear could be anybody's. libldap connects before it asks us, and asks nothing when
/// we say no; after a yes it asks as nobody.
void LdapConnection::refuse_plain_referrals()
{
    const auto is_refused = [](LDAP*, const char* url, ber_tag_t, ber_int_t, void*) -> int {
        return url != nullptr && ::ldap_is_ldaps_url(url) != 0 ? LDAP_SUCCESS : LDAP_CONFIDENTIALITY_REQUIRED;
    };
    if (::ldap_set_rebind_proc(handle_.get(), is_refused, nullptr) != LDAP_SUCCESS)
        throw BackendError{"libldap cannot be kept from following referrals without TLS"};
}

void LdapConnection::set_tls()
{
    const LdapTls& tls = settings_.tls;
    const auto set_text = [this](int option, const std::string& own, const char* name) {
        const std::string text = own.empty() ? text_of_ldap_conf(option) : own;
        if (!text.empty())
            set_option(option, text.c_str(), name);
    };
    set_text(LDAP_OPT_X_TLS_CACERTFILE, tls.ca_file, "ldap_tls_cacert_file");
    set_text(LDAP_OPT_X_TLS_CACERTDIR, tls.ca_directory, "ldap_tls_cacert_dir");
    set_text(LDAP_OPT_X_TLS_CERTFILE, tls.certificate, "ldap_tls_cert");
    set_text(LDAP_OPT_X_TLS_KEYFILE, tls.key, "ldap_tls_key");
    set_text(LDAP_OPT_X_TLS_CIPHER_SUITE, tls.ciphers, "ldap_tls_ciphers");
    set_text(LDAP_OPT_X_TLS_CRLFILE, "", "TLS_CRLFILE of ldap.conf");
    int least = 0;
    if (::ldap_get_option(nullptr, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least) == LDAP_OPT_SUCCESS && least != 0)
        set_option(LDAP_OPT_X_TLS_PROTOCOL_MIN, &least, "TLS_PROTOCOL_MIN of ldap.conf");
    if (tls.checks_peer) {
        const int check = *tls.checks_peer ? LDAP_OPT_X_TLS_HARD : LDAP_OPT_X_TLS_NEVER;
        set_option(LDAP_OPT_X_TLS_REQUIRE_CERT, &check, "ldap_tls_check_peer");
    }
    const int is_server = 0;
    if (::ldap_set_option(handle_.get(), LDAP_OPT_X_TLS_NEWCTX, &is_server) != LDAP_OPT_SUCCESS)
        throw BackendError{"TLS cannot be prepared: is one of the files of ldap_tls_… unreadable, or "
                           "ldap_tls_ciphers not what libldap's TLS library takes?"};
}

void LdapConnection::begin_tls(const LdapServer& server)
{
    set_tls();
    if (server.scheme != LdapServer::Scheme::ldaps) {
        int question = 0;
        check_sent(::ldap_start_tls(handle_.get(), nullptr, nullptr, &question));
        const LdapAnswer answer = read_answer(wait_for(question, LDAP_RES_EXTENDED));
        if (answer.result != LdapResult::success)
            throw ServerProblem{"TLS is not to be had: " + answer_text(answer)};
    }
    shake_hands();
}

/// libldap keeps the time only when it believes that it connects asynchronously, waits in a busy loop
/// otherwise, and on its way makes the socket a blocking one, which therefore has a limit of its own. That
/// limit is for each write; the reads have one together, or a byte now and then would hold us for ever.
void LdapConnection::shake_hands()
{
    const timeval limit = timeval_of(time_left());
    set_time(LDAP_OPT_NETWORK_TIMEOUT, time_left());
    int fd = -1;
    ::ldap_get_option(handle_.get(), LDAP_OPT_DESC, &fd);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    set_option(LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_ON, "ldap_timeout");
    const int error = install_tls(fd);
    set_option(LDAP_OPT_CONNECT_ASYNC, LDAP_OPT_OFF, "ldap_timeout");
    if (error != LDAP_SUCCESS)
        throw ServerProblem{std::string{"TLS failed: "} + ::ldap_err2string(error) + ": " +
                            last_diagnostic()};
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}

int LdapConnection::install_tls(int fd)
{
    Sockbuf* buffer = nullptr;
    if (::ldap_get_option(handle_.get(), LDAP_OPT_SOCKBUF, &buffer) != LDAP_OPT_SUCCESS || buffer == nullptr)
        return LDAP_LOCAL_ERROR;
    const TimedReads reads{buffer, {fd, std::chrono::steady_clock::now() + time_left()}};
    return ::ldap_install_tls(handle_.get());
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

/// A server that repeats what it was sent must not get it into a log, not even in part: so this is looked at
/// before the text is cut.
LdapAnswer LdapConnection::answer_of(LdapResult result, const char* diagnostic) const
{
    const std::string_view whole{diagnostic == nullptr ? "" : diagnostic};
    const bool repeats_password = sent_ != nullptr && whole.find(sent_->view()) != std::string_view::npos;
    return {result, std::string{whole.substr(0, diagnostic_bytes_max)}, {}, repeats_password};
}

/// With libldap's last diagnostic.
LdapAnswer LdapConnection::answer_of(LdapResult result) const
{
    char* text = nullptr;
    ::ldap_get_option(handle_.get(), LDAP_OPT_DIAGNOSTIC_MESSAGE, &text);
    return answer_of(result, LdapText{text}.get());
}

std::string LdapConnection::last_diagnostic() const
{
    LdapAnswer answer = answer_of(LdapResult::other);
    return answer.repeats_password ? "" : std::move(answer.diagnostic);
}

void LdapConnection::check_sent(int error)
{
    if (error == LDAP_SUCCESS)
        return;
    check_server(error);
    throw BackendError{std::string{"libldap cannot ask this: "} + ::ldap_err2string(error)};
}

LdapConnection::Message LdapConnection::wait_for_any(int question, bool wants_whole)
{
    const milliseconds time = time_left();
    timeval limit = timeval_of(time);
    LDAPMessage* message = nullptr;
    const int kind =
        ::ldap_result(handle_.get(), question, wants_whole ? LDAP_MSG_ALL : LDAP_MSG_ONE, &limit, &message);
    Message answer{message};
    if (kind == 0)
        throw ServerSilence{"no answer within " + std::to_string(time.count()) + " ms"};
    if (kind > 0)
        return answer;
    int error = LDAP_OTHER;
    ::ldap_get_option(handle_.get(), LDAP_OPT_RESULT_CODE, &error);
    check_server(error);
    throw ServerProblem{std::string{"no answer that makes sense: "} + ::ldap_err2string(error)};
}

LdapConnection::Message LdapConnection::wait_for(int question, int kind)
{
    Message answer = wait_for_any(question, true);
    if (answer.kind() != kind)
        throw ServerProblem{"an answer to another question"};
    return answer;
}

LdapAnswer LdapConnection::read_answer(const Message& message)
{
    int code = LDAP_OTHER;
    char* diagnostic = nullptr;
    LDAPControl** controls = nullptr;
    const int error =
        ::ldap_parse_result(handle_.get(), message.get(), &code, nullptr, &diagnostic, nullptr, &controls, 0);
    const LdapText text{diagnostic};
    const std::unique_ptr<LDAPControl*, decltype(&::ldap_controls_free)> owned{controls,
                                                                               ::ldap_controls_free};
    if (error != LDAP_SUCCESS)
        throw ServerProblem{std::string{"no answer that makes sense: "} + ::ldap_err2string(error)};
    LdapAnswer answer = answer_of(result_from(code), text.get());
    answer.policy_error = policy_error_in(handle_.get(), controls);
    return answer;
}

LdapAnswer LdapConnection::bind(const std::string& dn, const Secret& password)
{
    if (!dn.empty() && password.empty())
        return {LdapResult::invalid_credentials};
    sent_ = password.empty() ? nullptr : &password;
    LDAPControl policy{const_cast<char*>(LDAP_CONTROL_PASSWORDPOLICYREQUEST), {0, nullptr}, 0};
    std::array<LDAPControl*, 2> controls{settings_.version == 3 ? &policy : nullptr, nullptr};
    berval credentials = berval_of(password.view());
    int question = 0;
    check_sent(::ldap_sasl_bind(handle_.get(), dn.c_str(), LDAP_SASL_SIMPLE, &credentials, controls.data(),
                                nullptr, &question));
    return read_answer(wait_for(question, LDAP_RES_BIND));
}

LdapAnswer LdapConnection::bind_by_sasl(const SaslIdentity& identity, bool must_prove_password)
{
    if (must_prove_password && identity.password.empty())
        return {LdapResult::invalid_credentials};
    sent_ = identity.password.empty() ? nullptr : &identity.password;
    Interaction interaction{identity};
    Message answer{nullptr};
    const char* mechanism = nullptr; // libldap's own note, from one step to the next
    int question = 0;
    int code = LDAP_SUCCESS;
    while ((code = ::ldap_sasl_interactive_bind(
                handle_.get(), nullptr, or_null(identity.mechanism), nullptr, nullptr, LDAP_SASL_QUIET,
                interact, &interaction, answer.get(), &mechanism, &question)) == LDAP_SASL_BIND_IN_PROGRESS)
        answer = wait_for_any(question, true);
    check_server(code);
    // Before it binds libldap may ask which mechanisms there are; that answer says nothing about a password.
    const bool is_answered = answer.get() != nullptr;
    if (!is_answered && code > 0 && is_server_fault(result_from(code)))
        throw ServerProblem{"SASL: " + answer_text(answer_of(result_from(code)))};
    if (code < 0 || !is_answered)
        throw BackendError{std::string{"SASL: "} + ::ldap_err2string(code) + ": " + last_diagnostic()};
    if (code == LDAP_SUCCESS && must_prove_password && !interaction.has_password_been_asked)
        throw BackendError{"SASL: the mechanism does not ask for a password, so it says nothing about it"};
    return answer_of(result_from(code));
}

LdapAnswer LdapConnection::compare(const std::string& dn, const std::string& attribute,
                                   std::string_view value)
{
    berval compared = berval_of(value);
    int question = 0;
    check_sent(::ldap_compare_ext(handle_.get(), dn.c_str(), attribute.c_str(), &compared, nullptr, nullptr,
                                  &question));
    return read_answer(wait_for(question, LDAP_RES_COMPARE));
}

/// Entries are counted up to two: what is more says nothing more.
LdapFound LdapConnection::search(const LdapQuestion& question, int size_limit, const ValueMatcher& matches)
{
    std::string attribute = question.attribute.empty() ? LDAP_NO_ATTRS : question.attribute;
    std::array<char*, 2> attributes{attribute.data(), nullptr};
    int id = 0;
    check_sent(::ldap_search_ext(handle_.get(), question.base.c_str(), number_of(question.scope),
                                 question.filter.c_str(), attributes.data(), 0, nullptr, nullptr, nullptr,
                                 size_limit, &id));
    LdapFound found;
    for (;;) {
        const Message message = wait_for_any(id, false);
        if (message.kind() == LDAP_RES_SEARCH_ENTRY)
            note_entry(found, message, question, matches);
        else if (message.kind() == LDAP_RES_SEARCH_RESULT) {
            found.answer = read_answer(message);
            return found;
        } else if (message.kind() != LDAP_RES_SEARCH_REFERENCE)
            throw ServerProblem{"an answer to another question"};
        if (found.entries > 1) {
            ::ldap_abandon_ext(handle_.get(), id, nullptr, nullptr);
            found.answer.result = LdapResult::success;
            return found;
        }
    }
}

void LdapConnection::note_entry(LdapFound& found, const Message& message, const LdapQuestion& question,
                                const ValueMatcher& matches)
{
    if (++found.entries > 1)
        return;
    LDAPMessage* const entry = ::ldap_first_entry(handle_.get(), message.get());
    const LdapText dn{::ldap_get_dn(handle_.get(), entry)};
    if (!dn || *dn == '\0')
        throw ServerProblem{"an entry without a DN"};
    found.dn = dn.get();
    if (question.attribute.empty())
        return;
    const std::unique_ptr<berval*, decltype(&::ldap_value_free_len)> values{
        ::ldap_get_values_len(handle_.get(), entry, question.attribute.c_str()), ::ldap_value_free_len};
    for (berval** value = values.get(); value != nullptr && *value != nullptr; ++value) {
        ++found.values;
        found.is_matched = found.is_matched || matches({(*value)->bv_val, (*value)->bv_len});
        ::sodium_memzero((*value)->bv_val, (*value)->bv_len);
    }
}

std::string LdapConnection::ask_who_we_are()
{
    int question = 0;
    check_sent(::ldap_whoami(handle_.get(), nullptr, nullptr, &question));
    const Message message = wait_for(question, LDAP_RES_EXTENDED);
    if (const LdapAnswer answer = read_answer(message); answer.result != LdapResult::success)
        throw BackendError{"the server does not say who the user is: " + answer_text(answer)};
    berval* name = nullptr;
    const int error = ::ldap_parse_whoami(handle_.get(), message.get(), &name);
    const std::unique_ptr<berval, decltype(&::ber_bvfree)> owned{name, ::ber_bvfree};
    if (error != LDAP_SUCCESS || name == nullptr)
        throw BackendError{"the server does not say who the user is"};
    return {name->bv_val, name->bv_len};
}

/// Dumps of what is sent are left out: they would show a password in pieces, in which nobody can find it.
void debug_libldap(std::uint32_t level, Log& log)
{
    constexpr std::uint32_t dumps = 0x02 | 0x10; // packets and BER, which no header of libldap names
    const int shown = static_cast<int>(level & ~dumps);
    debug_log = &log;
    ::ber_set_option(nullptr, LBER_OPT_LOG_PRINT_FN, reinterpret_cast<const void*>(write_debug_line));
    ::ldap_set_option(nullptr, LDAP_OPT_DEBUG_LEVEL, &shown);
}

} // namespace postern
