// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/flags.hpp"
#include "daemon/saslauthd_conf.hpp"

namespace postern {

/// What -O, and the file that it names, say to backends of these types. Which of the two a value is shows
/// in its first byte: a path is absolute, and a host does not begin with a slash. Of several of a sort the
/// last one counts, as ever. Where only a file can be meant, the path may begin in the run directory:
/// saslauthd has gone there before it opens the file.
///
/// Throws ConfigError, also where a server is required and nobody names one.
[[nodiscard]] SaidOptions read_mech_options(const GivenFlags& given, const TypeList& types,
                                            const std::string& run_directory);

} // namespace postern
