// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tests/support/program.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

/// Debian's own programs for a sasldb, in the words of the tests.
namespace postern {

inline void saslpasswd2(const std::string& file, const std::string& user, const std::string& realm,
                        const std::string& password)
{
    std::vector<std::string> arguments{"saslpasswd2", "-p", "-c", "-f", file};
    if (!realm.empty())
        arguments.insert(arguments.end(), {"-u", realm});
    arguments.push_back(user);
    if (const ProgramRun run = run_program("/usr/sbin/saslpasswd2", arguments, password); run.status != 0)
        throw std::runtime_error{"saslpasswd2: " + run.errors};
}

/// Its exit status when it is told to delete the user.
inline int saslpasswd2_delete(const std::string& file, const std::string& user, const std::string& realm)
{
    return run_program("/usr/sbin/saslpasswd2", {"saslpasswd2", "-d", "-f", file, "-u", realm, user}).status;
}

/// Adds the entry of a property that neither we nor saslpasswd2 would write.
inline void db_load_entry(const std::string& file, const std::string& key, const std::string& value)
{
    const std::string entry = key + '\n' + value + '\n';
    if (run_program("/usr/bin/db_load", {"db_load", "-T", "-t", "hash", file}, entry).status != 0)
        throw std::runtime_error{"db_load: the entry was not added"};
}

/// Adds an entry to an LMDB file, which is made when there is none, as Cyrus SASL does (MDB_NOSUBDIR).
inline void mdb_load_entry(const std::string& file, const std::string& key, const std::string& value)
{
    const ProgramRun run =
        run_program("/usr/bin/mdb_load", {"mdb_load", "-n", "-T", file}, key + '\n' + value + '\n');
    if (run.status != 0)
        throw std::runtime_error{"mdb_load: " + run.errors};
}

/// The keys of an LMDB file, as mdb_dump shows them: "alice\00example.org\00userPassword".
inline std::vector<std::string> mdb_keys(const std::string& file)
{
    std::istringstream output{run_program("/usr/bin/mdb_dump", {"mdb_dump", "-n", "-p", file}).output};
    std::vector<std::string> keys;
    bool is_key = false;
    for (std::string line; std::getline(output, line);) {
        is_key = line.starts_with(' ') && !is_key;
        if (is_key)
            keys.push_back(line.substr(1));
    }
    return keys;
}

/// The lines of sasldblistusers2, sorted: "alice@example.org: userPassword".
inline std::vector<std::string> sasldblistusers2(const std::string& file)
{
    const ProgramRun run = run_program("/usr/sbin/sasldblistusers2", {"sasldblistusers2", "-f", file});
    std::vector<std::string> lines;
    std::istringstream output{run.output};
    for (std::string line; std::getline(output, line);)
        lines.push_back(line);
    std::ranges::sort(lines);
    return lines;
}

} // namespace postern
