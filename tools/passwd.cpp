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
    rules.notes = "Without a realm it is the user in the realm of this host's name, where a login without "
                  "one is looked up.\n"
                  "The password is asked for on the terminal, twice, or read as one line from a pipe.\n";
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
    const AccountName name = parse_account_name(values.account, values.realm);
    const std::string shown = name.user + '@' + name.realm;
    constexpr std::size_t secrets_max = 4;
    SecretArena secrets{2 * password_line_bytes_max, secrets_max};
    const Secret password = read_new_password(secrets, "New password for " + shown + ": ");
    const SasldbChange change = set_sasldb_password(values.file, name.user, name.realm, password);
    std::cout << shown << ": " << change_text(change) << " in " << values.file << '\n';
    return EXIT_SUCCESS;
}

} // namespace postern
