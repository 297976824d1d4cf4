// SPDX-License-Identifier: BSD-2-Clause
#include "tools/passwd.hpp"

#include "backends/stores/sasldb_database.hpp"
#include "backends/stores/sasldb_writer.hpp"
#include "tools/password_prompt.hpp"

#include <boost/program_options/value_semantic.hpp>
#include <cstdlib>
#include <iostream>

namespace postern {

namespace po = boost::program_options;

namespace {

struct PasswdOptions {
    std::string account;
    std::string realm;
    std::string file;
    bool is_scram = false;
    bool is_hashed = false;
    bool is_plain = false;
    bool is_deleted = false;
};

/// How a password is kept, and what is said of it behind the file's name.
struct Form {
    SasldbChange (*set)(const std::string& path, std::string_view user, std::string_view realm,
                        const Secret& password, std::chrono::milliseconds patience);
    std::string_view said;
};

Form form_of(const PasswdOptions& values)
{
    if (values.is_plain)
        return {set_sasldb_password, ", as it is"};
    if (values.is_hashed)
        return {set_sasldb_argon2id, ", as an Argon2id hash"};
    return {set_sasldb_scram, ", as a SCRAM-SHA-256 verifier"};
}

OptionRules rules_for(PasswdOptions& values)
{
    OptionRules rules;
    rules.synopsis = "postern passwd USER[@REALM] [options]";
    rules.words.add_options()("account", po::value(&values.account));
    rules.positions.add("account", 1);
    auto add = rules.options.add_options();
    add("realm,u", po::value(&values.realm)->value_name("REALM"),
        "the realm, when it is not written behind an @");
    add("file,f", po::value(&values.file)->default_value("/etc/sasldb2")->value_name("FILE"),
        "the database; made when there is none");
    add("scram", po::bool_switch(&values.is_scram),
        "keep a verifier for SCRAM-SHA-256, and for PLAIN and LOGIN (the default)");
    add("argon2", po::bool_switch(&values.is_hashed),
        "keep an Argon2id hash, for PLAIN and LOGIN alone; it is the hardest to guess from");
    add("plain", po::bool_switch(&values.is_plain),
        "keep the password as it is, for CRAM-MD5, SCRAM-SHA-1 and programs that read it themselves");
    add("delete", po::bool_switch(&values.is_deleted), "take the password away, in whatever form it is kept");
    rules.notes =
        "Without a realm it is the user in the realm of this host's name, where a login without "
        "one is looked up.\n"
        "The password is asked for on the terminal, twice, or read as one line from a pipe.\n"
        "A password is kept in one form; those in which it was kept before go. Cyrus SASL's own SCRAM\n"
        "reads the verifier too, its PLAIN, LOGIN and CRAM-MD5 only what --plain keeps, and of the hash\n"
        "it knows nothing. saslpasswd2 sets a password as it is, which counts beside any other form, but\n"
        "its -d does not delete verifiers and hashes: --delete does.\n";
    return rules;
}

std::string_view change_text(SasldbChange change)
{
    switch (change) {
    case SasldbChange::created: return "created";
    case SasldbChange::changed: return "changed";
    }
    return "invalid";
}

std::string shown(const AccountName& name)
{
    return name.user + '@' + name.realm;
}

void set_password(const PasswdOptions& values, const AccountName& name)
{
    constexpr std::size_t secrets_max = 4;
    SecretArena secrets{2 * password_line_bytes_max, secrets_max};
    const Secret password = read_new_password(secrets, "New password for " + shown(name) + ": ");
    const Form form = form_of(values);
    const SasldbChange change = form.set(values.file, name.user, name.realm, password, sasldb_patience);
    std::cout << shown(name) << ": " << change_text(change) << " in " << values.file << form.said << '\n';
}

void delete_password(const PasswdOptions& values, const AccountName& name)
{
    if (!delete_sasldb_password(values.file, name.user, name.realm))
        throw SasldbError{values.file + ": " + shown(name) + " has no password there; nothing was changed"};
    std::cout << shown(name) << ": deleted from " << values.file << '\n';
}

} // namespace

AccountName parse_account_name(std::string_view text, std::string_view realm_flag)
{
    const std::size_t at = text.rfind('@');
    AccountName name{std::string{text.substr(0, at)}, std::string{realm_flag}};
    const std::string_view behind = at == std::string_view::npos ? "" : text.substr(at + 1);
    if (!behind.empty() && !realm_flag.empty())
        throw UsageError{"the realm is given twice: '" + std::string{behind} + "' and '" + name.realm + "'"};
    if (name.user.empty())
        throw UsageError{"whose password? USER or USER@REALM was expected, and not '" + std::string{text} +
                         "'"};
    if (!behind.empty())
        name.realm = behind;
    if (name.realm.empty())
        name.realm = sasldb_default_realm();
    return name;
}

int run_passwd(Arguments arguments)
{
    PasswdOptions values;
    if (!parse_options(rules_for(values), {arguments.begin(), arguments.end()}))
        return EXIT_SUCCESS;
    if (values.is_scram + values.is_hashed + values.is_plain + values.is_deleted > 1)
        throw UsageError{"--scram, --argon2, --plain and --delete: only one of them can be done"};
    const AccountName name = parse_account_name(values.account, values.realm);
    if (values.is_deleted)
        delete_password(values, name);
    else
        set_password(values, name);
    return EXIT_SUCCESS;
}

} // namespace postern
