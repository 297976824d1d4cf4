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
    bool is_hashed = false;
    bool is_deleted = false;
};

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
    add("argon2", po::bool_switch(&values.is_hashed),
        "keep only an Argon2id hash, which Postern alone can check");
    add("delete", po::bool_switch(&values.is_deleted), "take the password away, with its hash");
    rules.notes =
        "Without a realm it is the user in the realm of this host's name, where a login without "
        "one is looked up.\n"
        "The password is asked for on the terminal, twice, or read as one line from a pipe.\n"
        "A password is kept as it is, for all of Cyrus SASL, unless --argon2 is given. saslpasswd2\n"
        "sets one in place of the hash, but its -d does not delete a hash: --delete does.\n";
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
    const auto set = values.is_hashed ? set_sasldb_argon2id : set_sasldb_password;
    const SasldbChange change = set(values.file, name.user, name.realm, password, sasldb_patience);
    std::cout << shown(name) << ": " << change_text(change) << " in " << values.file
              << (values.is_hashed ? ", as an Argon2id hash\n" : "\n");
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
    if (values.is_hashed && values.is_deleted)
        throw UsageError{"--argon2 and --delete: only one of them can be done"};
    const AccountName name = parse_account_name(values.account, values.realm);
    if (values.is_deleted)
        delete_password(values, name);
    else
        set_password(values, name);
    return EXIT_SUCCESS;
}

} // namespace postern
