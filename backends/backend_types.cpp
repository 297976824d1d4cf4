// SPDX-License-Identifier: BSD-2-Clause
#include "backends/backend_types.hpp"

#include "base/lower_case.hpp"

#include <algorithm>
#include <array>
#include <thread>

namespace postern {

namespace {

constexpr std::array sasldb_options{
    BackendOption{"sasldb_path", "/etc/sasldb2", "FILE",
                  "the database that saslpasswd2 and postern passwd write", OptionKind::file},
};

constexpr std::array sasldb_mechanisms{std::string_view{"SCRAM-SHA-256"}, std::string_view{"SCRAM-SHA-1"},
                                       std::string_view{"CRAM-MD5"}};

constexpr std::array pam_options{
    BackendOption{"pam_keep_loaded", "yes", "yes|no",
                  "whether a worker keeps the libraries of PAM stacks in memory", OptionKind::boolean},
};

using Words = std::string_view;
constexpr std::array ldap_schemes{Words{"ldap"}, Words{"ldaps"}, Words{"ldapi"}};
constexpr std::array ldap_methods{Words{"bind"}, Words{"custom"}, Words{"fastbind"}};
constexpr std::array ldap_scopes{Words{"sub"}, Words{"one"}, Words{"base"}};
constexpr std::array ldap_derefs{Words{"never"}, Words{"search"}, Words{"find"}, Words{"always"}};
constexpr std::array ldap_versions{Words{"3"}, Words{"2"}};
constexpr std::array ldap_group_methods{Words{"attr"}, Words{"filter"}};

// The keys, aliases and defaults of saslauthd's LDAP_SASLAUTHD, the undocumented ones among them.
constexpr std::array ldap_options{
    BackendOption{"ldap_servers", "ldap://localhost/", "URIS",
                  "the directory's servers; the first that can be asked is", OptionKind::servers, "",
                  ldap_schemes},
    BackendOption{
        "ldap_auth_method", "bind", "METHOD",
        "bind (search the user, bind as it), custom (compare its password here) or fastbind (no search)",
        OptionKind::word, "", ldap_methods},
    BackendOption{"ldap_bind_dn", "", "DN", "who searches; empty: anybody"},
    BackendOption{"ldap_password", "", "PASSWORD", "of ldap_bind_dn, or of ldap_id", OptionKind::secret,
                  "ldap_bind_pw"},
    BackendOption{"ldap_search_base", "", "DN", "where users are searched; tokens are replaced"},
    BackendOption{"ldap_scope", "sub", "SCOPE", "how deep: sub, one or base", OptionKind::word, "",
                  ldap_scopes},
    BackendOption{"ldap_filter", "(uid=%u)", "FILTER",
                  "which entry is the user's; with fastbind the DN itself; tokens are replaced"},
    BackendOption{"ldap_password_attr", "userPassword", "ATTRIBUTE", "with custom: where the password is"},
    BackendOption{"ldap_default_realm", "", "REALM", "of logins without one", OptionKind::text,
                  "ldap_default_domain"},
    BackendOption{"ldap_group_dn", "", "DN", "the group that a user must be in; tokens are replaced"},
    BackendOption{"ldap_group_attr", "uniqueMember", "ATTRIBUTE", "where a group has its members"},
    BackendOption{"ldap_group_match_method", "attr", "METHOD",
                  "attr (the group has the user) or filter (a search finds something)", OptionKind::word, "",
                  ldap_group_methods},
    BackendOption{"ldap_group_filter", "", "FILTER", "what that search looks for; tokens are replaced"},
    BackendOption{"ldap_group_search_base", "", "DN", "where; empty: ldap_search_base; tokens are replaced"},
    BackendOption{"ldap_group_scope", "sub", "SCOPE", "how deep: sub, one or base", OptionKind::word, "",
                  ldap_scopes},
    BackendOption{"ldap_start_tls", "no", "yes|no", "whether to begin TLS on a plain connection",
                  OptionKind::boolean},
    BackendOption{"ldap_tls_check_peer", "", "yes|no",
                  "whether the server's certificate must be valid; empty: as ldap.conf says, which is yes "
                  "unless somebody wrote otherwise",
                  OptionKind::boolean},
    BackendOption{"ldap_tls_cacert_file", "", "FILE", "whose certificates are valid", OptionKind::file},
    BackendOption{"ldap_tls_cacert_dir", "", "DIR", "the same, a directory"},
    BackendOption{"ldap_tls_cert", "", "FILE", "our own certificate", OptionKind::file},
    BackendOption{"ldap_tls_key", "", "FILE", "its key", OptionKind::file},
    BackendOption{"ldap_tls_ciphers", "", "LIST",
                  "what the TLS library of libldap takes for a list of ciphers"},
    BackendOption{"ldap_use_sasl", "no", "yes|no", "whether to bind by SASL", OptionKind::boolean},
    BackendOption{"ldap_mech", "", "MECHANISM", "by which; empty: as ldap.conf says", OptionKind::text,
                  "ldap_sasl_mech"},
    BackendOption{"ldap_realm", "", "REALM", "in which realm; empty: as ldap.conf says", OptionKind::text,
                  "ldap_sasl_realm"},
    BackendOption{"ldap_id", "", "NAME", "who searches", OptionKind::text, "ldap_sasl_authc_id"},
    BackendOption{"ldap_authz_id", "", "NAME", "as whom", OptionKind::text, "ldap_sasl_authz_id"},
    BackendOption{"ldap_sasl_secprops", "", "LIST", "what a mechanism must be able to do"},
    BackendOption{"ldap_timeout", "5", "TIME", "for a connection, and for each question to a server",
                  OptionKind::duration},
    BackendOption{"ldap_time_limit", "5", "SECONDS", "how long a server may search; 0: as long as it likes",
                  OptionKind::number},
    BackendOption{"ldap_size_limit", "1", "N", "how many entries it may find; 0: as many as it likes",
                  OptionKind::number},
    BackendOption{"ldap_deref", "never", "WHEN", "which aliases are followed: never, search, find or always",
                  OptionKind::word, "", ldap_derefs},
    BackendOption{"ldap_referrals", "no", "yes|no", "whether to ask the servers that a server names",
                  OptionKind::boolean},
    BackendOption{"ldap_restart", "yes", "yes|no", "whether an interrupted system call is tried again",
                  OptionKind::boolean},
    BackendOption{"ldap_version", "3", "2|3", "of the protocol", OptionKind::word, "", ldap_versions},
    BackendOption{"ldap_debug", "0", "LEVEL", "what libldap says of itself, in the log", OptionKind::number},
};

// Over ldapi the mechanism EXTERNAL proves which user of the host asks, and directories trust root.
constexpr std::array ldap_as_root{
    OptionPiece{"ldap_use_sasl", "yes"},
    OptionPiece{"ldap_mech", "EXTERNAL"},
    OptionPiece{"ldap_servers", "ldapi:"},
};

constexpr std::array rimap_tls_modes{Words{"none"}, Words{"starttls"}, Words{"implicit"}};

constexpr std::array rimap_options{
    BackendOption{"rimap_host", "localhost", "HOSTS",
                  "the IMAP servers, as HOST or HOST/PORT; the first that can be asked is",
                  OptionKind::servers},
    BackendOption{
        "rimap_port", "", "PORT",
        "of hosts without one: a number or a service's name; empty: imap, or imaps with implicit TLS",
        OptionKind::port},
    BackendOption{"rimap_tls", "none", "MODE", "none, starttls or implicit", OptionKind::word, "",
                  rimap_tls_modes},
    BackendOption{"rimap_ca_file", "", "FILE", "whose certificates are valid; empty: the host's own list",
                  OptionKind::present_file},
    BackendOption{"rimap_connect_timeout", "5s", "TIME", "for a connection, TLS included",
                  OptionKind::duration},
    BackendOption{"rimap_timeout", "5s", "TIME", "for each answer of a server", OptionKind::duration},
    BackendOption{"rimap_renew", "45s", "TIME",
                  "how long a connection waits for a login before a new one takes its place: less than its "
                  "server allows; 0: it stays",
                  OptionKind::duration},
    BackendOption{"rimap_keep_ready", "10m", "TIME",
                  "how long after a login connections are kept ready for the next; 0: none is made ahead",
                  OptionKind::duration},
};

constexpr std::array instance_pair{Words{"SERVICE=INSTANCE"}};

constexpr std::array kerberos5_options{
    BackendOption{"krb5_keytab", "", "FILE",
                  "the key that tickets are verified with; empty: the host's own keytab", OptionKind::file},
    BackendOption{"krb5_verify_principal", "host", "NAME", "whose key: a service, or a whole principal"},
    BackendOption{"krb5_servername", "", "PRINCIPAL", "the service for which the first ticket is asked"},
    BackendOption{"krb5_conv_krb4_instance", "no", "yes|no",
                  "whether the first dot of a name stands for a slash", OptionKind::boolean},
    BackendOption{"krb5_instances", "", "LIST",
                  "SERVICE=INSTANCE, with blanks between them: the instance of users who log in to SERVICE",
                  OptionKind::pairs, "", instance_pair},
};

#ifdef POSTERN_TESTING
constexpr std::array fault_schemes{Words{"file"}};

constexpr std::array fault_mechanisms{Words{"SCRAM-SHA-256"}};

constexpr std::array fault_options{
    BackendOption{"fault_password", "good", "PASSWORD", "the password that it accepts", OptionKind::secret},
    BackendOption{"fault_servers", "", "URIS", "servers: each is a file that says what it does",
                  OptionKind::servers, "", fault_schemes},
};
#endif

constexpr std::array password_file_stores{Words{"/etc/passwd"}, Words{"/etc/shadow"}};
constexpr std::array pam_stores{Words{"/etc/pam.d/"}, Words{"/etc/passwd"}, Words{"/etc/shadow"}};
constexpr std::array sasldb_stores{Words{"sasldb_path"}};

constexpr std::array types{
    BackendType{.name = "getpwent",
                .summary = "the password hashes in /etc/passwd, where a host still has them there",
                .options = {},
                .user = WorkerUser::root,
                .load = WorkerLoad::computes,
                .stores = password_file_stores},
    BackendType{.name = "kerberos5",
                .summary = "a Kerberos realm: who gets a ticket with the password",
                .options = kerberos5_options,
                .user = WorkerUser::root,
                .mech_option = MechOption::saslauthd_conf,
                .realm_rule = uses_realm_always},
    BackendType{.name = "ldap",
                .summary = "an LDAP directory",
                .options = ldap_options,
                .mech_option = MechOption::saslauthd_conf,
                .root_when = ldap_as_root,
                .rule = ldap_option_rule,
                .realm_rule = ldap_realm_use},
    BackendType{.name = "pam",
                .summary = "the host's PAM stacks; the service is that of the login",
                .options = pam_options,
                .user = WorkerUser::root,
                .stores = pam_stores,
                .heeds_client = true,
                .is_cached_by_default = false},
    BackendType{.name = "rimap",
                .summary = "a remote IMAP server: who may log in there",
                .options = rimap_options,
                .mech_option = MechOption::server,
                .accepted_text = "remote authentication successful",
                .refused_text = "remote server rejected your credentials",
                .rule = rimap_option_rule},
    BackendType{.name = "sasldb",
                .summary = "the local database of Cyrus SASL (Berkeley DB or LMDB)",
                .options = sasldb_options,
                .group = "sasl",
                .load = WorkerLoad::computes,
                .mechanisms = sasldb_mechanisms,
                .stores = sasldb_stores,
                .realm_rule = uses_realm_always},
    BackendType{.name = "shadow",
                .summary = "the password hashes and expiry dates in /etc/shadow",
                .options = {},
                .user = WorkerUser::root,
                .load = WorkerLoad::computes,
                .stores = password_file_stores},
#ifdef POSTERN_TESTING
    BackendType{.name = "fault",
                .summary = "does on order what a broken backend does (tests only)",
                .options = fault_options,
                .mechanisms = fault_mechanisms,
                .realm_rule = uses_realm_always},
#endif
};

} // namespace

std::span<const BackendType> backend_types() noexcept
{
    return types;
}

RealmUse realm_use(const BackendType& type, const BackendOptions& options)
{
    return type.realm_rule == nullptr ? RealmUse::in_user : type.realm_rule(options);
}

std::uint32_t default_workers_max(const BackendType& type) noexcept
{
    constexpr std::uint32_t for_those_who_wait = 64;
    const std::uint32_t processors = std::max(1U, std::thread::hardware_concurrency());
    return type.load == WorkerLoad::computes ? 2 * processors : for_those_who_wait;
}

const BackendType* find_backend_type(std::string_view name) noexcept
{
    const auto found = std::ranges::find_if(
        types, [name](const BackendType& type) { return is_same_word(type.name, name); });
    return found == types.end() ? nullptr : &*found;
}

} // namespace postern
