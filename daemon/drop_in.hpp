// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "daemon/config.hpp"
#include "daemon/flags.hpp"

namespace postern {

/// What saslauthd's flags say: one listener, one route, and the backends of -a, with what their files say.
/// What they leave open is as in `config`, whose lists are empty.
///
/// Throws ConfigError, and ConfigFileError for what is wrong in a saslauthd.conf.
[[nodiscard]] Config read_drop_in(const GivenFlags& given, Config config);

} // namespace postern
