// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

namespace postern {

/// `postern bench`: puts a load on a daemon's socket, over saslauthd's protocol or Dovecot's, and says how
/// fast it was and whether each login ended as its password says.
///
/// Ends with status 0 if all did; with 255 if an answer was wrong, else with EX_TEMPFAIL if one is missing.
/// That it was slow is no failure.
int run_bench(Arguments arguments);

} // namespace postern
