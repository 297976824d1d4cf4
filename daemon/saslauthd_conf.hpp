// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config_problem.hpp"
#include "daemon/saslauthd_keys.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

inline constexpr const char* default_saslauthd_conf = "/etc/saslauthd.conf";

/// What a saslauthd.conf says, in the words of this program.
struct SaslauthdConf {
    BackendOptions options;              ///< those that it names, with values as check_option() has them
    std::vector<ConfigProblem> problems; ///< the file cannot be used
    std::vector<ConfigProblem> notes;    ///< what has no effect, or another one than with saslauthd
    std::size_t secret_line = 0;         ///< of the first secret; 0: there is none
};

/// The file of saslauthd's ldap and kerberos5: text in, options out.
///
///     # a comment is a whole line
///     key: value
///
/// The colon stands right behind the key, whose case does not count. Blanks behind the colon are skipped,
/// and the rest of the line is the value, byte for byte. Of two lines with one key the later one counts.
///
/// `uses_tls`: TLS is asked for elsewhere, whatever the text says.
[[nodiscard]] SaslauthdConf read_saslauthd_conf(std::string_view text, const TypeList& types,
                                                bool uses_tls = false);

/// What a source of options says, and what is to be said of it in the log.
struct SaidOptions {
    BackendOptions options;
    std::vector<std::string> notes;
};

/// The same of a file. One that nobody chose may be missing, and then says nothing; but not once it has been
/// read, since then it may be what is in force. Throws ConfigFileError with all that is wrong at once.
[[nodiscard]] SaidOptions load_saslauthd_conf(const std::string& path, bool is_chosen, const TypeList& types,
                                              bool uses_tls = false);

} // namespace postern
