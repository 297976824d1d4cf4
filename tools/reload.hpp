// SPDX-License-Identifier: BSD-2-Clause
#pragma once

#include "tools/options.hpp"

namespace postern {

/// `postern reload`: has the daemon read its configuration again, and says whether the new one is in force.
int run_reload(Arguments arguments);

} // namespace postern
