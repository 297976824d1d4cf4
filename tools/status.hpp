// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

namespace postern {

/// `postern status`: what the daemon is doing, and what has become of the logins since it began to count.
int run_status(Arguments arguments);

} // namespace postern
