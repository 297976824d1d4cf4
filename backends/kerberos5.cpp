// SPDX-License-Identifier: BSD-2-Clause
//
// The plug-in of type kerberos5: a Kerberos realm. The password is right when the realm's key distribution
// centre (KDC) gives out a ticket that it opens, and when the KDC is the true one.
//
// The second half is why there is a keytab. Whoever can answer in the place of the KDC can make a ticket for
// any password of his choice, and a client by itself cannot tell. So each first ticket is used to ask for one
// to a service whose key is in the keytab (krb5_verify_init_creds), which only the true KDC can make. Without
// a keytab, or with another realm's key in it, nobody is let in: an outage, since it is not the user's fault.
//
// The name is put together in text (kerberos5_names.cpp) and parsed by libkrb5, as the incumbent does it. So
// a user may name an instance or a realm of his own.
//
// Whoever names the realm, it is the default one or one that krb5.conf speaks of, since libsasl takes what
// stands behind a user's @ for the realm of the request: the KDC of any other is whomever the DNS of a
// stranger's choice names, and he is sent a proof that is made of the password. Where the KDC of a realm of
// krb5.conf is, DNS may say.
//
// libkrb5 has ways to a ticket without the password: the name of the anonymous principal is one, and a
// certificate of this host, where krb5.conf has it, is another. Who takes them is not let in.
//
// libkrb5 1.20 has no limit for the time that it asks. A KDC that refuses costs nothing, one that is silent a
// second before the next one is asked, and when none of them ever answers it takes 27 seconds to say so. The
// front gives up before that, and has this process killed.
//
// A context of libkrb5 lives for one request, so that what is changed in krb5.conf, in DNS or in the keytab
// counts for the next, and nothing of one user is there for another. No ticket is written anywhere: the only
// credentials caches are in memory. The password goes to libkrb5 in locked memory of ours, with
// the NUL behind it that libkrb5 wants; libkrb5 makes keys of it in its own memory, and wipes those.
#include "backends/backend.hpp"
#include "backends/build_id.hpp"
#include "backends/kerberos5_handles.hpp"
#include "backends/kerberos5_names.hpp"
#include "backends/kerberos5_realms.hpp"
#include "backends/option_values.hpp"
#include "base/nul_byte.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

namespace postern {

namespace {

using namespace kerberos5;

constexpr krb5_deltat ticket_seconds = 900; // it is thrown away at once

// ---- what the answers of libkrb5 mean

struct Meaning {
    krb5_error_code answer;
    Verdict verdict;
};

/// Answers about the user: to the name and to the request for the first ticket. All others are outages,
/// an unknown realm among them: DNS says that of every realm when it is down.
///
/// A KDC looks at dates and locks before it looks at the password, so who is barred may have guessed it.
constexpr std::array meanings{
    Meaning{KRB5_PARSE_MALFORMED, Verdict::rejected}, // no name that there can be
    Meaning{KRB5_PARSE_ILLCHAR, Verdict::rejected},
    Meaning{KRB5KDC_ERR_PREAUTH_FAILED, Verdict::rejected}, // says a KDC that wants proof first
    Meaning{KRB5KRB_AP_ERR_BAD_INTEGRITY,
            Verdict::rejected}, // the ticket of one that does not cannot be opened
    Meaning{KRB5_LIBOS_BADPWDMATCH, Verdict::rejected},
    Meaning{KRB5KDC_ERR_C_PRINCIPAL_UNKNOWN, Verdict::unknown_user},
    Meaning{KRB5KDC_ERR_CLIENT_REVOKED, Verdict::barred}, // locked, or tickets are forbidden
    Meaning{KRB5KDC_ERR_NAME_EXP, Verdict::barred},
    Meaning{KRB5KDC_ERR_KEY_EXP, Verdict::barred}, // the password is to be changed, which is not done here
    Meaning{KRB5KDC_ERR_POLICY, Verdict::barred},
    Meaning{KRB5KDC_ERR_CLIENT_NOTYET, Verdict::barred},
};

constexpr Verdict verdict_of(krb5_error_code answer)
{
    for (const Meaning& meaning : meanings)
        if (meaning.answer == answer)
            return meaning.verdict;
    return Verdict::unavailable;
}

// ---- names

/// For it libkrb5 asks for a ticket that anybody gets, with any password.
bool is_anonymous(const Context& context, const Principal& user)
{
    return ::krb5_principal_compare_any_realm(context.get(), user.get(), ::krb5_anonymous_principal()) != 0;
}

std::string_view realm_of(const Principal& principal)
{
    return {principal.get()->realm.data, principal.get()->realm.length};
}

// ---- tickets

/// What a KDC may have wanted before it gave out the ticket: proofs that are made of the password alone.
constexpr std::array<std::string_view, 3> password_proofs{
    "2",   // KRB5_PADATA_ENC_TIMESTAMP
    "138", // KRB5_PADATA_ENCRYPTED_CHALLENGE
    "151", // KRB5_PADATA_SPAKE
};

/// Libkrb5 writes beside the ticket how it was got. Nothing of that: no proof was wanted, and the password
/// has opened the ticket.
bool is_got_by_password(const Context& context, Credentials& credentials, const TicketCache& cache)
{
    if ((credentials.get()->ticket_flags & TKT_FLG_ANONYMOUS) != 0)
        return false;
    krb5_data proof{};
    const auto answer =
        ::krb5_cc_get_config(context.get(), cache.get(), credentials.get()->server, "pa_type", &proof);
    if (answer == KRB5_CC_NOTFOUND)
        return true;
    context.must("krb5_cc_get_config", answer);
    const bool is_by_password =
        std::ranges::count(password_proofs, std::string_view{proof.data, proof.length}) > 0;
    ::krb5_free_data_contents(context.get(), &proof);
    return is_by_password;
}

// ---- the backend

class Kerberos5 final : public Backend {
public:
    explicit Kerberos5(const BackendContext& context)
        : log_{context.log}
        , keytab_{option_text(context.options, "krb5_keytab")}
        , verified_principal_{option_text(context.options, "krb5_verify_principal")}
        , first_service_{option_text(context.options, "krb5_servername")}
        , names_{option_text(context.options, "krb5_instances"),
                 option_is_yes(context.options, "krb5_conv_krb4_instance")}
        , terminated_passwords_{context.secrets.slot_bytes() + 1, 1}
    {
    }

    [[nodiscard]] Decision check(const Request& request) override;

private:
    [[nodiscard]] krb5_error_code get_first_ticket(const Context& context, const Principal& user,
                                                   const Secret& password, Credentials& credentials);
    void verify(const Context& context, Credentials& credentials) const;
    void open_keytab(const Context& context, Keytab& keytab) const;
    void find_verified_principal(const Context& context, Principal& principal) const;
    [[nodiscard]] Decision decide(const Context& context, const char* call, krb5_error_code answer,
                                  const char* reason) const;

    Log& log_;
    const std::string keytab_;
    const std::string verified_principal_;
    const std::string first_service_;
    const PrincipalNames names_;
    SecretArena terminated_passwords_; ///< libkrb5 wants a byte more than a Secret has
};

Decision Kerberos5::check(const Request& request)
{
    if (request.user.empty() || request.password.empty() || has_nul(request.password.view()))
        return {Verdict::rejected, "saslauthd NULL password or username"};
    const std::optional<std::string> name = names_.name_of(request);
    if (!name)
        return {Verdict::rejected, "saslauthd principal name error"};

    const Context context;
    Principal user{context};
    if (const auto answer = ::krb5_parse_name(context.get(), name->c_str(), user.place()); answer != 0)
        return decide(context, "krb5_parse_name", answer, "saslauthd internal error");
    if (realm_of(user).empty()) // for which libkrb5 finds no server, as in an outage of DNS
        return {Verdict::rejected, "saslauthd principal name error"};
    if (is_anonymous(context, user))
        return {Verdict::rejected, "saslauthd principal name error"};
    if (!is_realm_of_the_admin(context, realm_of(user)))
        return {Verdict::unknown_user, "the realm is neither the default one nor in krb5.conf"};
    Credentials credentials{context};
    if (const auto answer = get_first_ticket(context, user, request.password, credentials); answer != 0)
        return decide(context, "krb5_get_init_creds_password", answer, "krb5_get_init_creds_password failed");
    verify(context, credentials);
    return {Verdict::accepted, ""};
}

/// Nobody is asked for anything: there is no prompter. A password that has expired is not changed.
krb5_error_code Kerberos5::get_first_ticket(const Context& context, const Principal& user,
                                            const Secret& password, Credentials& credentials)
{
    TicketOptions options{context};
    context.must("krb5_get_init_creds_opt_alloc",
                 ::krb5_get_init_creds_opt_alloc(context.get(), options.place()));
    ::krb5_get_init_creds_opt_set_tkt_life(options.get(), ticket_seconds);
    ::krb5_get_init_creds_opt_set_renew_life(options.get(), 0);
    ::krb5_get_init_creds_opt_set_forwardable(options.get(), 0);
    ::krb5_get_init_creds_opt_set_proxiable(options.get(), 0);
    ::krb5_get_init_creds_opt_set_change_password_prompt(options.get(), 0);
    TicketCache cache{context};
    context.must("krb5_cc_new_unique", ::krb5_cc_new_unique(context.get(), "MEMORY", nullptr, cache.place()));
    context.must("krb5_get_init_creds_opt_set_out_ccache",
                 ::krb5_get_init_creds_opt_set_out_ccache(context.get(), options.get(), cache.get()));

    Secret terminated{terminated_passwords_, password.view()};
    terminated.buffer()[terminated.size()] = '\0';
    const auto answer = ::krb5_get_init_creds_password(
        context.get(), credentials.get(), user.get(), terminated.view().data(), nullptr, nullptr, 0,
        first_service_.empty() ? nullptr : first_service_.c_str(), options.get());
    if (answer == 0 && !is_got_by_password(context, credentials, cache))
        throw BackendError{"auth_krb5: the ticket was got without the password"};
    return answer;
}

/// Throws unless the ticket comes from a KDC that knows a key in our keytab.
void Kerberos5::verify(const Context& context, Credentials& credentials) const
{
    Keytab keytab{context};
    open_keytab(context, keytab);
    Principal service{context};
    find_verified_principal(context, service);
    krb5_verify_init_creds_opt options;
    ::krb5_verify_init_creds_opt_init(&options);
    ::krb5_verify_init_creds_opt_set_ap_req_nofail(&options, 1); // without a key it would let everybody in
    context.must("krb5_verify_init_creds",
                 ::krb5_verify_init_creds(context.get(), credentials.get(), service.get(), keytab.get(),
                                          nullptr, &options));
}

void Kerberos5::open_keytab(const Context& context, Keytab& keytab) const
{
    if (keytab_.empty())
        context.must("krb5_kt_default", ::krb5_kt_default(context.get(), keytab.place()));
    else
        context.must("krb5_kt_resolve", ::krb5_kt_resolve(context.get(), keytab_.c_str(), keytab.place()));
}

/// A service of this host, or a whole principal.
void Kerberos5::find_verified_principal(const Context& context, Principal& principal) const
{
    const char* const name = verified_principal_.c_str();
    if (find_unquoted(verified_principal_, '/') != std::string::npos)
        context.must("krb5_parse_name", ::krb5_parse_name(context.get(), name, principal.place()));
    else
        context.must(
            "krb5_sname_to_principal",
            ::krb5_sname_to_principal(context.get(), nullptr, name, KRB5_NT_SRV_HST, principal.place()));
}

/// The reason of a refusal is the incumbent's to the letter, and so is the line with the detail in front of
/// it. An outage has the detail in its own line.
Decision Kerberos5::decide(const Context& context, const char* call, krb5_error_code answer,
                           const char* reason) const
{
    const Verdict verdict = verdict_of(answer);
    if (verdict == Verdict::unavailable)
        context.must(call, answer);
    log_.write_foreign(LogOrigin::foreign_to_auth, LogLevel::error, context.answer_text(call, answer));
    return {verdict, reason};
}

std::unique_ptr<Backend> make_kerberos5(const BackendContext& context)
{
    return std::make_unique<Kerberos5>(context);
}

} // namespace

extern "C" {
[[gnu::visibility("default")]] extern const Plugin postern_plugin;
const Plugin postern_plugin{build_id, "kerberos5", make_kerberos5};
}

} // namespace postern
